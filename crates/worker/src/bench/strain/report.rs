//! What a strain says: for people, as JSON for programs, and as a page with charts. Measures and judges nothing.

use std::fmt;

use serde::Serialize;

use super::books::Books;
use super::chart::Chart;
use super::judge::Judgement;
use super::page;
use super::series::Series;
use super::step::StepReport;
use super::tuning::Tuning;
use crate::bench::Plan;

/// Samples in a report at most, about.
const SAMPLES_TOLD_MAX: usize = 600;

/// What a scenario is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// As it is typed.
    pub(super) name: &'static str,
    /// What is done, in a sentence.
    pub(super) about: &'static str,
}

/// One strain.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its name.
    pub scenario: &'static str,
    /// What was done.
    pub about: &'static str,
    /// On what, and what was set otherwise than by default.
    pub settings: Vec<(String, String)>,
    /// Whether everything holds.
    pub holds: bool,
    /// What had to hold.
    pub judgements: Vec<Judgement>,
    /// Single numbers.
    pub figures: Vec<Figure>,
    /// The steps of the load, if it had any.
    pub steps: Vec<StepReport>,
    /// The books of all sides in the end.
    pub books: Books,
    /// What was seen over time.
    pub series: Series,
    /// The same as pictures.
    #[serde(skip)]
    pub charts: Vec<Chart>,
}

/// A number with a name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Of what.
    pub name: &'static str,
    /// How much.
    pub value: f64,
    /// Of which unit.
    pub unit: &'static str,
}

impl Figure {
    pub(super) const fn new(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit }
    }

    /// The number alone, no more exact than it is worth.
    pub(super) fn amount(&self) -> String {
        let digits = match self.value.abs() {
            small if small < 10.0 => 3,
            middling if middling < 100.0 => 1,
            _ => 0,
        };
        format!("{:.digits$}", self.value)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.unit)
    }
}

impl Report {
    /// A report without judgements yet.
    pub(super) fn new(facts: Facts, plan: &Plan, tuning: &Tuning, books: Books, series: &Series) -> Self {
        Self {
            scenario: facts.name,
            about: facts.about,
            settings: settings(plan, tuning),
            holds: false,
            judgements: Vec::new(),
            figures: Vec::new(),
            steps: Vec::new(),
            books,
            series: series.thinned(SAMPLES_TOLD_MAX),
            charts: Vec::new(),
        }
    }

    /// The same with its verdict: everything holds, and something was judged.
    pub(super) fn judged(mut self) -> Self {
        self.holds = !self.judgements.is_empty() && self.judgements.iter().all(|judgement| judgement.holds);
        self
    }

    /// The last line.
    #[must_use]
    pub fn verdict(&self) -> String {
        let fail = self.judgements.iter().filter(|judgement| !judgement.holds);
        let names: Vec<&str> = fail.map(|judgement| judgement.name).collect();
        match self.holds {
            true => format!("verdict: {} holds", self.scenario),
            false => format!("verdict: {} FAILS: {}", self.scenario, names.join("; ")),
        }
    }

    /// A page that needs nothing but itself.
    #[must_use]
    pub fn page(&self) -> String {
        page::page(self)
    }
}

fn settings(plan: &Plan, tuning: &Tuning) -> Vec<(String, String)> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let store = plan.server.as_ref().map_or("SQLite", |_| "PostgreSQL");
    let carrier = if plan.rabbitmq.addresses.is_empty() { "the store" } else { "RabbitMQ" };
    let build = if cfg!(debug_assertions) { "development" } else { "release" };
    let settings = [
        ("store", store.to_owned()),
        ("messages carried by", carrier.to_owned()),
        ("workers", plan.workers.to_string()),
        ("cores for all processes", cores.to_string()),
        ("build", build.to_owned()),
        ("lines of an order", plan.lines.to_string()),
        ("products", plan.products.to_string()),
        ("connections of a closed load", plan.connections.to_string()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(tuning.told()).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.scenario, self.about)?;
        let settings: Vec<String> =
            self.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
        writeln!(f, "{}", settings.join(", "))?;
        for figure in &self.figures {
            writeln!(f, "{:<52} {figure}", figure.name)?;
        }
        for step in &self.steps {
            writeln!(
                f,
                "{:<14} {:>6}/s: offered {}, not sent {}, accepted {}, refused {}, delivered {:.0}/s, backlog {}; accepted in {:.1} ms (p99 {:.0}), delivered in {:.0} ms (p99 {:.0})",
                step.name,
                step.rate,
                step.offered,
                step.unsent,
                step.accepted,
                step.refused,
                step.delivered_per_s,
                step.backlog,
                step.accept_ms.p50,
                step.accept_ms.p99,
                step.delivered_ms.p50,
                step.delivered_ms.p99
            )?;
        }
        self.judgements.iter().try_for_each(|judgement| writeln!(f, "{judgement}"))?;
        writeln!(f, "{}", self.verdict())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::series::Window;
    use super::*;
    use crate::bench::report::Percentiles;

    /// Ten seconds in which everything offered was accepted, delivered at that speed, and all of it took that long.
    pub(in super::super) fn step(rate: u64, delivered_per_s: f64, ms: f64) -> StepReport {
        let took = Percentiles { p50: ms, p90: ms, p99: ms, p999: ms, max: ms };
        StepReport {
            name: "up".to_owned(),
            rate,
            window: Window { from_s: 0.0, to_s: 10.0 },
            seconds: 10.0,
            offered: rate * 10,
            accepted: rate * 10,
            refused: 0,
            refused_without_retry_after: 0,
            failed: 0,
            unanswered: 0,
            unsent: 0,
            delivered_per_s,
            backlog: 0,
            accept_ms: took,
            delivered_ms: took,
        }
    }

    /// A report with these judgements.
    pub(in super::super) fn report(holding: &[bool]) -> Report {
        let judgement =
            |holds: &bool| Judgement { name: "2 < 3 & more", holds: *holds, seen: "1 < 2".to_owned() };
        let report = Report {
            scenario: "ramp",
            about: "More & more.",
            settings: vec![("store".to_owned(), "<SQLite>".to_owned())],
            holds: true,
            judgements: holding.iter().map(judgement).collect(),
            figures: vec![Figure::new("speed", 3_210.4, "orders/s")],
            steps: vec![step(100, 90.0, 10.0)],
            books: Books::default(),
            series: Series::default(),
            charts: vec![Chart::new("a chart", "ms", "seconds").line("a", vec![(0.0, 1.0), (2.0, 3.0)])],
        };
        report.judged()
    }

    #[test]
    fn one_judgement_that_fails_is_enough_and_none_at_all_is_no_verdict() {
        assert!(report(&[true, true]).holds);
        for holding in [&[true, false][..], &[false], &[]] {
            let report = report(holding);
            assert!(!report.holds && report.verdict().contains("FAILS"), "{}", report.verdict());
        }
    }

    #[test]
    fn what_was_not_sent_is_told() {
        let mut report = report(&[true]);
        report.steps[0].unsent = 57;
        assert!(report.to_string().contains("offered 1000, not sent 57, accepted"), "{report}");
    }

    #[test]
    fn the_verdict_is_the_last_line() {
        let text = report(&[true]).to_string();
        assert_eq!(text.lines().last(), Some("verdict: ramp holds"));
    }
}
