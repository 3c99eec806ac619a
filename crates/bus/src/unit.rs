//! The unit of work: one object, one transaction. It has what the bus needs from a store; users of the bus add their
//! own repositories as a subtrait. Dropping a unit rolls it back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::{CorrelationId, DeadLetter, Delivery, Envelope, Fault, Retired, Timer, TimerKey};

/// What becomes of a delivery when its batch commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Handled; it is gone.
    Done,
    /// Deliver again when due, with the attempt count raised.
    Redeliver {
        /// When to deliver it again.
        due_at: Timestamp,
        /// Why it could not be handled; kept with it.
        reason: String,
    },
    /// Nothing was tried: deliver again when due, with the same attempt count.
    Postpone {
        /// When to deliver it again.
        due_at: Timestamp,
        /// What it waits for; kept with it.
        reason: String,
    },
    /// Too early: kept until [`Unit::unpark`] names its correlation, or until the deadline.
    Park {
        /// When to deliver it again at the latest.
        until: Timestamp,
    },
    /// Cannot be handled: kept in the dead-letter store for a person.
    DeadLetter {
        /// Why.
        reason: String,
    },
}

impl Disposition {
    /// Deliver again after `delay`, with the attempt count raised by one.
    #[must_use]
    pub fn redeliver(now: Timestamp, delay: Duration, reason: impl Into<String>) -> Self {
        Self::Redeliver { due_at: after(now, delay), reason: reason.into() }
    }

    /// Nothing was tried: deliver again after `delay`, with the same attempt count.
    #[must_use]
    pub fn postpone(now: Timestamp, delay: Duration, reason: impl Into<String>) -> Self {
        Self::Postpone { due_at: after(now, delay), reason: reason.into() }
    }
}

fn after(now: Timestamp, delay: Duration) -> Timestamp {
    let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
    now.saturating_add(delay).unwrap_or(Timestamp::MAX)
}

/// A delivery and what becomes of it.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The delivery.
    pub delivery: Delivery,
    /// What becomes of it.
    pub disposition: Disposition,
    /// When that was decided.
    pub at: Timestamp,
}

impl Settlement {
    /// The notice that the message is a dead letter, if it became one. A store whose messages go over a broker
    /// publishes it in the same transaction.
    #[must_use]
    pub fn notice(&self) -> Option<Envelope> {
        match &self.disposition {
            Disposition::DeadLetter { reason } => self.dead_letter(reason).notice(),
            Disposition::Done
            | Disposition::Redeliver { .. }
            | Disposition::Postpone { .. }
            | Disposition::Park { .. } => None,
        }
    }

    fn dead_letter(&self, reason: &str) -> DeadLetter {
        let envelope = &self.delivery.envelope;
        DeadLetter {
            position: 0,
            queue: Arc::clone(&self.delivery.receipt.queue),
            envelope: Envelope { attempt: envelope.attempt.saturating_add(1), ..Envelope::clone(envelope) },
            reason: reason.to_owned(),
            died_at: self.at,
            archived: None,
        }
    }
}

/// The bus's own tables within one transaction. Every method works on a set and is one round trip.
///
/// Faults: [`crate::Verdict::Retry`] when the store is away, [`crate::Verdict::Conflict`] when another transaction won,
/// [`crate::Verdict::GiveUp`] when the data itself cannot be stored.
#[async_trait]
pub trait Unit: Send {
    /// Adds outgoing messages. They leave after the commit, each at least once, and never without the commit.
    async fn publish(&mut self, envelopes: Vec<Envelope>) -> Result<(), Fault>;

    /// Takes back what this unit has published for these queues, in order: it is handled in this unit instead and
    /// settled like any other delivery. With a broker, a copy for other listeners still leaves, marked so that these
    /// queues do not get it ([`crate::Topology::take_back`]).
    async fn reclaim(&mut self, queues: &[Arc<str>]) -> Result<Vec<Delivery>, Fault>;

    /// Settles deliveries. [`crate::Verdict::Stale`] if one of them is no longer ours.
    async fn settle(&mut self, settlements: Vec<Settlement>) -> Result<(), Fault>;

    /// Releases the parked messages of these correlations at once; returns how many there were.
    async fn unpark(&mut self, correlations: &[CorrelationId], now: Timestamp) -> Result<usize, Fault>;

    /// Puts up to `max` due delayed and parked messages back; returns how many.
    async fn requeue_due(&mut self, now: Timestamp, max: usize) -> Result<usize, Fault>;

    /// Sets timers; a timer of the same saga and name is replaced, whatever its generation.
    async fn set_timers(&mut self, timers: Vec<Timer>) -> Result<(), Fault>;

