//! What was seen over time, and what can be read from it: speeds, moments, medians. Arithmetic only; looks at nothing itself.

use serde::Serialize;

/// Samples kept at most; beyond it every second one goes and the next are taken half as often.
pub(crate) const SAMPLES_MAX: usize = 4_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Sample {
    /// Seconds since the watcher started.
    pub(crate) at_s: f64,
    /// Orders that were due to be sent by then.
    pub(crate) offered: u64,
    pub(crate) refused: u64,
    pub(crate) stored: u64,
    pub(crate) delivered: u64,
    /// Orders that have not come to their end.
    pub(crate) open: u64,
    /// Memory of all workers, resident, in MiB.
    pub(crate) memory_mib: f64,
    /// CPU time of all workers, in seconds.
    pub(crate) cpu_s: f64,
}

/// One of a sample's counts.
pub(crate) type Count = fn(&Sample) -> u64;

/// Samples in the order of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Series(pub Vec<Sample>);

/// A stretch of time, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Window {
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
}

impl Series {
    /// The same with no more than about `max` samples, the first and the last among them.
    pub(crate) fn thinned(&self, max: usize) -> Self {
        let step = self.0.len().div_ceil(max.max(2)).max(1);
        let last = self.0.len().saturating_sub(1);
        let kept = self.0.iter().enumerate().filter(|(at, _)| at % step == 0 || *at == last);
        Self(kept.map(|(_, sample)| *sample).collect())
    }

    /// What was seen within the window.
    pub(crate) fn within(&self, window: Window) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| (window.from_s..=window.to_s).contains(&sample.at_s))
    }

    pub(crate) fn whole(&self) -> Window {
        let at = |sample: Option<&Sample>| sample.map_or(0.0, |sample| sample.at_s);
        Window { from_s: at(self.0.first()), to_s: at(self.0.last()) }
    }

    /// How much something was at a moment, between the samples around it.
    pub(crate) fn at(&self, moment_s: f64, value: impl Fn(&Sample) -> f64) -> f64 {
        let after = self.0.partition_point(|sample| sample.at_s < moment_s);
        match (after.checked_sub(1).and_then(|before| self.0.get(before)), self.0.get(after)) {
            (None, None) => 0.0,
            (Some(only), None) | (None, Some(only)) => value(only),
            (Some(before), Some(later)) => {
                let share = (moment_s - before.at_s) / (later.at_s - before.at_s).max(1e-9);
                value(before) + (value(later) - value(before)) * share
            }
        }
    }

    /// When a count that only grows reached this number; none if it never did.
    pub(crate) fn when(&self, count: Count, number: u64) -> Option<f64> {
        let reached = self.0.partition_point(|sample| count(sample) < number);
        let later = self.0.get(reached)?;
        let Some(before) = reached.checked_sub(1).map(|at| &self.0[at]) else { return Some(later.at_s) };
        let steps = (count(later) - count(before)) as f64;
        let share = (number - count(before)) as f64 / steps.max(1.0);
        Some(before.at_s + (later.at_s - before.at_s) * share)
    }

    /// How fast a count grew in the window, per second.
    pub(crate) fn speed(&self, window: Window, count: Count) -> f64 {
        let value = |sample: &Sample| count(sample) as f64;
        let grown = self.at(window.to_s, value) - self.at(window.from_s, value);
        grown / window.seconds().max(1e-9)
    }

    /// How fast orders were delivered while their number grew from one to the other, per second.
    pub(crate) fn speed_between(&self, from: u64, to: u64) -> Option<f64> {
        let window = self.between(from, to)?;
        Some((to - from) as f64 / window.seconds().max(1e-9))
    }

    /// The time in which the number of delivered orders grew from one to the other.
    pub(crate) fn between(&self, from: u64, to: u64) -> Option<Window> {
        let count: Count = |sample| sample.delivered;
        Some(Window { from_s: self.when(count, from)?, to_s: self.when(count, to)? })
    }

    /// The median of the workers' memory in the window, in MiB.
    pub(crate) fn memory_median(&self, window: Window) -> f64 {
        median(self.within(window).map(|sample| sample.memory_mib).collect())
    }

    /// The workers' memory at most in the window, in MiB.
    pub(crate) fn memory_most(&self, window: Window) -> f64 {
        self.within(window).map(|sample| sample.memory_mib).fold(0.0, f64::max)
    }
}

impl Window {
    pub(crate) fn seconds(self) -> f64 {
        self.to_s - self.from_s
    }

    /// The part of it from one share to another, each from 0 to 1.
    pub(crate) fn part(self, from: f64, to: f64) -> Self {
        let at = |share: f64| self.from_s + self.seconds() * share;
        Self { from_s: at(from), to_s: at(to) }
    }
}

/// The middle one; nothing of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A sample each second; orders are delivered at these speeds, with that much memory.
    pub(crate) fn series(seconds: &[(u64, f64)]) -> Series {
        let mut delivered = 0;
        let samples = seconds.iter().enumerate().map(|(at, (speed, memory_mib))| {
            let sample = Sample {
                at_s: at as f64,
                delivered,
                stored: delivered,
                memory_mib: *memory_mib,
                ..Sample::default()
            };
            delivered += speed;
            sample
        });
        Series(samples.collect())
    }

    #[test]
    fn a_speed_is_what_a_count_grew_by_in_the_time() {
        let series = series(&[(100, 1.0), (100, 1.0), (300, 1.0), (300, 1.0), (0, 1.0)]);
        let delivered: Count = |sample| sample.delivered;
        let speed = |from_s, to_s| series.speed(Window { from_s, to_s }, delivered);
        assert_eq!((speed(0.0, 2.0), speed(2.0, 4.0), speed(1.5, 2.5)), (100.0, 300.0, 200.0));
    }

    #[test]
    fn the_moment_of_a_count_lies_between_the_samples_around_it() {
        let series = series(&[(100, 1.0), (200, 1.0), (0, 1.0), (0, 1.0)]);
        let delivered: Count = |sample| sample.delivered;
        assert_eq!(series.when(delivered, 0), Some(0.0));
        assert_eq!(series.when(delivered, 200), Some(1.5));
        assert_eq!(series.when(delivered, 301), None);
        assert_eq!(series.speed_between(100, 300), Some(200.0));
    }

    #[test]
    fn thinning_keeps_the_first_and_the_last() {
        let series = series(&[(1, 1.0); 1_001]);
        let thinned = series.thinned(100);
        assert!(thinned.0.len() <= 102, "{}", thinned.0.len());
        assert_eq!((thinned.0.first(), thinned.0.last()), (series.0.first(), series.0.last()));
    }

    #[test]
    fn of_nothing_there_is_nothing_to_say() {
        let none = Series::default();
        assert_eq!(none.speed(Window { from_s: 0.0, to_s: 1.0 }, |sample| sample.delivered), 0.0);
        assert_eq!((none.memory_most(none.whole()), median(Vec::new())), (0.0, 0.0));
    }
}
