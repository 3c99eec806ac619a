//! Durable timers: rows in the saga's own transaction, keyed by saga and name, numbered by generation. A timer that
//! fires becomes a message; a late one of an old generation is recognised and ignored. Its row stays until that
//! message is handled, and fires again meanwhile, because the carrier may lose the message.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::limits::{TIMER_AGAIN_MAX, TIMER_AGAIN_MIN};
use crate::{CorrelationId, Envelope, MessageId, message};

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
