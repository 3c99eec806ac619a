//! What a user of the bus writes: a consumer handles batches of one message type inside a unit of work, and may perform an
//! effect per message before, outside any transaction.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{Delivery, Disposition, Envelope, Fault, Message, Unit, Vetted};

/// One message for a consumer, with the answer of its effect.
#[derive(Debug)]
pub struct Work<M, A> {
    /// The decoded message.
    pub message: M,
    /// The answer of [`Consumer::perform`].
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

/// Handles messages.
///
/// A batch is all or nothing: if `handle` fails, everything it did is rolled back, and the bus finds the bad message.
/// `handle` may run again for the same message, so it must rely on stored state (has this been done?) and not on
/// memory.
#[async_trait]
pub trait Consumer<U: Unit + ?Sized>: Send + Sync + 'static {
    /// What it understands.
    type Message: Message;
    /// The answer of its effect; `()` without one.
    type Answer: Send + Sync + 'static;

    /// The queue that it reads, which is also its name.
    fn queue(&self) -> &'static str;

    /// Whether this store wants what these messages ask for. Called for messages that another program may have
    /// written, because they came over a broker or were put back; before [`Self::perform`], for consumers with
    /// effects only. The unit is dropped afterwards: read, by sets, and change nothing. Returns one verdict per
    /// message, in their order.
    ///
    /// # Errors
    /// Those of the store.
    async fn vet(&self, _unit: &mut U, messages: &[&Self::Message]) -> Result<Vec<Vetted>, Fault> {
        Ok(vec![Vetted::Wanted; messages.len()])
    }

    /// The effect of one message: a call to the outside. No transaction is open. It may run more than once for one
    /// message, so key it by the message. A "no" of the business is an answer, not a fault.
    ///
    /// # Errors
    /// A fault redelivers the message later and, at last, makes it a dead letter.
    async fn perform(&self, message: &Self::Message, envelope: &Envelope) -> Result<Self::Answer, Fault>;

    /// Whether [`Self::perform`] does anything; without effects the bus skips it.
    fn effects(&self) -> Effects {
        Effects::None
    }

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

/// Whether a consumer calls the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effects {
    /// It only reads and writes its own store.
    None,
    /// It performs an effect per message, a bounded number at once.
    Outside {
        /// Effects under way at once.
        at_once_max: usize,
    },
}