    /// Cancels timers; a missing one counts as cancelled.
    async fn cancel_timers(&mut self, timers: Vec<TimerKey>) -> Result<(), Fault>;

    /// Returns up to `max` due timers, earliest first, as they are. Each stays in the store in its state [after
    /// firing](Timer::once_more): due again after a growing pause, until it is set anew, cancelled or retired.
    async fn lease_due_timers(&mut self, now: Timestamp, max: usize) -> Result<Vec<Timer>, Fault>;

    /// Removes timers whose firing is handled in this unit, and returns those that were there. A timer that was set anew since is
    /// kept; its old firing means nothing any more, nor does that of a timer that was cancelled.
    async fn retire_timers(&mut self, timers: Vec<Retired>) -> Result<Vec<Retired>, Fault>;

    /// Marks ids as seen and returns, for each, whether it was new. The mark commits with everything else.
    async fn admit(&mut self, source: &str, ids: &[String], now: Timestamp) -> Result<Vec<Admission>, Fault>;

    /// Makes everything durable at once. After [`crate::Verdict::Retry`] it is unknown whether it is durable; after
    /// any other fault it is not.
    async fn commit(self: Box<Self>) -> Result<(), Fault>;
}

/// Whether the inbox had seen an id before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// First time.
    New,
    /// Seen before: skip the effect and answer as if it had been done.
    Repeat,
}

/// Opens units of work. `U` is the unit with the user's own repositories, usually a trait object.
#[async_trait]
pub trait Store<U: Unit + ?Sized>: Send + Sync + 'static {
    /// Begins a transaction.
    ///
    /// # Errors
    /// [`crate::Verdict::Retry`] while the store is away.
    async fn begin(&self) -> Result<Box<U>, Fault>;
}

/// Makes a unit out of one that wraps another: all that the bus does is done by the field of this name or number.
///
/// A user's crate cannot give another crate's unit repositories of its own, but it can give them to such a wrapper.
#[macro_export]
macro_rules! forward_unit {
    ($wrapper:ty, $inner:tt) => {
        #[$crate::__private::async_trait]
        impl $crate::Unit for $wrapper {
            async fn publish(&mut self, envelopes: Vec<$crate::Envelope>) -> Result<(), $crate::Fault> {
                $crate::Unit::publish(&mut self.$inner, envelopes).await
            }

            async fn reclaim(
                &mut self,
                queues: &[::std::sync::Arc<str>],
            ) -> Result<Vec<$crate::Delivery>, $crate::Fault> {
                $crate::Unit::reclaim(&mut self.$inner, queues).await
            }

            async fn settle(&mut self, settlements: Vec<$crate::Settlement>) -> Result<(), $crate::Fault> {
                $crate::Unit::settle(&mut self.$inner, settlements).await
            }

            async fn unpark(
                &mut self,
                correlations: &[$crate::CorrelationId],
                now: $crate::__private::Timestamp,
            ) -> Result<usize, $crate::Fault> {
                $crate::Unit::unpark(&mut self.$inner, correlations, now).await
            }

            async fn requeue_due(
                &mut self,
                now: $crate::__private::Timestamp,
                max: usize,
            ) -> Result<usize, $crate::Fault> {
                $crate::Unit::requeue_due(&mut self.$inner, now, max).await
            }

            async fn set_timers(&mut self, timers: Vec<$crate::Timer>) -> Result<(), $crate::Fault> {
                $crate::Unit::set_timers(&mut self.$inner, timers).await
            }

            async fn cancel_timers(&mut self, timers: Vec<$crate::TimerKey>) -> Result<(), $crate::Fault> {
                $crate::Unit::cancel_timers(&mut self.$inner, timers).await
            }

            async fn lease_due_timers(
                &mut self,
                now: $crate::__private::Timestamp,
                max: usize,
            ) -> Result<Vec<$crate::Timer>, $crate::Fault> {
                $crate::Unit::lease_due_timers(&mut self.$inner, now, max).await
            }

            async fn retire_timers(
                &mut self,
                timers: Vec<$crate::Retired>,
            ) -> Result<Vec<$crate::Retired>, $crate::Fault> {
                $crate::Unit::retire_timers(&mut self.$inner, timers).await
            }

            async fn admit(
                &mut self,
                source: &str,
                ids: &[String],
                now: $crate::__private::Timestamp,
            ) -> Result<Vec<$crate::Admission>, $crate::Fault> {
                $crate::Unit::admit(&mut self.$inner, source, ids, now).await
            }

            async fn commit(self: Box<Self>) -> Result<(), $crate::Fault> {
                $crate::Unit::commit(Box::new(self.$inner)).await
            }
        }
    };
}
