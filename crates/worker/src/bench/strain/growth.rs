//! Throughput while the tables grow: a closed loop with a bound on open orders, so that it measures the whole
//! pipeline and not acceptance alone. Then the cost of growth: a large store and a small one, in turn under the same
//! load, so that other work on the machine affects both.

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::chart::{self, Chart};
use super::judge;
use super::report::{Facts, Figure, Report};
use super::scene::{Burst, Scene, TURNS};
use super::series::{Series, Window};
use super::tuning::Tuning;
use crate::bench::{PATIENCE, Plan};
use crate::config::{BrokerAddresses, DatabaseAddress};
use crate::tell;

/// Orders stored from which on the speed at the beginning is measured, and with which the small store is measured: by then the
/// process is warm.
const BEGINNING: u64 = 10_000;

/// The share of all orders over which a speed is measured: long enough that the machine's own ups and downs, which last for
/// seconds, do not decide.
const SPAN: f64 = 0.2;

/// Points of the curve.
const POINTS: u64 = 50;

/// How far.
#[derive(Clone, Debug, Args)]
pub struct Growth {
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
    pub(super) async fn run(&self, plan: &Plan) -> Result<Report> {
        let tuning = Tuning::default();
        let small_plan = self.small_plan(plan)?;
        let scene = Scene::open(plan, &tuning).await?;
        tell!("{} orders, {} on their way at once", self.orders, self.in_hand);
        scene.send_in_hand("growth", self.orders, self.in_hand).await?;
        scene.worked_off(0, PATIENCE).await?;
        let small = Scene::open(&small_plan, &tuning).await?;
        small.send("small", BEGINNING, None).await?;
        small.worked_off(0, PATIENCE).await?;
        let compared = self.in_turn(&scene, &small).await?;
        let (small_books, _) = small.close().await?;
        ensure!(small_books.wrongs().is_empty(), "in the small store: {}", small_books.wrongs().join("; "));
        let (books, series) = scene.close().await?;
        let facts = Facts {
            name: "growth",
            about: "Orders are accepted and delivered as fast as it goes while the tables grow; then the grown store and a small one are \
                    measured in turn.",
        };
        let mut report = Report::new(facts, plan, &tuning, books, &series);
        let (early, late) = self.spans();
        let speed = |(from, to): (u64, u64)| (from, series.speed_between(from, to));
        report.judgements = vec![
            judge::keeps_speed(self.orders, compared.grown.per_s, compared.small.per_s),
            judge::memory_flat(&series, self.growing(&series)),
            judge::nothing_lost(&report.books),
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
        report.charts = vec![
            self.speeds(&series),
            self.costs(&series),
            chart::rates(&series),
            chart::backlog(&series),
            chart::memory(&series),
        ];
        Ok(report)
    }

    /// The same plan for a store that stays small.
    fn small_plan(&self, plan: &Plan) -> Result<Plan> {
        let mut small = Plan { folder: plan.folder.join("small"), ..plan.clone() };
        std::fs::create_dir_all(&small.folder)
            .with_context(|| format!("cannot make {}", small.folder.display()))?;
        if plan.server.is_some() {
            let address = self.small_database.as_deref();
            let address =
                address.context("name another empty database of the same server with --small-database")?;
            small.server = Some(DatabaseAddress::from(address));
        }
        if !plan.rabbitmq.addresses.is_empty() {
            let address = self.small_broker.as_deref();
            let address =
                address.context("name another virtual host of the same broker with --small-broker")?;
            small.rabbitmq.addresses = BrokerAddresses::from(address);
        }
        Ok(small)
    }

    /// Both stores in turn, under the same load.
    async fn in_turn(&self, grown: &Scene, small: &Scene) -> Result<Compared> {
        let mut compared = Compared { grown: Burst::NONE, small: Burst::NONE };
        for turn in 1..=TURNS {
            let run = format!("turn {turn}");
            let (large, little) =
                (grown.burst(&run, self.turn, 0).await?, small.burst(&run, self.turn, 0).await?);
            tell!("{run}: {:.0} orders/s grown, {:.0} small", large.per_s, little.per_s);
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

    fn speeds(&self, series: &Series) -> Chart {
        let speed = |(from, to)| series.speed_between(from, to);
        self.curve("delivered per second, by orders stored", "orders/s", speed)
    }

    fn costs(&self, series: &Series) -> Chart {
        let cost = |span| Some(cpu_ms(series, span));
        self.curve("CPU of the workers per order, by orders stored", "ms", cost)
    }

    fn curve(&self, title: &str, unit: &str, value: impl Fn((u64, u64)) -> Option<f64>) -> Chart {
        let leg = (self.orders / POINTS).max(1);
        let point = |number: u64| {
            let (from, to) = (number * leg, (number + 1) * leg);
            Some(((from + to) as f64 / 2.0, value((from, to))?))
        };
        let points = (0..POINTS).filter_map(point).collect();
        Chart::new(title, unit, "orders stored").line(title, points)
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
