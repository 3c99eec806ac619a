//! Looks at store and processes again and again while something is done to them. Changes nothing, and looks less often where
//! looking takes long, so that it does not slow down what it watches.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use application::ports::{Overview, Readers};
use application::saga::SagaState;
use domain::OrderStatus;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::flood::Counts;
use super::series::{SAMPLES_MAX, Sample, Series};
use crate::bench::usage;

/// How often, at first.
const LOOK: Duration = Duration::from_millis(250);

/// Times a look takes that pass until the next.
const REST: u32 = 20;

/// Somebody who watches until stopped.
pub(super) struct Watch {
    started: Instant,
    seen: Arc<Mutex<Series>>,
    latest: watch::Receiver<Sample>,
    watching: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(readers: Arc<dyn Readers>, pids: Vec<u32>, counts: Arc<Counts>) -> Self {
        let started = Instant::now();
        let seen = Arc::new(Mutex::new(Series::default()));
        let (sender, latest) = watch::channel(Sample::default());
        let noted = Arc::clone(&seen);
        let watching = tokio::spawn(async move {
            let mut pause = LOOK;
            loop {
                let looked = Instant::now();
                if let Ok(overview) = readers.overview().await {
                    let sample = sample(started, &overview, &pids, &counts);
                    if note(&mut noted.lock().unwrap_or_else(PoisonError::into_inner), sample)
                        == Kept::EverySecond
                    {
                        pause *= 2;
                    }
                    sender.send_replace(sample);
                }
                tokio::time::sleep(pause.max(looked.elapsed() * REST)).await;
            }
        });
        Self { started, seen, latest, watching }
    }

    /// Seconds since it started.
    pub(super) fn now_s(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// The newest sample, whenever there is one.
    pub(super) fn latest(&self) -> watch::Receiver<Sample> {
        self.latest.clone()
    }

    /// Everything seen so far.
    pub(super) fn series(&self) -> Series {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Orders that have not come to their end.
pub(super) fn open(overview: &Overview) -> u64 {
    let is_open = |name: &str| SagaState::ALL.iter().any(|state| !state.is_final() && state.as_str() == name);
    overview.sagas.iter().filter(|(name, _)| is_open(name)).map(|(_, count)| count).sum()
}

fn sample(started: Instant, overview: &Overview, pids: &[u32], counts: &Counts) -> Sample {
    let delivered = OrderStatus::Delivered.as_str();
    let counted = counts.read();
    Sample {
        at_s: started.elapsed().as_secs_f64(),
        offered: counted.offered,
        refused: counted.refused,
        stored: overview.orders.iter().map(|(_, count)| count).sum(),
        delivered: overview.orders.iter().filter(|(name, _)| name == delivered).map(|(_, count)| count).sum(),
        open: open(overview),
        memory_mib: pids.iter().filter_map(|pid| usage::resident_mib(*pid).ok()).sum(),
        cpu_s: pids.iter().filter_map(|pid| usage::cpu_seconds(*pid).ok()).sum(),
    }
}

#[derive(PartialEq, Eq)]
enum Kept {
    All,
    EverySecond,
}

fn note(seen: &mut Series, sample: Sample) -> Kept {
    seen.0.push(sample);
    if seen.0.len() < SAMPLES_MAX {
        return Kept::All;
    }
    let mut at = 0;
    seen.0.retain(|_| {
        at += 1;
        at % 2 == 1
    });
    Kept::EverySecond
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_long_it_takes_the_samples_are_bounded_and_reach_back_to_the_first() {
        let mut seen = Series::default();
        for at in 0..3 * SAMPLES_MAX {
            note(&mut seen, Sample { at_s: at as f64, ..Sample::default() });
            assert!(seen.0.len() < SAMPLES_MAX);
        }
        assert_eq!(seen.0.first().map(|sample| sample.at_s), Some(0.0));
        assert!(seen.0.is_sorted_by(|a, b| a.at_s < b.at_s));
    }
}
