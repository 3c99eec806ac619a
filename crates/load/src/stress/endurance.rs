//! Long waiting beside short work: a hundred thousand orders wait on their timers for a carrier that says nothing, others run at
//! an even load, and at last the timers are due. An hour of that fits into minutes, as only the timers' length is an hour's.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::json;

use super::criteria;
use super::environment::Environment;
use super::ramp::rate;
use super::report::{Figure, Report};
use super::series::Window;
use super::tuning::Tuning;
use crate::bench::PATIENCE;
use crate::setup::Setup;

#[derive(Clone, Debug, Args)]
pub(crate) struct Endurance {
    /// Orders that wait on timers.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=2_000_000))]
    waiting: u64,
    /// Seconds until their timers are due. All of them must wait, and the speed beside them be measured, by then.
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u64).range(5..=86_400))]
    wait_seconds: u64,
    /// Orders of each measurement of the speed; there are three without waiting orders and three beside them.
    #[arg(long, default_value_t = 15_000, value_parser = clap::value_parser!(u64).range(50..=1_000_000))]
    round: u64,
    /// Seconds of even load, after that.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// The steady load, as a share of the maximum.
    #[arg(long, default_value_t = 0.4)]
    load: f64,
}

impl Endurance {
    pub(crate) async fn run(&self, setup: &Setup) -> Result<Report> {
        ensure!((0.01..=0.9).contains(&self.load), "--load is from 0.01 to 0.9 of what it can do");
        let tuning = Tuning::delivery_poll(self.wait_seconds * 1_000);
        let environment = Environment::open(setup, tuning).await?;
        eprintln!("storing {} delivered orders, as many as will wait", self.waiting);
        environment.send("stored", self.waiting, None).await?;
        environment.worked_off(0, PATIENCE).await?;
        let without = environment.best_burst("without", self.round, 0).await?;
        let began_to_wait_at = environment.watch.now_s();
        self.let_wait(&environment).await?;
        let beside = environment.best_burst("beside", self.round, self.waiting).await?;
        let waiting = environment.waiting().await?;
        ensure!(
            waiting == self.waiting,
            "{} orders did not wait until the speed beside them was measured ({:.0} s); raise --wait-seconds",
            self.waiting.abs_diff(waiting),
            environment.watch.now_s() - began_to_wait_at
        );
        let even = self.run_evenly(&environment, without.per_s).await?;
        let patience = Duration::from_secs(self.wait_seconds) + PATIENCE;
        environment.worked_off(0, patience).await?;
        let about = "Orders wait on their timers for a carrier that says nothing, beside orders that run; in the end the \
                     timers are due.";
        let (mut report, series) = environment.close("endurance", about).await?;
        report.checks = vec![
            criteria::waiting_is_cheap(waiting, without.per_s, beside.per_s),
            criteria::memory_flat(&series, even),
            criteria::nothing_lost(&report.totals),
        ];
        report.figures = vec![
            Figure::new("without waiting orders", without.per_s, "orders/s"),
            Figure::new("beside waiting orders", beside.per_s, "orders/s"),
            Figure::new("CPU of the workers, without", without.cpu_ms, "ms per order"),
            Figure::new("CPU of the workers, beside", beside.cpu_ms, "ms per order"),
        ];
        Ok(report)
    }

    /// The carrier delivers without a webhook, so every order waits until its timer fires and the carrier is asked.
    async fn let_wait(&self, environment: &Environment) -> Result<()> {
        eprintln!("{} orders begin to wait", self.waiting);
        environment.set_faults(&json!({"webhooks": {"drop_permille": 1_000}})).await?;
        environment.send("waiting", self.waiting, None).await?;
        environment.all_wait(self.waiting).await?;
        environment.set_faults(&json!({})).await?;
        Ok(())
    }

    async fn run_evenly(&self, environment: &Environment, most_per_s: f64) -> Result<Window> {
        let rate = rate(most_per_s, self.load);
        eprintln!("{rate} orders/s for {} s", self.seconds);
        let from_s = environment.watch.now_s();
        environment.send("even", rate * self.seconds, Some(rate)).await?;
        Ok(environment.since(from_s))
    }
}
