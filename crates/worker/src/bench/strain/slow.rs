//! A neighbour that is slow for a while: the payment gateway, or the disk of the database. What is learnt: that it is felt, that
//! nothing is lost, and that everything is as before once the neighbour is.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::json;
use tokio::process::Command;

use super::judge;
use super::ramp::{charts, rate};
use super::report::{Facts, Figure, Report};
use super::scene::{Scene, TURNS};
use super::step::{self, Step};
use super::tuning::Tuning;
use crate::bench::{PATIENCE, Plan};

/// How much load, and how long.
#[derive(Clone, Debug, Args)]
struct Course {
    /// Seconds of each of the seven steps in which it is not slow: three before, one right after, and three once nothing is left to do.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Seconds in which it is slow.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    slow_seconds: u64,
    /// The load, as a share of the maximum.
    #[arg(long, default_value_t = 0.25)]
    load: f64,
    /// Orders with which it is measured what it can do at most.
    #[arg(long, default_value_t = 12_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    burst: u64,
    /// MiB that the workers may need more than at first.
    #[arg(long, default_value_t = 512.0)]
    memory_mib: f64,
}

/// The gateway.
#[derive(Clone, Debug, Args)]
pub struct SlowGateway {
    #[command(flatten)]
    course: Course,
    /// Milliseconds that each of its answers takes then.
    #[arg(long, default_value_t = 1_500, value_parser = clap::value_parser!(u64).range(1..=4_500))]
    latency_ms: u64,
}

/// The disk.
#[derive(Clone, Debug, Args)]
pub struct SlowDisk {
    #[command(flatten)]
    course: Course,
    /// A command for the shell that makes the disk of the database slow.
    #[arg(long, value_name = "COMMAND", requires = "fair")]
    slow: Option<String>,
    /// A command for the shell that makes it what it was.
    #[arg(long, value_name = "COMMAND", requires = "slow")]
    fair: Option<String>,
}

/// What is slow.
#[derive(Clone, Debug)]
enum Neighbour {
    Gateway { latency_ms: u64 },
    Disk { slow: String, fair: String },
}

impl SlowGateway {
    pub(super) async fn run(&self, plan: &Plan) -> Result<Report> {
        let facts = Facts {
            name: "slow-gateway",
            about: "An even load; for a while, every answer of the payment gateway takes long.",
        };
        self.course.run(plan, facts, &Neighbour::Gateway { latency_ms: self.latency_ms }).await
    }
}

impl SlowDisk {
    pub(super) async fn run(&self, plan: &Plan) -> Result<Report> {
        let (Some(slow), Some(fair)) = (self.slow.clone(), self.fair.clone()) else {
            anyhow::bail!(
                "a program cannot slow a disk down by itself: say how with --slow and --fair, or let `cargo xtask strain --postgres \
                 slow-disk` have each flush of a PostgreSQL server of its own take longer"
            );
        };
        let facts = Facts {
            name: "slow-disk",
            about: "An even load; for a while, the disk of the database is slow.",
        };
        self.course.run(plan, facts, &Neighbour::Disk { slow, fair }).await
    }
}

impl Course {
    async fn run(&self, plan: &Plan, facts: Facts, neighbour: &Neighbour) -> Result<Report> {
        ensure!((0.01..=0.9).contains(&self.load), "--load is from 0.01 to 0.9 of what it can do");
        let tuning = Tuning::default();
        let scene = Scene::open(plan, &tuning).await?;
        scene.burst("warm-up", self.burst / 4, 0).await?;
        let most = scene.best_burst("capacity before", self.burst, 0).await?;
        let rate = rate(most.per_s, self.load);
        let (time, slow_time) = (Duration::from_secs(self.seconds), Duration::from_secs(self.slow_seconds));
        let mut flood = scene.flood("even").await?;
        let mut steps = Step::several(&scene, &mut flood, "before", rate, time).await?;
        neighbour.slow_down(&scene).await?;
        let slowed = Step::run(&scene, &mut flood, "slow", rate, slow_time).await;
        neighbour.mend(&scene).await?;
        steps.push(slowed?);
        let mended_at = scene.watch.now_s();
        steps.push(Step::run(&scene, &mut flood, "mended", rate, time).await?);
        flood.answered().await?;
        scene.worked_off(0, PATIENCE).await?;
        let idle_at = scene.watch.now_s();
        steps.extend(Step::several(&scene, &mut flood, "calm", rate, time).await?);
        flood.answered().await?;
        scene.worked_off(0, PATIENCE).await?;
        let after = scene.best_burst("capacity afterwards", self.burst, 0).await?;
        let steps = step::reports(&scene, steps).await?;
        // Since then: slow, mended, calm several times.
        let (before, since) = steps.split_at(TURNS);
        let (books, series) = scene.close().await?;
        let mut report = Report::new(facts, plan, &tuning, books, &series);
        report.settings.push(neighbour.told());
        report.judgements = vec![
            judge::felt(&before[0], &since[0]),
            judge::all_was_sent(&steps),
            judge::refuses_politely(&steps),
            judge::memory_bounded(&series, self.memory_mib),
            judge::nothing_lost(&report.books),
            judge::recovered(before, &since[2..]),
            judge::capacity_again(most.per_s, after.per_s),
        ];
        report.figures = vec![
            Figure::new("at most, before", most.per_s, "orders/s"),
            Figure::new("at most, afterwards", after.per_s, "orders/s"),
            Figure::new("nothing left to do after the mending, load included", idle_at - mended_at, "s"),
        ];
        report.charts = charts(&series, &steps);
        report.steps = steps;
        Ok(report)
    }
}

impl Neighbour {
    async fn slow_down(&self, scene: &Scene) -> Result<()> {
        match self {
            Self::Gateway { latency_ms } => {
                let faults = json!({"payments": {"latency_ms": [latency_ms, latency_ms]}});
                scene.provider.set_faults(&faults).await
            }
            Self::Disk { slow, .. } => shell(slow).await,
        }
    }

    async fn mend(&self, scene: &Scene) -> Result<()> {
        match self {
            Self::Gateway { .. } => scene.provider.set_faults(&json!({})).await,
            Self::Disk { fair, .. } => shell(fair).await,
        }
    }

    fn told(&self) -> (String, String) {
        match self {
            Self::Gateway { latency_ms } => {
                ("every answer of the gateway takes".to_owned(), format!("{latency_ms} ms"))
            }
            Self::Disk { slow, .. } => ("the disk is slowed down by".to_owned(), slow.clone()),
        }
    }
}

async fn shell(command: &str) -> Result<()> {
    let ran = Command::new("sh").args(["-c", command]).output().await.context("there is no shell")?;
    ensure!(
        ran.status.success(),
        "'{command}' ended with {}: {}",
        ran.status,
        String::from_utf8_lossy(&ran.stderr)
    );
    Ok(())
}
