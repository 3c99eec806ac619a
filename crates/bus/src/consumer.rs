//! What a user of the bus writes: a consumer handles batches of one message type inside a unit of work. A consumer with
//! an effect calls the outside about each message before, outside any transaction.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{Delivery, Disposition, Envelope, Fault, Message, Unit};

/// A consumer's verdict on a message that another program may have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vetted {
    /// This store wants it done now.
    Wanted,
    /// It was wanted once: a repeat, or too late. It counts as done, without an effect.
    Past,
    /// This store never asked for it. It becomes a dead letter at once, for this reason.
    Foreign(String),
}

/// One message for a consumer, with the answer of its effect if it has one.
#[derive(Debug)]
pub struct Work<M, A = ()> {
    /// The decoded message.
    pub message: M,
    /// The answer of [`EffectConsumer::perform`].
    pub answer: A,
    delivery: Delivery,
    disposition: Disposition,
    handled_at: Timestamp,
}

impl<M, A> Work<M, A> {
    pub(crate) fn new(delivery: Delivery, message: M, answer: A) -> Self {
        Self { message, answer, delivery, disposition: Disposition::Done, handled_at: Timestamp::MIN }
    }

    /// The envelope it came in.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.delivery.envelope
    }

    /// The time, by the clock of the endpoint, when its batch began to be handled: the same for the whole batch.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.handled_at
    }

    pub(crate) fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    pub(crate) fn disposition(&self) -> &Disposition {
        &self.disposition
    }

    pub(crate) fn reset(&mut self, now: Timestamp) {
        self.disposition = Disposition::Done;
        self.handled_at = now;
    }

    /// Deliver it again after `delay`, with its attempt count raised by one. The timer service puts it back when due.
    pub fn redeliver(&mut self, now: Timestamp, delay: Duration, reason: impl Into<String>) {
        self.disposition = Disposition::redeliver(now, delay, reason);
    }

    /// Nothing was tried: deliver it again after `delay`, with the same attempt count.
    pub fn postpone(&mut self, now: Timestamp, delay: Duration, reason: impl Into<String>) {
        self.disposition = Disposition::postpone(now, delay, reason);
    }

    /// Too early: keep it until its saga has moved on, at the latest until `until`. Write nothing for a parked
    /// message. If the same batch handles the message it waits for, it is handled again right after.
    pub fn park(&mut self, until: Timestamp) {
        self.disposition = Disposition::Park { until };
    }

    /// Give it to a person.
    pub fn dead_letter(&mut self, reason: impl Into<String>) {
        self.disposition = Disposition::DeadLetter { reason: reason.into() };
    }

    /// Do what was decided elsewhere.
    pub fn dispose(&mut self, disposition: Disposition) {
        self.disposition = disposition;
    }
}

/// Handles messages that ask for nothing outside its own store.
///
/// A batch is all or nothing: if `handle` fails, everything it did is rolled back, and the bus finds the bad message.
/// `handle` may run again for the same message, so it must rely on stored state (has this been done?) and not on
/// memory.
#[async_trait]
pub trait Consumer<U: Unit + ?Sized>: Send + Sync + 'static {
    /// The queue that it reads, which is also its name.
    const QUEUE: &'static str;

    /// What it understands.
    type Message: Message;

    /// Decides about a batch and stores the decisions. [`Work`] items left as they are count as done.
    ///
    /// # Errors
    /// The fault's verdict decides what happens to the batch.
    async fn handle(&self, unit: &mut U, batch: &mut [Work<Self::Message>]) -> Result<(), Fault>;
}

/// Calls the outside about each message first, outside any transaction, and then handles the answers in batches, as a
/// [`Consumer`] does.
#[async_trait]
pub trait EffectConsumer<U: Unit + ?Sized>: Send + Sync + 'static {
    /// The queue that it reads, which is also its name.
    const QUEUE: &'static str;

    /// What it understands.
    type Message: Message;

    /// The answer of its effect.
    type Answer: Send + Sync + 'static;

    /// Whether this store wants what these messages ask for. Called before [`Self::perform`], for messages that another
    /// program may have written, because they came over a broker or were put back. The unit is dropped afterwards: read,
    /// by sets, and change nothing. Returns one verdict per message, in their order.
    ///
    /// # Errors
    /// Those of the store.
    async fn vet(&self, _unit: &mut U, messages: &[&Self::Message]) -> Result<Vec<Vetted>, Fault> {
        Ok(vec![Vetted::Wanted; messages.len()])
    }

    /// The effect of one message: a call to the outside. No transaction is open. It may run more than once for one
    /// message, so key it by the message. A "no" of the business is an answer, not a fault. At most
    /// [`EndpointPolicy::effects_max`](crate::EndpointPolicy::effects_max) are under way at once.
    ///
    /// # Errors
    /// A fault redelivers the message later and, at last, makes it a dead letter.
    async fn perform(&self, message: &Self::Message, envelope: &Envelope) -> Result<Self::Answer, Fault>;

    /// Decides about a batch and stores the decisions. [`Work`] items left as they are count as done.
    ///
    /// # Errors
    /// The fault's verdict decides what happens to the batch.
    async fn handle(
        &self,
        unit: &mut U,
        batch: &mut [Work<Self::Message, Self::Answer>],
    ) -> Result<(), Fault>;
}
