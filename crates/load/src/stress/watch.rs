//! Looks at store and processes again and again while something is done to them. Changes nothing, and looks less often where
//! looking takes long, so that it does not slow down what it watches.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use application::ports::{Overview, Readers};
use application::saga::SagaState;
use domain::OrderStatus;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::series::{SAMPLES_MAX, Sample, Series};
use crate::generator::Counts;
use crate::usage;

/// How often, at first.
const LOOK: Duration = Duration::from_millis(250);

/// Times a look takes that pass until the next, and how long that may be.
const REST: u32 = 20;
const REST_MAX: Duration = Duration::from_secs(2);

/// A watcher that runs until stopped.
pub(crate) struct Watch {
    eyes: Arc<Eyes>,
    watching: JoinHandle<()>,
}

struct Eyes {
    readers: Arc<dyn Readers>,
    pids: Vec<u32>,
    counts: Arc<Counts>,
    started: Instant,
    seen: Mutex<Series>,
    latest: watch::Sender<Sample>,
}

impl Watch {
    pub(crate) fn start(readers: Arc<dyn Readers>, pids: Vec<u32>, counts: Arc<Counts>) -> Self {
        let (started, seen) = (Instant::now(), Mutex::default());
        let latest = watch::Sender::new(Sample::default());
        let eyes = Arc::new(Eyes { readers, pids, counts, started, seen, latest });
        let looking = Arc::clone(&eyes);
        let watching = tokio::spawn(async move {
            let mut pause = LOOK;
            loop {
                let begun = Instant::now();
                if looking.look().await == Kept::EverySecond {
                    pause *= 2;
                }
                tokio::time::sleep(pause.max(begun.elapsed() * REST).min(pause.max(REST_MAX))).await;
            }
        });
        Self { eyes, watching }
    }

    /// Looks now, so that there is a sample of this moment.
    pub(crate) async fn look(&self) {
        self.eyes.look().await;
    }

    pub(crate) fn now_s(&self) -> f64 {
        self.eyes.started.elapsed().as_secs_f64()
    }

    /// The newest sample, whenever there is one.
    pub(crate) fn latest(&self) -> watch::Receiver<Sample> {
        self.eyes.latest.subscribe()
    }

    pub(crate) fn series(&self) -> Series {
        self.eyes.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Eyes {
    /// A store that does not answer is looked at again the next time.
    async fn look(&self) -> Kept {
        let Ok(overview) = self.readers.overview().await else { return Kept::All };
        let sample = sample(self.started, &overview, &self.pids, &self.counts);
        self.latest.send_replace(sample);
        note(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner), sample)
    }
}

/// Orders that have not come to their end.
pub(crate) fn open(overview: &Overview) -> u64 {
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

/// Two may look at once; the one that looked earlier may be later to tell.
fn note(seen: &mut Series, sample: Sample) -> Kept {
    let at = seen.0.partition_point(|known| known.at_s <= sample.at_s);
    seen.0.insert(at, sample);
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
