//! Where metrics are kept: atomics behind a short list of series for each metric. Recording allocates only the first time
//! that a combination of labels is seen, and never fails; must never be asked to forget.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::definition::{Definition, Kind, Unit};
use super::definitions::{DEFINITIONS, Metric};

/// Series of one metric; a combination of labels beyond it is counted under [`OTHER`].
const SERIES_MAX: usize = 600;

/// The label value of all series beyond the bound.
const OTHER: &str = "other";

/// Parts of a unit in which sums are kept: nanoseconds of seconds, and whole things of counts.
const NANOS: f64 = 1e9;

/// All metrics of one process.
#[derive(Debug)]
pub struct Registry {
    families: Vec<Family>,
}

#[derive(Debug)]
struct Family {
    definition: &'static Definition,
    series: RwLock<Vec<Arc<Series>>>,
}

/// One combination of labels of one metric.
#[derive(Debug)]
pub struct Series {
    labels: Box<[Box<str>]>,
    bounds: &'static [f64],
    per_unit: f64,
    /// A counter's sum, a gauge's bits, or a histogram's sum.
    value: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

/// A series at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Values of its labels.
    pub labels: Vec<String>,
    /// A counter's or gauge's value, or a histogram's sum.
    pub value: f64,
    /// What fell into each bucket of a histogram, the one without a bound last; not summed up.
    pub buckets: Vec<u64>,
}

impl Default for Registry {
    fn default() -> Self {
        let family = |definition| Family { definition, series: RwLock::default() };
        Self { families: DEFINITIONS.iter().map(family).collect() }
    }
}

impl Registry {
    /// Adds to a counter.
    pub fn add(&self, metric: Metric, labels: &[&str], count: u64) {
        self.series(metric, labels).add(count);
    }

    /// Shows a value.
    pub fn set(&self, metric: Metric, labels: &[&str], value: f64) {
        self.series(metric, labels).value.store(value.to_bits(), Relaxed);
    }

    /// Sets a counter that is counted elsewhere, for instance by the system.
    pub fn set_total(&self, metric: Metric, labels: &[&str], total: f64) {
        let series = self.series(metric, labels);
        series.value.store((total * series.per_unit) as u64, Relaxed);
    }

    /// Sorts a time into its bucket.
    pub fn observe(&self, metric: Metric, labels: &[&str], took: Duration) {
        self.series(metric, labels).observe(took.as_secs_f64());
    }

    /// Sorts a count into its bucket.
    pub fn observe_count(&self, metric: Metric, labels: &[&str], count: u64) {
        self.series(metric, labels).observe(count as f64);
    }

    /// The series of these labels, to record many values.
    pub fn series(&self, metric: Metric, labels: &[&str]) -> Arc<Series> {
        let family = &self.families[metric as usize];
        debug_assert_eq!(labels.len(), family.definition.labels.len(), "{}", family.definition.name);
        let known = family.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.iter().find(|series| series.is(labels)) {
            return Arc::clone(series);
        }
        drop(known);
        family.add(labels)
    }

    /// Every metric with its series, in the order of their labels.
    #[must_use]
    pub fn read(&self) -> Vec<(&'static Definition, Vec<Reading>)> {
        self.families.iter().map(|family| (family.definition, family.read())).collect()
    }

    /// The value of a series; none if nothing was ever recorded under these labels.
    #[must_use]
    pub fn value(&self, metric: Metric, labels: &[&str]) -> Option<f64> {
        let family = &self.families[metric as usize];
        let series = family.series.read().unwrap_or_else(PoisonError::into_inner);
        let found = series.iter().find(|series| series.is(labels))?;
        Some(found.read(family.definition.kind).value)
    }
}

impl Family {
    fn add(&self, labels: &[&str]) -> Arc<Series> {
        let mut all = self.series.write().unwrap_or_else(PoisonError::into_inner);
        let others = vec![OTHER; labels.len()];
        let labels = if all.len() < SERIES_MAX { labels } else { &others };
        if let Some(series) = all.iter().find(|series| series.is(labels)) {
            return Arc::clone(series);
        }
        let series = Arc::new(Series::new(self.definition, labels));
        all.push(Arc::clone(&series));
        series
    }

    fn read(&self) -> Vec<Reading> {
        let all = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let mut readings: Vec<Reading> = all.iter().map(|series| series.read(self.definition.kind)).collect();
        readings.sort_by(|one, other| one.labels.cmp(&other.labels));
        readings
    }
}

impl Series {
    fn new(definition: &Definition, labels: &[&str]) -> Self {
        let bounds = match definition.kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::Gauge => &[],
        };
        let buckets = if bounds.is_empty() { 0 } else { bounds.len() + 1 };
        Self {
            labels: labels.iter().map(|label| Box::from(*label)).collect(),
            bounds,
            per_unit: match definition.unit {
                Unit::Seconds => NANOS,
                Unit::Bytes | Unit::Count | Unit::State => 1.0,
            },
            value: AtomicU64::new(0),
            buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn is(&self, labels: &[&str]) -> bool {
        self.labels.iter().map(|label| &**label).eq(labels.iter().copied())
    }

    /// Adds to a counter.
    pub fn add(&self, count: u64) {
        self.value.fetch_add(count, Relaxed);
    }

    /// Sorts a value, in the metric's unit, into its bucket.
    pub fn observe(&self, value: f64) {
        let place = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        self.buckets[place].fetch_add(1, Relaxed);
        self.value.fetch_add((value * self.per_unit) as u64, Relaxed);
    }

    fn read(&self, kind: Kind) -> Reading {
        let raw = self.value.load(Relaxed);
        Reading {
            labels: self.labels.iter().map(ToString::to_string).collect(),
            value: match kind {
                Kind::Counter | Kind::Histogram(_) => raw as f64 / self.per_unit,
                Kind::Gauge => f64::from_bits(raw),
            },
            buckets: self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_histogram_loses_no_value_and_keeps_their_sum(values in prop::collection::vec(0_u64..20_000_000, 0..50)) {
            let registry = Registry::default();
            for micros in &values {
                registry.observe(Metric::TimerLateness, &[], Duration::from_micros(*micros));
            }
            let (_, readings) = registry.read().swap_remove(Metric::TimerLateness as usize);
            let sum: f64 = values.iter().map(|micros| *micros as f64 / 1e6).sum();
            prop_assert_eq!(readings.iter().flat_map(|it| &it.buckets).sum::<u64>(), values.len() as u64);
            prop_assert!((readings.iter().map(|it| it.value).sum::<f64>() - sum).abs() < 1e-3);
        }
    }

    #[test]
    fn series_stay_bounded_and_what_has_no_room_is_counted_together() {
        let registry = Registry::default();
        for number in 0..SERIES_MAX + 5 {
            registry.add(Metric::MessagesSent, &[&number.to_string()], 1);
        }
        assert_eq!(registry.value(Metric::MessagesSent, &[OTHER]), Some(5.0));
        assert_eq!(registry.read()[Metric::MessagesSent as usize].1.len(), SERIES_MAX + 1);
    }
}
