//! Strains: what happens beyond the ordinary measurement. More load than can be served, scarce resources, slow neighbours, many
//! waiting orders, many stored ones, a great backlog. Each ends with judgements that can fail, and a report over time.

mod backlog;
mod books;
mod chart;
mod endurance;
mod flood;
mod growth;
mod judge;
mod page;
mod provider;
mod ramp;
mod report;
mod scene;
mod series;
mod slow;
mod step;
mod tuning;
mod watch;

use anyhow::Result;

pub use backlog::Backlog;
pub use endurance::Endurance;
pub use growth::Growth;
pub use judge::Judgement;
pub use ramp::{PoolOfTwo, Ramp};
pub use report::Report;
pub use slow::{SlowDisk, SlowGateway};

use super::Plan;

#[cfg(test)]
use report::tests as report_tests;

/// What to do to it.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Scenario {
    /// Raise an open load to saturation and far beyond, and lower it again: it sheds or queues, and recovers by itself.
    Ramp(Ramp),
    /// The same with two connections to PostgreSQL: scarce, and still correct.
    PoolOfTwo(PoolOfTwo),
    /// The payment gateway answers slowly for a while.
    SlowGateway(SlowGateway),
    /// The database's disk is slow for a while, by commands that you give or that `cargo xtask strain --postgres` has.
    SlowDisk(SlowDisk),
    /// Orders that wait on timers beside orders that run, at an even load, until the timers are due.
    Endurance(Endurance),
    /// The speed while the tables grow.
    Growth(Growth),
    /// Orders accepted while no worker runs, then worked off.
    Backlog(Backlog),
}

impl Scenario {
    /// Its name, as it is typed.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ramp(_) => "ramp",
            Self::PoolOfTwo(_) => "pool-of-two",
            Self::SlowGateway(_) => "slow-gateway",
            Self::SlowDisk(_) => "slow-disk",
            Self::Endurance(_) => "endurance",
            Self::Growth(_) => "growth",
            Self::Backlog(_) => "backlog",
        }
    }
}

/// Runs a scenario on what the plan names. Of the plan, orders, preload and rate are the scenario's own to choose.
///
/// # Errors
/// What could not be started, or what came to a stop; what must hold and does not is in the report.
pub async fn run(scenario: &Scenario, plan: &Plan) -> Result<Report> {
    let report = match scenario {
        Scenario::Ramp(ramp) => Box::pin(ramp.run(plan)).await,
        Scenario::PoolOfTwo(pool) => Box::pin(pool.run(plan)).await,
        Scenario::SlowGateway(slow) => Box::pin(slow.run(plan)).await,
        Scenario::SlowDisk(slow) => Box::pin(slow.run(plan)).await,
        Scenario::Endurance(endurance) => Box::pin(endurance.run(plan)).await,
        Scenario::Growth(growth) => Box::pin(growth.run(plan)).await,
        Scenario::Backlog(backlog) => Box::pin(backlog.run(plan)).await,
    };
    report.map(Report::judged)
}
