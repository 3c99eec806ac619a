//! Long waiting beside short work: a hundred thousand orders wait on their timers for a carrier that says nothing, others run at
//! an even load, and at last the timers are due. An hour of that fits into minutes, as only the timers' length is an hour's.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::json;

use super::chart::{self, Band};
use super::judge;
use super::ramp::rate;
use super::report::{Facts, Figure, Report};
use super::scene::{Burst, Scene};
use super::series::Window;
use super::tuning::Tuning;
use crate::bench::{PATIENCE, Plan};
use crate::tell;

/// How many wait, how many run, how long.
#[derive(Clone, Debug, Args)]
pub struct Endurance {
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
    pub(super) async fn run(&self, plan: &Plan) -> Result<Report> {
        ensure!((0.01..=0.9).contains(&self.load), "--load is from 0.01 to 0.9 of what it can do");
        let tuning = Tuning::delivery_poll(self.wait_seconds * 1_000);
        let scene = Scene::open(plan, &tuning).await?;
        let mut bands = Vec::new();
        tell!("storing {} delivered orders, as many as will wait", self.waiting);
        scene.send("stored", self.waiting, None).await?;
        scene.worked_off(0, PATIENCE).await?;
        let without = rounds(&scene, "without", self.round, 0, &mut bands).await?;
        let began_to_wait_at = scene.watch.now_s();
        self.let_wait(&scene, &mut bands).await?;
        let beside = rounds(&scene, "beside", self.round, self.waiting, &mut bands).await?;
        let waiting = scene.waiting().await?;
        ensure!(
            waiting == self.waiting,
            "{} orders did not wait until the speed beside them was measured ({:.0} s); raise --wait-seconds",
            self.waiting.abs_diff(waiting),
            scene.watch.now_s() - began_to_wait_at
        );
        let even = self.run_evenly(&scene, without.per_s, &mut bands).await?;
        let patience = Duration::from_secs(self.wait_seconds) + PATIENCE;
        scene.worked_off(0, patience).await?;
        let (books, series) = scene.close().await?;
        let facts = Facts {
            name: "endurance",
            about: "Orders wait on their timers for a carrier that says nothing, beside orders that run; in the end the timers are due.",
        };
        let mut report = Report::new(facts, plan, &tuning, books, &series);
        report.judgements = vec![
            judge::waiting_is_cheap(waiting, without.per_s, beside.per_s),
            judge::memory_flat(&series, even),
            judge::nothing_lost(&report.books),
        ];
        report.figures = vec![
            Figure::new("without waiting orders", without.per_s, "orders/s"),
            Figure::new("beside waiting orders", beside.per_s, "orders/s"),
            Figure::new("CPU of the workers, without", without.cpu_ms, "ms per order"),
            Figure::new("CPU of the workers, beside", beside.cpu_ms, "ms per order"),
        ];
        let charts = [chart::rates(&series), chart::backlog(&series), chart::memory(&series)];
        report.charts = charts.into_iter().map(|chart| chart.over(&bands)).collect();
        Ok(report)
    }

    /// The carrier delivers without a webhook, so every order waits until its timer fires and the carrier is asked.
    async fn let_wait(&self, scene: &Scene, bands: &mut Vec<Band>) -> Result<()> {
        tell!("{} orders begin to wait", self.waiting);
        let from_s = scene.watch.now_s();
        scene.provider.set_faults(&json!({"webhooks": {"drop_permille": 1_000}})).await?;
        scene.send("waiting", self.waiting, None).await?;
        scene.all_wait(self.waiting).await?;
        scene.provider.set_faults(&json!({})).await?;
        bands.push(Band::new("they begin to wait", scene.since(from_s)));
        Ok(())
    }

    async fn run_evenly(&self, scene: &Scene, most_per_s: f64, bands: &mut Vec<Band>) -> Result<Window> {
        let rate = rate(most_per_s, self.load);
        tell!("{rate} orders/s for {} s", self.seconds);
        let from_s = scene.watch.now_s();
        scene.send("even", rate * self.seconds, Some(rate)).await?;
        let even = scene.since(from_s);
        bands.push(Band::new("even load", even));
        Ok(even)
    }
}

async fn rounds(
    scene: &Scene,
    name: &str,
    orders: u64,
    waiting: u64,
    bands: &mut Vec<Band>,
) -> Result<Burst> {
    let from_s = scene.watch.now_s();
    let best = scene.best_burst(name, orders, waiting).await?;
    let name = if waiting == 0 { "without waiting" } else { "beside waiting" };
    bands.push(Band::new(name, scene.since(from_s)));
    Ok(best)
}
