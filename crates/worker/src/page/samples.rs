//! The last minutes of the service in figures, for the lines of the overview: one sample every few seconds.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use application::ports::Overview;
use tokio::time::Instant;

use crate::metrics::{Metric, Registry};

/// How often a sample is taken, and how many are kept: ten minutes of them.
pub(super) const EVERY: Duration = Duration::from_secs(5);
const KEPT: usize = 120;

/// The samples of this process.
#[derive(Default)]
pub(super) struct Samples(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    lines: VecDeque<Sample>,
    before: Option<(Instant, Totals)>,
}

/// What counts up.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    accepted: f64,
    delivered: f64,
    latency_seconds: f64,
    latency_orders: f64,
}

/// One sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// Orders accepted a second.
    pub(super) accepted: f64,
    /// Orders delivered a second.
    pub(super) delivered: f64,
    /// Messages that wait.
    pub(super) backlog: f64,
    /// Seconds from acceptance to delivery, on average, of those that this worker saw delivered.
    pub(super) latency: f64,
}

impl Samples {
    /// Whether it is time for the next one.
    pub(super) fn are_due(&self, now: Instant) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.before.is_none_or(|(at, _)| now.duration_since(at) >= EVERY)
    }

    /// Takes one from these figures.
    pub(super) fn take(&self, now: Instant, overview: &Overview, registry: &Registry) {
        let totals = Totals::of(overview, registry);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((at, before)) = kept.before.replace((now, totals)) else { return };
        let seconds = now.duration_since(at).as_secs_f64().max(0.001);
        let rate = |now: f64, before: f64| ((now - before) / seconds).max(0.0);
        let orders = totals.latency_orders - before.latency_orders;
        let spent = totals.latency_seconds - before.latency_seconds;
        let sample = Sample {
            accepted: rate(totals.accepted, before.accepted),
            delivered: rate(totals.delivered, before.delivered),
            backlog: overview.queues.iter().map(|(_, waiting)| *waiting as f64).sum(),
            latency: if orders > 0.0 { spent / orders } else { 0.0 },
        };
        if kept.lines.len() == KEPT {
            kept.lines.pop_front();
        }
        kept.lines.push_back(sample);
    }

    /// A line of them, oldest first.
    pub(super) fn line(&self, of: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().map(of).collect()
    }
}

impl Totals {
    fn of(overview: &Overview, registry: &Registry) -> Self {
        let counted = |wanted: &str| {
            let counts = overview.orders.iter().filter(|(status, _)| wanted.is_empty() || status == wanted);
            counts.map(|(_, count)| *count as f64).sum()
        };
        let (_, readings) = registry.read().swap_remove(Metric::OrderDuration as usize);
        let delivered =
            readings.iter().find(|reading| reading.labels.first().is_some_and(|label| label == "delivered"));
        Self {
            accepted: counted(""),
            delivered: counted("delivered"),
            latency_seconds: delivered.map_or(0.0, |reading| reading.value),
            latency_orders: delivered.map_or(0.0, |reading| reading.buckets.iter().sum::<u64>() as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overview(delivered: u64, waiting: u64) -> Overview {
        Overview {
            orders: vec![("pending".to_owned(), 2), ("delivered".to_owned(), delivered)],
            queues: vec![("payment".to_owned(), waiting)],
            ..Overview::default()
        }
    }

    #[test]
    fn rates_are_of_the_time_between_two_samples_and_old_ones_go() {
        let (samples, registry) = (Samples::default(), Registry::default());
        let begin = Instant::now();
        assert!(samples.are_due(begin));
        samples.take(begin, &overview(0, 0), &registry);
        assert!(!samples.are_due(begin + EVERY / 2) && samples.are_due(begin + EVERY));
        samples.take(begin + EVERY, &overview(50, 7), &registry);
        assert_eq!(samples.line(|sample| sample.delivered), [10.0]);
        assert_eq!(samples.line(|sample| sample.backlog), [7.0]);
        for step in 2..400 {
            samples.take(begin + EVERY * step, &overview(50, 0), &registry);
        }
        assert_eq!(samples.line(|sample| sample.delivered), vec![0.0; KEPT]);
    }
}
