//! Stress tests: more load than can be served, scarce resources, a slow gateway or disk, many waiting orders, many stored ones,
//! people who look at pages, a large backlog, a provider that throttles. Each ends with checks that can fail, and a report over time.

mod backlog;
mod criteria;
mod endurance;
mod environment;
mod growth;
mod pages;
mod ramp;
mod report;
mod series;
mod slow;
mod step;
mod throttled;
mod tuning;
mod watch;

use anyhow::Result;

pub(crate) use backlog::Backlog;
pub(crate) use endurance::Endurance;
pub(crate) use growth::Growth;
pub(crate) use pages::Pages;
pub(crate) use ramp::{PoolOfTwo, Ramp};
pub(crate) use report::Report;
pub(crate) use slow::{SlowDisk, SlowGateway};
pub(crate) use throttled::Throttled;

use crate::setup::Setup;

#[cfg(test)]
use report::tests as report_tests;

/// What to do to it.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Scenario {
    /// Raise an open load to saturation and far beyond, and lower it again: it sheds or queues, and recovers by itself.
    Ramp(Ramp),
    /// The same with two connections to PostgreSQL: scarce, and still correct.
    PoolOfTwo(PoolOfTwo),
    /// The payment gateway answers slowly for a while.
    SlowGateway(SlowGateway),
    /// The database's disk is slow for a while, by commands that you give or that --postgres has.
    SlowDisk(SlowDisk),
    /// Orders that wait on timers beside orders that run, at an even load, until the timers are due.
    Endurance(Endurance),
    /// The speed while the tables grow.
    Growth(Growth),
    /// The operators' page over many stored orders, while others run.
    Pages(Pages),
    /// Orders accepted while no worker runs, then worked off.
    Backlog(Backlog),
    /// Orders placed at once before providers that let few calls a second through.
    Throttled(Throttled),
}

impl Scenario {
    /// Runs it.
    pub(crate) async fn run(&self, setup: &Setup) -> Result<Report> {
        let report = match self {
            Self::Ramp(ramp) => Box::pin(ramp.run(setup)).await,
            Self::PoolOfTwo(pool) => Box::pin(pool.run(setup)).await,
            Self::SlowGateway(slow) => Box::pin(slow.run(setup)).await,
            Self::SlowDisk(slow) => Box::pin(slow.run(setup)).await,
            Self::Endurance(endurance) => Box::pin(endurance.run(setup)).await,
            Self::Growth(growth) => Box::pin(growth.run(setup)).await,
            Self::Pages(pages) => Box::pin(pages.run(setup)).await,
            Self::Backlog(backlog) => Box::pin(backlog.run(setup)).await,
            Self::Throttled(throttled) => Box::pin(throttled.run(setup)).await,
        };
        report.map(Report::judged)
    }
}
