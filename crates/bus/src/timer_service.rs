//! Fires the timers that are due, and puts back what waits for its time.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::limits::{BACKOFF_MIN, TIMER_BATCH_MAX, TIMER_POLL_MAX};
use crate::{Clock, Fault, Stop, Store, Supervisor, Unit};

/// Fires due timers, and puts due delayed and parked messages back. Several may run at once: only one transaction
/// leases each timer.
pub struct TimerService<U: Unit + ?Sized> {
    store: Arc<dyn Store<U>>,
    clock: Arc<dyn Clock>,
}

/// What one step of the timer service did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimerStep {
    /// Timers fired.
    pub fired: usize,
    /// Of these, the timers that had fired before without their message being handled.
    pub again: usize,
    /// Delayed or parked messages put back.
    pub requeued: usize,
    /// Lateness of the latest timer among those fired.
    pub lateness_max: Duration,
}

impl<U: Unit + ?Sized + 'static> TimerService<U> {
    /// A service over this store.
    pub fn new(store: Arc<dyn Store<U>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Runs until stopped.
    pub async fn run(&self, stop: Stop) {
        while !stop.is_stopped() {
            let pause = match self.step().await {
                Ok(step) if step.fired.max(step.requeued) >= TIMER_BATCH_MAX => Duration::ZERO,
                Ok(_) => TIMER_POLL_MAX,
                Err(fault) => {
                    tracing::warn!(%fault, "timers wait for the store");
                    TIMER_POLL_MAX.max(BACKOFF_MIN)
                }
            };
            stop.sleep(pause).await;
        }
    }

    /// Runs under the supervisor, by this name, until that stops.
    pub fn start(self, name: &'static str, supervisor: &mut Supervisor) {
        let service = Arc::new(self);
        supervisor.run(name, move |stop| {
            let service = Arc::clone(&service);
            async move { service.run(stop).await }
        });
    }

    /// Fires what is due now, in one transaction.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn step(&self) -> Result<TimerStep, Fault> {
        let now = self.clock.now();
        let mut unit = self.store.begin().await?;
        let due = unit.lease_due_timers(now, TIMER_BATCH_MAX).await?;
        let requeued = unit.requeue_due(now, TIMER_BATCH_MAX).await?;
        if due.is_empty() && requeued == 0 {
            return Ok(TimerStep::default());
        }
        let lateness_max = due.iter().map(|timer| lateness(timer.due_at, now)).max().unwrap_or_default();
        let (fired, again) = (due.len(), due.iter().filter(|timer| timer.fired > 0).count());
        unit.publish(due.iter().map(|timer| timer.fire(now)).collect()).await?;
        unit.commit().await?;
        if again > 0 {
            tracing::warn!(
                again,
                "timers fire again: their last message was not handled; it lies in a queue, or was lost"
            );
        }
        Ok(TimerStep { fired, again, requeued, lateness_max })
    }
}

fn lateness(due_at: Timestamp, now: Timestamp) -> Duration {
    let late: SignedDuration = now.duration_since(due_at);
    Duration::try_from(late).unwrap_or_default()
}
