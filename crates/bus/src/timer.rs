//! Durable timers: rows in the saga's own transaction, keyed by saga and name, numbered by generation. A timer that
//! fires becomes a message; a late one of an old generation is recognised and ignored. Its row stays until that
//! message is handled, and fires again meanwhile, because the carrier may lose the message.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::limits::{BACKOFF_MIN, TIMER_AGAIN_MAX, TIMER_AGAIN_MIN, TIMER_BATCH_MAX, TIMER_POLL_MAX};
use crate::{Clock, CorrelationId, Envelope, Fault, MessageId, Stop, Store, Supervisor, Unit, message};

/// Which timer: a saga has at most one of a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey {
    /// The saga instance.
    pub saga: CorrelationId,
    /// The timer's name within the saga.
    pub name: Arc<str>,
}

/// A timer as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Which one.
    pub key: TimerKey,
    /// Raised each time the saga sets this timer; distinguishes a fresh firing from a stale one.
    pub generation: u32,
    /// When it fires.
    pub due_at: Timestamp,
    /// Kind of the message that it becomes.
    pub kind: Arc<str>,
    /// Trace context of the message that set it.
    pub traceparent: Option<Arc<str>>,
    /// How often it has fired without its message being handled.
    pub fired: u32,
}

/// A handled firing: which timer, which generation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retired {
    /// Which one.
    pub key: TimerKey,
    /// The generation that fired; a newer one is kept.
    pub generation: u32,
}

/// Body of the message that a timer becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerFired {
    /// The saga instance.
    pub saga: Uuid,
    /// The timer's name.
    pub name: String,
    /// The timer's generation.
    pub generation: u32,
    /// When it was due, in microseconds since the epoch; the difference to its handling is its lateness.
    pub due_at_us: i64,
}

impl TimerFired {
    /// The timer to retire once this is handled.
    #[must_use]
    pub fn retired(&self) -> Retired {
        let key = TimerKey { saga: CorrelationId(self.saga), name: Arc::from(self.name.as_str()) };
        Retired { key, generation: self.generation }
    }
}

impl Timer {
    /// How long it waits for its message to be handled before it fires again.
    #[must_use]
    pub fn again_after(&self) -> Duration {
        let doubled = 1_u32.checked_shl(self.fired).unwrap_or(u32::MAX);
        TIMER_AGAIN_MIN.saturating_mul(doubled).min(TIMER_AGAIN_MAX)
    }

    /// The timer after it has fired at `now`.
    #[must_use]
    pub fn once_more(&self, now: Timestamp) -> Self {
        let due_at = now.saturating_add(self.again_after()).unwrap_or(Timestamp::MAX);
        Self { due_at, fired: self.fired.saturating_add(1), ..self.clone() }
    }

    /// The message that this timer becomes. Its id derives from the timer, so firing twice is a repeat.
    #[must_use]
    pub fn fire(&self, now: Timestamp) -> Envelope {
        let body = message::to_json(&TimerFired {
            saga: self.key.saga.0,
            name: self.key.name.to_string(),
            generation: self.generation,
            due_at_us: self.due_at.as_microsecond(),
        });
        let id = MessageId(self.key.saga.0).child(&self.key.name, self.generation);
        let mut envelope = Envelope::first(id, self.key.saga, &self.kind, body, now);
        envelope.traceparent.clone_from(&self.traceparent);
        envelope
    }
}

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
