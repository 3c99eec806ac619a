//! The port to the carrier of messages: a broker, or the store itself. A transport delivers at least once and in no
//! promised order; nothing above relies on more.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Envelope, Fault};

/// Who carries messages from the outbox to their queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// The store itself: the outbox is the queues.
    Store,
    /// A relay, to a broker that knows the queues.
    Outbox,
}

/// Proof that we hold a delivery; it is handed back to settle it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The queue that it came from.
    pub queue: Arc<str>,
    /// Who had it until now.
    pub origin: Origin,
}

/// Where a delivery came from, with that carrier's own mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The store, in the row of this position: settling the delivery removes it.
    Store(i64),
    /// A broker, under this mark: acknowledging lets it forget the delivery.
    Broker(i64),
    /// Its own unit, which took it back ([`crate::Unit::reclaim`]); it never lay in its queue.
    Unit,
}

impl Receipt {
    /// The row that settling the delivery removes from the store.
    #[must_use]
    pub const fn row(&self) -> Option<i64> {
        match self.origin {
            Origin::Store(position) => Some(position),
            Origin::Broker(_) | Origin::Unit => None,
        }
    }

    /// The broker's mark.
    #[must_use]
    pub const fn mark(&self) -> Option<i64> {
        match self.origin {
            Origin::Broker(mark) => Some(mark),
            Origin::Store(_) | Origin::Unit => None,
        }
    }
}

/// A message that was handed to us.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message.
    pub envelope: Arc<Envelope>,
    /// The claim on it.
    pub receipt: Receipt,
}

/// One endpoint's stream of deliveries. Dropping it returns what was not acknowledged.
#[async_trait]
pub trait Feed: Send {
    /// Waits for at least one delivery and returns up to `max`. Safe to drop while waiting.
    ///
    /// # Errors
    /// [`crate::Verdict::Retry`] while the transport is away.
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault>;

    /// Acknowledges these. Called after the commit that settled them, never before.
    ///
    /// # Errors
    /// [`crate::Verdict::Retry`] if the transport is away; the deliveries then come again.
    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault>;
}

/// Carries messages.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Opens the stream of one queue.
    ///
    /// # Errors
    /// [`crate::Verdict::Retry`] while the transport is away, [`crate::Verdict::GiveUp`] for a queue it does not know.
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault>;

    /// Sends all and waits until the transport has confirmed each.
    ///
    /// # Errors
    /// The messages not known to be safe, and why: [`crate::Verdict::Retry`] when a confirm did not come,
    /// [`crate::Verdict::GiveUp`] when one of the rest can never be sent.
    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent>;
}

/// The result of a send that was not confirmed completely. Messages that it does not name may have been sent or not.
#[derive(Debug)]
pub struct Unsent {
    /// What went wrong, and what to do about the messages that are not named below.
    pub fault: Fault,
    /// Indices of confirmed messages.
    pub confirmed: Vec<usize>,
    /// Indices of individually refused messages. Their receivers take nothing now; others can be sent meanwhile.
    pub refused: Vec<usize>,
}

impl Unsent {
    /// The same result, seen from a longer send in which `done` confirmed messages come first.
    #[must_use]
    pub fn after(self, done: usize) -> Self {
        let shifted = |places: Vec<usize>| places.into_iter().map(move |place| place + done);
        Self {
            fault: self.fault,
            confirmed: (0..done).chain(shifted(self.confirmed)).collect(),
            refused: shifted(self.refused).collect(),
        }
    }
}

impl From<Fault> for Unsent {
    /// Nothing is known of any message.
    fn from(fault: Fault) -> Self {
        Self { fault, confirmed: Vec::new(), refused: Vec::new() }
    }
}
