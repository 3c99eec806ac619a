//! Throughput while the tables grow: a closed loop with a bound on open orders, so that it measures the whole
//! pipeline and not acceptance alone. Then the cost of growth: a large store and a small one, in turn under the same
//! load, so that other work on the machine affects both.

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::criteria;
use super::environment::{Burst, Environment, TURNS};
use super::report::{Figure, Report};
use super::series::{Series, Window};
use super::tuning::Tuning;
use crate::bench::PATIENCE;
use crate::setup::Setup;
use worker::config::{BrokerAddresses, DatabaseAddress};

/// Orders stored from which on the speed at the beginning is measured, and with which the small store is measured: by then the
/// process is warm.
const BEGINNING: u64 = 10_000;

/// The share of all orders over which a speed is measured: long enough that the machine's own ups and downs, which last for
/// seconds, do not decide.
const SPAN: f64 = 0.2;

#[derive(Clone, Debug, Args)]
pub(crate) struct Growth {
    /// Orders stored at the end.
    #[arg(long, default_value_t = 250_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    orders: u64,
    /// Orders on their way at once.
    #[arg(long, default_value_t = 4_096, value_parser = clap::value_parser!(u64).range(16..=100_000))]
    in_hand: u64,
    /// Orders of each of the three turns in which the grown store is measured, and the small one beside it.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    turn: u64,
    /// Another empty database on the same server, for the small store; with a file it is another file.
    #[arg(long, value_name = "ADDRESS")]
    small_database: Option<String>,
    /// Another virtual host of the same broker, for the small store.
    #[arg(long, value_name = "ADDRESS")]
    small_broker: Option<String>,
}

/// The best turn of either store.
struct Compared {
    grown: Burst,
    small: Burst,
}

impl Growth {
    pub(crate) async fn run(&self, setup: &Setup) -> Result<Report> {
        let small_setup = self.small_setup(setup)?;
        let environment = Environment::open(setup, Tuning::default()).await?;
        eprintln!("{} orders, {} on their way at once", self.orders, self.in_hand);
        environment.send_in_hand("growth", self.orders, self.in_hand).await?;
        environment.worked_off(0, PATIENCE).await?;
        let small = Environment::open(&small_setup, Tuning::default()).await?;
        small.send("small", BEGINNING, None).await?;
        small.worked_off(0, PATIENCE).await?;
        let compared = self.in_turn(&environment, &small).await?;
        let about = "Orders are accepted and delivered as fast as it goes while the tables grow; then the grown store and a \
                     small one are measured in turn.";
        let (beside, _) = small.close("growth", about).await?;
        let wrongs = beside.totals.wrongs();
        ensure!(wrongs.is_empty(), "in the small store: {}", wrongs.join("; "));
        let (mut report, series) = environment.close("growth", about).await?;
        let (early, late) = self.spans();
        let speed = |(from, to): (u64, u64)| (from, series.speed_between(from, to));
        report.checks = vec![
            criteria::keeps_speed(self.orders, compared.grown.per_s, compared.small.per_s),
            criteria::memory_flat(&series, self.growing(&series)),
            criteria::nothing_lost(&report.totals),
        ];
        report.figures = vec![
            Figure::new("the grown store", compared.grown.per_s, "orders/s"),
            Figure::new("the small store beside it", compared.small.per_s, "orders/s"),
            Figure::new("CPU of the workers, grown", compared.grown.cpu_ms, "ms per order"),
            Figure::new("CPU of the workers, small", compared.small.cpu_ms, "ms per order"),
            Figure::new("speed at the beginning", speed(early).1.unwrap_or(0.0), "orders/s"),
            Figure::new("speed at the end", speed(late).1.unwrap_or(0.0), "orders/s"),
            Figure::new("CPU of the workers at the beginning", cpu_ms(&series, early), "ms per order"),
            Figure::new("CPU of the workers at the end", cpu_ms(&series, late), "ms per order"),
        ];
        Ok(report)
    }

    /// The same plan for a store that stays small.
    fn small_setup(&self, setup: &Setup) -> Result<Setup> {
        let mut small = Setup { folder: setup.folder.join("small"), ..setup.clone() };
        if setup.database.is_some() {
            let given = self.small_database.as_deref().map(DatabaseAddress::from);
            let database = given.map_or_else(|| setup.servers.database(), |given| Ok(Some(given)))?;
            ensure!(
                database.is_some(),
                "name another empty database of the same server with --small-database"
            );
            small.database = database;
        }
        if !setup.rabbitmq.addresses.is_empty() {
            let given = self.small_broker.as_deref().map(BrokerAddresses::from);
            let broker = given.map_or_else(|| setup.servers.broker(), |given| Ok(Some(given)))?;
            small.rabbitmq.addresses =
                broker.context("name another virtual host of the same broker with --small-broker")?;
        }
        Ok(small)
    }

    /// Both stores in turn, under the same load.
    async fn in_turn(&self, grown: &Environment, small: &Environment) -> Result<Compared> {
        let mut compared = Compared { grown: Burst::NONE, small: Burst::NONE };
        for turn in 1..=TURNS {
            let run = format!("turn {turn}");
            let (large, little) =
                (grown.burst(&run, self.turn, 0).await?, small.burst(&run, self.turn, 0).await?);
            eprintln!("{run}: {:.0} orders/s grown, {:.0} small", large.per_s, little.per_s);
            compared =
                Compared { grown: compared.grown.or_better(large), small: compared.small.or_better(little) };
        }
        Ok(compared)
    }

    /// The time in which the tables grow.
    fn growing(&self, series: &Series) -> Window {
        series.between(0, self.orders).unwrap_or_else(|| series.whole())
    }

    /// The orders over which the speed at the beginning is measured, and those for the end. The very last are delivered while
    /// nothing is accepted any more, and count for neither.
    fn spans(&self) -> ((u64, u64), (u64, u64)) {
        let span = ((self.orders as f64 * SPAN) as u64).max(1);
        let beginning = BEGINNING.min(self.orders / 10);
        let end = self.orders.saturating_sub(self.in_hand.min(self.orders / 10));
        ((beginning, beginning + span), (end - span, end))
    }
}

fn cpu_ms(series: &Series, (from, to): (u64, u64)) -> f64 {
    let Some(window) = series.between(from, to) else { return 0.0 };
    let cpu = |at_s: f64| series.at(at_s, |sample| sample.cpu_s);
    (cpu(window.to_s) - cpu(window.from_s)) * 1e3 / (to - from) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth(orders: u64, in_hand: u64) -> Growth {
        Growth { orders, in_hand, turn: 1, small_database: None, small_broker: None }
    }

    #[test]
    fn both_spans_lie_within_what_is_sent_and_do_not_meet() {
        for orders in [1_000, 20_000, 250_000, 1_000_000, 10_000_000] {
            for in_hand in [16, 4_096, 100_000] {
                let ((early_from, early_to), (late_from, late_to)) = growth(orders, in_hand).spans();
                assert!(early_from < early_to && early_to < late_from, "{orders} {in_hand}");
                assert!(late_from < late_to && late_to <= orders, "{orders} {in_hand}");
            }
        }
    }
}
