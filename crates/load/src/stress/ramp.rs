//! More and more load, until far more is offered than can be served, and less again. What is learnt: whether it sheds or queues
//! with bounded memory, loses nothing, and is afterwards what it was before.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use super::criteria;
use super::environment::{Environment, TURNS};
use super::report::{Figure, Report};
use super::step::{self, Step};
use super::tuning::Tuning;
use crate::bench::PATIENCE;
use crate::generator::OpenLoop;
use crate::setup::Setup;

/// The steps up to the peak and down again, as shares of the maximum.
const UP: [f64; 3] = [0.25, 0.5, 1.0];
const DOWN: [f64; 3] = [1.0, 0.5, 0.25];

/// Orders per second at most, whatever was measured.
const RATE_MAX: f64 = 100_000.0;

#[derive(Clone, Debug, Args)]
pub(crate) struct Ramp {
    /// Seconds of each step; there are fourteen.
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// The peak, as a multiple of the maximum.
    #[arg(long, default_value_t = 4.0)]
    peak: f64,
    /// Orders with which it is measured what it can do at most, before and afterwards.
    #[arg(long, default_value_t = 12_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    burst: u64,
    /// MiB that the workers may need more than at first.
    #[arg(long, default_value_t = 512.0)]
    memory_mib: f64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct PoolOfTwo {
    #[command(flatten)]
    ramp: Ramp,
}

impl PoolOfTwo {
    pub(crate) async fn run(&self, setup: &Setup) -> Result<Report> {
        ensure!(
            setup.database.is_some(),
            "only PostgreSQL has a pool of connections; name an empty database with --database postgres://…"
        );
        let about = "An open load is raised far beyond saturation and lowered again; each worker has two connections to \
                     PostgreSQL for its units of work.";
        self.ramp.over(setup, Tuning::pool(2), "pool-of-two", about).await
    }
}

impl Ramp {
    pub(crate) async fn run(&self, setup: &Setup) -> Result<Report> {
        let about = "An open load is raised in steps to saturation and far beyond, and lowered again. No refused request is \
                     sent again.";
        self.over(setup, Tuning::default(), "ramp", about).await
    }

    async fn over(
        &self,
        setup: &Setup,
        tuning: Tuning,
        name: &'static str,
        about: &'static str,
    ) -> Result<Report> {
        ensure!((1.5..=20.0).contains(&self.peak), "--peak is from 1.5 to 20 times of what it can do");
        ensure!((0.1..=600.0).contains(&self.seconds), "--seconds is from 0.1 to 600");
        let environment = Environment::open(setup, tuning).await?;
        // The first orders find a process that is not warm yet.
        environment.burst("warm-up", self.burst / 4, 0).await?;
        let before = environment.best_burst("capacity before", self.burst, 0).await?;
        let climbed_at = environment.watch.now_s();
        let mut climbing = environment.open_loop("ramp").await?;
        let calm = rate(before.per_s, UP[0]);
        let mut steps = Step::several(&environment, &mut climbing, "before", calm, self.time()).await?;
        steps.extend(self.climb(&environment, &mut climbing, before.per_s).await?);
        let over_at = environment.watch.now_s();
        climbing.answered().await?;
        environment.worked_off(0, PATIENCE).await?;
        let recovery_s = environment.watch.now_s() - over_at;
        let mut load = environment.open_loop("calm").await?;
        let climbed = steps.len();
        steps.extend(Step::several(&environment, &mut load, "calm", calm, self.time()).await?);
        load.answered().await?;
        environment.worked_off(0, PATIENCE).await?;
        let after = environment.best_burst("capacity afterwards", self.burst, 0).await?;
        let steps = step::reports(&environment, steps).await?;
        let (mut report, series) = environment.close(name, about).await?;
        report.checks = vec![
            criteria::saturated(&steps),
            criteria::all_was_sent(&steps),
            criteria::refuses_politely(&steps),
            criteria::memory_bounded(&series, self.memory_mib),
            criteria::nothing_lost(&report.totals),
            criteria::recovered(&steps[..TURNS], &steps[climbed..]),
            criteria::capacity_again(before.per_s, after.per_s),
        ];
        report.figures = vec![
            Figure::new("at most, before", before.per_s, "orders/s"),
            Figure::new("at most, afterwards", after.per_s, "orders/s"),
            Figure::new("CPU of the workers, before", before.cpu_ms, "ms per order"),
            Figure::new("CPU of the workers, afterwards", after.cpu_ms, "ms per order"),
            Figure::new("worked off after the last step of the ramp", recovery_s, "s"),
            Figure::new("the ramp lasted", over_at - climbed_at, "s"),
        ];
        report.steps = steps;
        Ok(report)
    }

    /// Up and down again.
    async fn climb(
        &self,
        environment: &Environment,
        load: &mut OpenLoop,
        most_per_s: f64,
    ) -> Result<Vec<Step>> {
        let up = UP.iter().map(|share| ("up", *share));
        let peak = [("beyond", self.peak / 2.0), ("peak", self.peak)];
        let down = DOWN.iter().map(|share| ("down", *share));
        let mut steps = Vec::new();
        for (name, share) in up.chain(peak).chain(down) {
            let name = format!("{name}, {:.0} %", share * 100.0);
            steps.push(Step::run(environment, load, &name, rate(most_per_s, share), self.time()).await?);
        }
        Ok(steps)
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

/// A share of the maximum, as a rate.
pub(crate) fn rate(most_per_s: f64, share: f64) -> u64 {
    (most_per_s * share).clamp(1.0, RATE_MAX).round() as u64
}
