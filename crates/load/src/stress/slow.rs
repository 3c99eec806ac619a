//! The payment gateway or the disk of the database is slow for a while. What is learnt: that it is felt, that nothing is lost,
//! and that everything is as before once it is fast again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::json;
use tokio::process::Command;

use super::criteria;
use super::environment::{Environment, TURNS};
use super::ramp::rate;
use super::report::{Figure, Report};
use super::step::{self, Step};
use super::tuning::Tuning;
use crate::bench::PATIENCE;
use crate::setup::Setup;

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

#[derive(Clone, Debug, Args)]
pub(crate) struct SlowGateway {
    #[command(flatten)]
    course: Course,
    /// Milliseconds that each of its answers takes then.
    #[arg(long, default_value_t = 1_500, value_parser = clap::value_parser!(u64).range(1..=4_500))]
    latency_ms: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SlowDisk {
    #[command(flatten)]
    course: Course,
    /// A command for the shell that makes the disk of the database slow.
    #[arg(long, value_name = "COMMAND", requires = "fair")]
    slow: Option<String>,
    /// A command for the shell that makes it what it was.
    #[arg(long, value_name = "COMMAND", requires = "slow")]
    fair: Option<String>,
}

#[derive(Clone, Debug)]
enum Slow {
    Gateway { latency_ms: u64 },
    Disk { slow: String, fair: String },
}

impl SlowGateway {
    pub(crate) async fn run(&self, setup: &Setup) -> Result<Report> {
        let about = "An even load; for a while, every answer of the payment gateway takes long.";
        let slow = Slow::Gateway { latency_ms: self.latency_ms };
        self.course.run(setup, "slow-gateway", about, &slow).await
    }
}

impl SlowDisk {
    pub(crate) async fn run(&self, setup: &Setup) -> Result<Report> {
        let given = self.slow.clone().zip(self.fair.clone());
        let Some((slow, fair)) = given.map_or_else(|| setup.servers.disk(), |given| Ok(Some(given)))? else {
            anyhow::bail!(
                "a program cannot slow a disk down by itself: say how with --slow and --fair, or use --postgres, which has each \
                 flush of a PostgreSQL server of its own take longer"
            );
        };
        let about = "An even load; for a while, the disk of the database is slow.";
        self.course.run(setup, "slow-disk", about, &Slow::Disk { slow, fair }).await
    }
}

impl Course {
    async fn run(
        &self,
        setup: &Setup,
        name: &'static str,
        about: &'static str,
        slow: &Slow,
    ) -> Result<Report> {
        ensure!((0.01..=0.9).contains(&self.load), "--load is from 0.01 to 0.9 of what it can do");
        let environment = Environment::open(setup, Tuning::default()).await?;
        environment.burst("warm-up", self.burst / 4, 0).await?;
        let most = environment.best_burst("capacity before", self.burst, 0).await?;
        let rate = rate(most.per_s, self.load);
        let (time, slow_time) = (Duration::from_secs(self.seconds), Duration::from_secs(self.slow_seconds));
        let mut load = environment.open_loop("even").await?;
        let mut steps = Step::several(&environment, &mut load, "before", rate, time).await?;
        slow.slow_down(&environment).await?;
        let slowed = Step::run(&environment, &mut load, "slow", rate, slow_time).await;
        slow.mend(&environment).await?;
        steps.push(slowed?);
        let mended_at = environment.watch.now_s();
        steps.push(Step::run(&environment, &mut load, "mended", rate, time).await?);
        load.answered().await?;
        environment.worked_off(0, PATIENCE).await?;
        let idle_at = environment.watch.now_s();
        steps.extend(Step::several(&environment, &mut load, "calm", rate, time).await?);
        load.answered().await?;
        environment.worked_off(0, PATIENCE).await?;
        let after = environment.best_burst("capacity afterwards", self.burst, 0).await?;
        let steps = step::reports(&environment, steps).await?;
        // Since then: slow, mended, calm several times.
        let (before, since) = steps.split_at(TURNS);
        let (mut report, series) = environment.close(name, about).await?;
        report.settings.push(slow.told());
        report.checks = vec![
            criteria::felt(&before[0], &since[0]),
            criteria::all_was_sent(&steps),
            criteria::refuses_politely(&steps),
            criteria::memory_bounded(&series, self.memory_mib),
            criteria::nothing_lost(&report.totals),
            criteria::recovered(before, &since[2..]),
            criteria::capacity_again(most.per_s, after.per_s),
        ];
        report.figures = vec![
            Figure::new("at most, before", most.per_s, "orders/s"),
            Figure::new("at most, afterwards", after.per_s, "orders/s"),
            Figure::new("nothing left to do after the mending, load included", idle_at - mended_at, "s"),
        ];
        report.steps = steps;
        Ok(report)
    }
}

impl Slow {
    async fn slow_down(&self, environment: &Environment) -> Result<()> {
        match self {
            Self::Gateway { latency_ms } => {
                let faults = json!({"payments": {"latency_ms": [latency_ms, latency_ms]}});
                environment.set_faults(&faults).await
            }
            Self::Disk { slow, .. } => shell(slow).await,
        }
    }

    async fn mend(&self, environment: &Environment) -> Result<()> {
        match self {
            Self::Gateway { .. } => environment.set_faults(&json!({})).await,
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
