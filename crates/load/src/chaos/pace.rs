//! When orders are released: by a clock of its own, which knows how many faults are yet to come and stops for none of them. So
//! something is always on its way when something happens.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::generator::ClosedLoop;

/// How often orders are released: some at a time, as batches want them.
const BEAT: Duration = Duration::from_millis(100);

/// How long a fault and the time before it may take, as long as nobody knows.
const GUESS: Duration = Duration::from_secs(1);

/// How many of the orders that are left are due by now, if they are to last as long as the faults do, which go on taking as long
/// as they have taken so far.
fn due(left: f64, since_last: Duration, so_far: Duration, happened: u32, planned: u32) -> f64 {
    let each = (GUESS + so_far).as_secs_f64() / f64::from(happened + 1);
    let faults_left = planned.saturating_sub(happened).max(1);
    left * (since_last.as_secs_f64() / (each * f64::from(faults_left))).min(1.0)
}

/// The clock. It stops with this value.
pub(crate) struct Pace {
    happened: watch::Sender<u32>,
    releasing: JoinHandle<()>,
}

impl Pace {
    /// Releases that many orders while so many faults happen.
    pub(crate) fn start(load: &Arc<ClosedLoop>, orders: u64, faults: u32) -> Self {
        let happened = watch::Sender::new(0);
        let releasing = tokio::spawn(release(Arc::clone(load), orders as f64, happened.subscribe(), faults));
        Self { happened, releasing }
    }

    /// Another fault has happened.
    pub(crate) fn fault_happened(&self) {
        self.happened.send_modify(|count| *count += 1);
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.releasing.abort();
    }
}

async fn release(load: Arc<ClosedLoop>, orders: f64, happened: watch::Receiver<u32>, faults: u32) {
    let (began_at, mut last, mut released) = (Instant::now(), Instant::now(), 0.0);
    let mut beats = tokio::time::interval(BEAT);
    loop {
        beats.tick().await;
        let now = Instant::now();
        released += due(orders - released, now - last, now - began_at, *happened.borrow(), faults);
        last = now;
        load.release(released as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The orders that each fault meets, when each takes so many seconds.
    fn released_during(each: &[f64], orders: f64) -> Vec<f64> {
        let (mut left, mut so_far, mut met) = (orders, Duration::ZERO, Vec::new());
        for (happened, seconds) in (0..).zip(each) {
            let before = left;
            for _ in 0..(seconds / BEAT.as_secs_f64()).round() as u32 {
                so_far += BEAT;
                left -= due(left, BEAT, so_far, happened, each.len() as u32);
            }
            met.push(before - left);
        }
        met
    }

    #[test]
    fn every_fault_meets_orders_however_long_each_takes() {
        for each in [vec![0.4; 8], vec![1.0; 8], vec![6.0; 8], vec![0.3, 0.3, 6.0, 0.3, 6.0, 0.3, 0.3, 0.3]] {
            let met = released_during(&each, 540.0);
            assert!(met.iter().all(|orders| *orders >= 4.0), "{each:?} meet {met:?}");
        }
    }

    #[test]
    fn most_orders_are_sent_before_the_last_fault_is_over() {
        let met: f64 = released_during(&[1.0; 20], 1_000.0).iter().sum();
        assert!(met > 900.0, "{met}");
    }
}
