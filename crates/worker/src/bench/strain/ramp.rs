//! More and more load, until far more is offered than can be served, and less again. What is learnt: whether it sheds or queues
//! with bounded memory, loses nothing, and is afterwards what it was before.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use super::chart::{self, Chart};
use super::flood::Flood;
use super::judge;
use super::report::{Facts, Figure, Report};
use super::scene::{Scene, TURNS};
use super::step::{self, Step, StepReport};
use super::tuning::Tuning;
use crate::bench::{PATIENCE, Plan};

/// The steps up to the peak and down again, as shares of the maximum.
const UP: [f64; 3] = [0.25, 0.5, 1.0];
const DOWN: [f64; 3] = [1.0, 0.5, 0.25];

/// Orders per second at most, whatever was measured.
const RATE_MAX: f64 = 100_000.0;

/// How high, and how long.
#[derive(Clone, Debug, Args)]
pub struct Ramp {
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

/// The same, with two connections.
#[derive(Clone, Debug, Args)]
pub struct PoolOfTwo {
    #[command(flatten)]
    ramp: Ramp,
}

impl PoolOfTwo {
    pub(super) async fn run(&self, plan: &Plan) -> Result<Report> {
        ensure!(
            plan.server.is_some(),
            "only PostgreSQL has a pool of connections; name an empty database with --database postgres://…"
        );
        let facts = Facts {
            name: "pool-of-two",
            about: "An open load is raised far beyond saturation and lowered again; each worker has two connections to PostgreSQL for its units of work.",
        };
        self.ramp.over(plan, &Tuning::pool(2), facts).await
    }
}

impl Ramp {
    pub(super) async fn run(&self, plan: &Plan) -> Result<Report> {
        let facts = Facts {
            name: "ramp",
            about: "An open load is raised in steps to saturation and far beyond, and lowered again. Nobody sends a refused request again.",
        };
        self.over(plan, &Tuning::default(), facts).await
    }

    async fn over(&self, plan: &Plan, tuning: &Tuning, facts: Facts) -> Result<Report> {
        ensure!((1.5..=20.0).contains(&self.peak), "--peak is from 1.5 to 20 times of what it can do");
        ensure!((0.1..=600.0).contains(&self.seconds), "--seconds is from 0.1 to 600");
        let scene = Scene::open(plan, tuning).await?;
        // The first orders find a process that is not warm yet.
        scene.burst("warm-up", self.burst / 4, 0).await?;
        let before = scene.best_burst("capacity before", self.burst, 0).await?;
        let climbed_at = scene.watch.now_s();
        let mut climbing = scene.flood("ramp").await?;
        let calm = rate(before.per_s, UP[0]);
        let mut steps = Step::several(&scene, &mut climbing, "before", calm, self.time()).await?;
        steps.extend(self.climb(&scene, &mut climbing, before.per_s).await?);
        let over_at = scene.watch.now_s();
        climbing.answered().await?;
        scene.worked_off(0, PATIENCE).await?;
        let recovery_s = scene.watch.now_s() - over_at;
        let mut flood = scene.flood("calm").await?;
        let climbed = steps.len();
        steps.extend(Step::several(&scene, &mut flood, "calm", calm, self.time()).await?);
        flood.answered().await?;
        scene.worked_off(0, PATIENCE).await?;
        let after = scene.best_burst("capacity afterwards", self.burst, 0).await?;
        let steps = step::reports(&scene, steps).await?;
        let (books, series) = scene.close().await?;
        let mut report = Report::new(facts, plan, tuning, books, &series);
        report.judgements = vec![
            judge::saturated(&steps),
            judge::all_was_sent(&steps),
            judge::refuses_politely(&steps),
            judge::memory_bounded(&series, self.memory_mib),
            judge::nothing_lost(&report.books),
            judge::recovered(&steps[..TURNS], &steps[climbed..]),
            judge::capacity_again(before.per_s, after.per_s),
        ];
        report.figures = vec![
            Figure::new("at most, before", before.per_s, "orders/s"),
            Figure::new("at most, afterwards", after.per_s, "orders/s"),
            Figure::new("CPU of the workers, before", before.cpu_ms, "ms per order"),
            Figure::new("CPU of the workers, afterwards", after.cpu_ms, "ms per order"),
            Figure::new("worked off after the last step of the ramp", recovery_s, "s"),
            Figure::new("the ramp lasted", over_at - climbed_at, "s"),
        ];
        report.charts = charts(&series, &steps);
        report.steps = steps;
        Ok(report)
    }

    /// Up and down again.
    async fn climb(&self, scene: &Scene, flood: &mut Flood, most_per_s: f64) -> Result<Vec<Step>> {
        let up = UP.iter().map(|share| ("up", *share));
        let peak = [("beyond", self.peak / 2.0), ("peak", self.peak)];
        let down = DOWN.iter().map(|share| ("down", *share));
        let mut steps = Vec::new();
        for (name, share) in up.chain(peak).chain(down) {
            let name = format!("{name}, {:.0} %", share * 100.0);
            steps.push(Step::run(scene, flood, &name, rate(most_per_s, share), self.time()).await?);
        }
        Ok(steps)
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

/// A share of the maximum, as a rate.
pub(super) fn rate(most_per_s: f64, share: f64) -> u64 {
    (most_per_s * share).clamp(1.0, RATE_MAX).round() as u64
}

/// The charts of everything that has steps.
pub(super) fn charts(series: &super::series::Series, steps: &[StepReport]) -> Vec<Chart> {
    let bands = chart::bands(steps);
    vec![
        chart::rates(series).over(&bands),
        chart::backlog(series).over(&bands),
        chart::latencies(steps).over(&bands),
        chart::memory(series).over(&bands),
    ]
}
