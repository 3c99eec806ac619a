//! Orders placed at once before providers that let few calls a second through, by a service with a call budget of that rate.
//! What is learnt: that the backlog costs orders nothing but time, is worked off by age, and lies in the store, not in memory.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::criteria;
use super::environment::Environment;
use super::report::{Figure, Report};
use super::tuning::Tuning;
use crate::bench::PATIENCE;
use crate::setup::Setup;

#[derive(Clone, Debug, Args)]
pub(crate) struct Throttled {
    /// Orders placed at once.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    orders: u64,
    /// Calls that each provider lets through in a second, and the service's budget.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    per_second: u32,
}

impl Throttled {
    pub(crate) async fn run(&self, setup: &Setup) -> Result<Report> {
        let wait = Duration::from_secs(2 * self.orders / u64::from(self.per_second));
        let environment = Environment::open(setup, Tuning::call_budget(self.per_second, wait)).await?;
        let rate = json!({ "rate_per_second": self.per_second });
        environment.set_faults(&json!({ "payments": rate, "shipping": rate })).await?;
        let from_s = environment.watch.now_s();
        environment.send("throttled", self.orders, None).await?;
        environment.watch.look().await;
        let accepting = environment.since(from_s);
        eprintln!(
            "{} orders accepted in {:.1} s; now they wait for the gateway",
            self.orders,
            accepting.seconds()
        );
        environment.worked_off(0, PATIENCE).await?;
        let backlog = environment.since(accepting.to_s);
        let stats = environment.provider.get("/stats").await?;
        let displaced = displaced(&environment).await?;
        let about = "Orders are placed at once; payment gateway and carrier let few calls a second through, and the service \
                     keeps to that rate.";
        let (mut report, series) = environment.close("throttled", about).await?;
        report
            .settings
            .push(("calls a second that each provider lets through".to_owned(), self.per_second.to_string()));
        report.checks = vec![
            criteria::nothing_lost(&report.totals),
            criteria::asked_once(self.orders, &stats),
            criteria::by_age(self.orders, self.per_second, &displaced),
            criteria::backlog_costs_no_memory(&series, accepting, backlog),
        ];
        report.figures = vec![
            Figure::new("accepted", self.orders as f64 / accepting.seconds().max(1e-6), "orders/s"),
            Figure::new("worked off", series.speed(backlog, |sample| sample.delivered), "orders/s"),
            Figure::new("in", backlog.seconds(), "s"),
            Figure::new("memory of the workers at most", series.memory_most(series.whole()), "MiB"),
        ];
        Ok(report)
    }
}

/// For each charge, in the order in which they were made: the places between that and its order's age.
async fn displaced(environment: &Environment) -> Result<Vec<usize>> {
    let mut by_age = Vec::new();
    environment.each_order(None, |order| by_age.push((order.created_at, order.order_id))).await?;
    by_age.sort_unstable();
    let places: HashMap<String, usize> =
        by_age.iter().enumerate().map(|(place, (_, id))| (id.to_string(), place)).collect();
    let charges = environment.provider.listing("/charges").await?;
    let place = |(at, charge): (usize, &serde_json::Value)| {
        let order = charge["reference"].as_str().and_then(|id| places.get(id));
        Ok(at.abs_diff(*order.context("a charge belongs to an order")?))
    };
    charges.iter().enumerate().map(place).collect()
}
