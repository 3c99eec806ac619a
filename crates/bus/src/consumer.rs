//! What a user of the bus writes: a consumer handles batches of one message type inside a unit of work, and may perform an
//! effect per message before, outside any transaction.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::{Delivery, Disposition, Envelope, Fault, Message, Unit, Vetted};

/// One message in a consumer's hands, with what its effect brought back.
#[derive(Debug)]
pub struct Work<M, A> {
    /// The decoded message.
    pub message: M,
    /// What [`Consumer::perform`] answered.
    pub answer: A,
    delivery: Delivery,
    disposition: Disposition,
}

impl<M, A> Work<M, A> {
    pub(crate) fn new(delivery: Delivery, message: M, answer: A) -> Self {
        Self { message, answer, delivery, disposition: Disposition::Done }
    }

    /// The envelope it came in.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.delivery.envelope
    }

    pub(crate) fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    pub(crate) fn disposition(&self) -> &Disposition {
        &self.disposition
    }

    pub(crate) fn reset(&mut self) {
        self.disposition = Disposition::Done;
    }

    /// Not now: deliver it again after `delay`, with its attempt count raised by one.
    pub fn redeliver(&mut self, now: Timestamp, delay: Duration, reason: impl Into<String>) {
        self.disposition = Disposition::Redeliver { due_at: after(now, delay), reason: reason.into() };
    }

    /// Nothing was tried: deliver it again after `delay`, with its attempt count as it is.
    pub fn postpone(&mut self, now: Timestamp, delay: Duration, reason: impl Into<String>) {
        self.disposition = Disposition::Postpone { due_at: after(now, delay), reason: reason.into() };
    }

    /// Too early: keep it until its saga has moved on, at the latest until `until`. Store nothing about it: if another
    /// message of its correlation was done in the same batch, it is handled once more right after that batch.
    pub fn park(&mut self, until: Timestamp) {
        self.disposition = Disposition::Park { until };
    }

    /// Give it to a person.
    pub fn dead_letter(&mut self, reason: impl Into<String>) {
        self.disposition = Disposition::DeadLetter { reason: reason.into() };
    }
}

fn after(now: Timestamp, delay: Duration) -> Timestamp {
    let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
    now.saturating_add(delay).unwrap_or(Timestamp::MAX)
}

/// Handles messages.
///
/// A batch is all or nothing: if `handle` fails, everything it did is undone and the bus finds out which message is to
/// blame. `handle` may run again for the same message, so it must lean on state (has this been done?) and not on memory.
#[async_trait]
pub trait Consumer<U: Unit + ?Sized>: Send + Sync + 'static {
    /// What it understands.
    type Message: Message;
    /// What its effect brings back; `()` when it has none.
    type Answer: Send + Sync + 'static;

    /// The queue that it reads, which is also its name.
    fn queue(&self) -> &'static str;

    /// Whether messages that others may have written, because they came over a broker or were put back, ask for what this store
    /// wants done now. Asked before [`Self::perform`], of consumers with effects only, in a unit of its own that is dropped: it
    /// may read, by sets, and changes nothing. One word for each message, in their order.
    ///
    /// # Errors
    /// Those of the store.
    async fn vet(&self, _unit: &mut U, messages: &[&Self::Message]) -> Result<Vec<Vetted>, Fault> {
        Ok(vec![Vetted::Wanted; messages.len()])
    }

    /// The effect of one message: a call to the outside. No transaction is open. It may run more than once for one message,
    /// so what it does must be keyed by the message. An outcome that the business knows is an answer, not a fault.
    ///
    /// # Errors
    /// A fault sends the message through delayed redelivery and, at last, to the dead letters.
    async fn perform(&self, message: &Self::Message, envelope: &Envelope) -> Result<Self::Answer, Fault>;

    /// Whether [`Self::perform`] does anything; a consumer without effects is spared the detour.
    fn effects(&self) -> Effects {
        Effects::None
    }

    /// Decides about a batch and stores the decisions. Leave [`Work`] items alone to have them done.
    ///
    /// # Errors
    /// The fault's verdict decides what happens to the batch.
    async fn handle(
        &self,
        unit: &mut U,
        batch: &mut [Work<Self::Message, Self::Answer>],
    ) -> Result<(), Fault>;
}

/// Whether a consumer calls the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effects {
    /// It only reads and writes its own store.
    None,
    /// It performs an effect per message, so many at once at most.
    Outside {
        /// Effects under way at once.
        at_once_max: usize,
    },
}
