//! What a stress test says: for people, and as JSON for programs. Measures and judges nothing.

use std::fmt;

use serde::Serialize;

use super::criteria::Check;
use super::series::Series;
use super::step::StepReport;
use super::tuning::Tuning;
use crate::setup::Setup;
use crate::totals::Totals;

/// Samples in a report at most, about.
const SAMPLES_TOLD_MAX: usize = 600;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: &'static str,
    pub(crate) about: &'static str,
    /// On what, and what was set otherwise than by default.
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) holds: bool,
    #[serde(rename = "judgements")]
    pub(crate) checks: Vec<Check>,
    pub(crate) figures: Vec<Figure>,
    /// The steps of the load, if it had any.
    pub(crate) steps: Vec<StepReport>,
    /// The totals of all sides in the end.
    #[serde(rename = "books")]
    pub(crate) totals: Totals,
    pub(crate) series: Series,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

impl Figure {
    pub(crate) const fn new(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit }
    }

    /// The number alone, no more exact than it is worth.
    pub(crate) fn amount(&self) -> String {
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
    /// A report without checks yet.
    pub(crate) fn new(
        (scenario, about): (&'static str, &'static str),
        setup: &Setup,
        tuning: &Tuning,
        totals: Totals,
        series: &Series,
    ) -> Self {
        Self {
            scenario,
            about,
            settings: settings(setup, tuning),
            holds: false,
            checks: Vec::new(),
            figures: Vec::new(),
            steps: Vec::new(),
            totals,
            series: series.thinned(SAMPLES_TOLD_MAX),
        }
    }

    /// The same with its verdict: everything holds, and something was judged.
    pub(crate) fn judged(mut self) -> Self {
        self.holds = !self.checks.is_empty() && self.checks.iter().all(|check| check.holds);
        self
    }

    #[must_use]
    pub(crate) fn verdict(&self) -> String {
        let fail = self.checks.iter().filter(|check| !check.holds);
        let names: Vec<&str> = fail.map(|check| check.name).collect();
        match self.holds {
            true => format!("verdict: {} holds", self.scenario),
            false => format!("verdict: {} FAILS: {}", self.scenario, names.join("; ")),
        }
    }
}

fn settings(setup: &Setup, tuning: &Tuning) -> Vec<(String, String)> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let store = setup.database.as_ref().map_or("SQLite", |_| "PostgreSQL");
    let build = if cfg!(debug_assertions) { "development" } else { "release" };
    let settings = [
        ("store", store.to_owned()),
        ("messages carried by", setup.carrier().to_owned()),
        ("workers", setup.workers.to_string()),
        ("cores for all processes", cores.to_string()),
        ("build", build.to_owned()),
        ("lines of an order", setup.goods.lines.to_string()),
        ("products", setup.goods.products.to_string()),
        ("connections of a closed load", setup.connections.to_string()),
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
        self.checks.iter().try_for_each(|check| writeln!(f, "{check}"))?;
        writeln!(f, "{}", self.verdict())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::series::Window;
    use super::*;
    use crate::bench::Percentiles;

    /// Ten seconds in which everything offered was accepted, delivered at that speed, and all of it took that long.
    pub(crate) fn step(rate: u64, delivered_per_s: f64, ms: f64) -> StepReport {
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

    /// A report with these checks.
    pub(crate) fn report(holding: &[bool]) -> Report {
        let check = |holds: &bool| Check { name: "2 < 3 & more", holds: *holds, seen: "1 < 2".to_owned() };
        let report = Report {
            scenario: "ramp",
            about: "More & more.",
            settings: vec![("store".to_owned(), "<SQLite>".to_owned())],
            holds: true,
            checks: holding.iter().map(check).collect(),
            figures: vec![Figure::new("speed", 3_210.4, "orders/s")],
            steps: vec![step(100, 90.0, 10.0)],
            totals: Totals::default(),
            series: Series::default(),
        };
        report.judged()
    }

    #[test]
    fn one_check_that_fails_is_enough_and_none_at_all_is_no_verdict() {
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
