//! The port to whatever carries messages: a broker, or the store itself.
//! A transport delivers at least once and in no promised order; everything above leans on no more than that.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Envelope, Fault};

/// Proof that a delivery is held by us; handed back to settle it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The queue that it came from.
    pub queue: Arc<str>,
    /// The transport's own mark, greater than zero: a row's position, or a broker's delivery tag.
    pub token: i64,
}

impl Receipt {
    /// The token of what never lay in its queue.
    const RECLAIMED: i64 = 0;

    /// A receipt of a message that its own unit took back ([`crate::Unit::reclaim`]).
    #[must_use]
    pub const fn reclaimed(queue: Arc<str>) -> Self {
        Self { queue, token: Self::RECLAIMED }
    }

    /// Whether the message never lay in its queue, so that nothing need be removed there.
    #[must_use]
    pub const fn is_reclaimed(&self) -> bool {
        self.token == Self::RECLAIMED
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

    /// Says that these are done for good. Called after the commit that settled them, never before.
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

    /// Sends all and waits until the transport has confirmed each. All or an error; an error may leave some sent.
    ///
    /// # Errors
    /// [`crate::Verdict::Retry`] when a confirm did not come, [`crate::Verdict::GiveUp`] for what can never be sent.
    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Fault>;
}
