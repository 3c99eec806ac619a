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
    let mut accepted = Vec::new();
    environment
        .each_order(None, |order| accepted.push((order.created_at, order.order_id.to_string())))
        .await?;
    let charges = environment.provider.listing("/charges").await?;
    let charged: Vec<&str> = charges.iter().filter_map(|charge| charge["reference"].as_str()).collect();
    places_between(accepted, &charged).context("a charge belongs to no order")
}

/// Orders that were accepted in one transaction have the same age, so each of their places is right for all of them.
fn places_between<T: Copy + Ord>(mut accepted: Vec<(T, String)>, charged: &[&str]) -> Option<Vec<usize>> {
    accepted.sort_unstable();
    let mut right = HashMap::new();
    let mut first = 0;
    for same in accepted.chunk_by(|one, other| one.0 == other.0) {
        let last = first + same.len() - 1;
        right.extend(same.iter().map(|(_, id)| (id.as_str(), (first, last))));
        first = last + 1;
    }
    let away =
        |(at, id): (usize, &&str)| right.get(id).map(|(first, last)| at.abs_diff(at.clamp(*first, *last)));
    charged.iter().enumerate().map(away).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_away_from_the_places_of_all_orders_of_its_age() {
        let accepted = |ages: &[u32]| {
            ages.iter().zip(["a", "b", "c", "d"]).map(|(age, id)| (*age, id.to_owned())).collect()
        };
        let places = |ages: &[u32], charged: &[&str]| places_between(accepted(ages), charged);
        assert_eq!(places(&[1, 2, 3, 4], &["a", "b", "c", "d"]), Some(vec![0, 0, 0, 0]));
        assert_eq!(places(&[1, 2, 3, 4], &["d", "b", "c", "a"]), Some(vec![3, 0, 0, 3]));
        assert_eq!(places(&[1, 1, 1, 4], &["c", "b", "a", "d"]), Some(vec![0, 0, 0, 0]), "one transaction");
        assert_eq!(places(&[1, 1, 3, 4], &["c", "b", "a", "d"]), Some(vec![2, 0, 1, 0]));
        assert_eq!(places(&[1], &["b"]), None);
    }
}
