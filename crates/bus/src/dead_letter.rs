//! Messages that could not be handled: kept with the reason, listed, inspected, and put back at a chosen rate.
//! Nothing is ever redriven without a person asking, and each asking is recorded.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{Envelope, Fault, MessageId};

/// A message that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Position in the store, the cursor of listings.
    pub position: i64,
    /// The queue that it was meant for.
    pub queue: Arc<str>,
    /// The message itself, with the number of attempts made.
    pub envelope: Envelope,
    /// The last error.
    pub reason: String,
    /// When it was set aside.
    pub died_at: Timestamp,
}

/// Which dead letters are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// Only this queue.
    pub queue: Option<String>,
    /// Only this kind of message.
    pub kind: Option<String>,
    /// Only errors that contain this text.
    pub reason_contains: Option<String>,
    /// Only this message.
    pub message_id: Option<MessageId>,
    /// Only those after this position.
    pub after: Option<i64>,
}

/// The store of dead letters, as an operator sees it.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Up to `max` that match, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    async fn list_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        max: usize,
    ) -> Result<Vec<DeadLetter>, Fault>;

    /// How many match.
    ///
    /// # Errors
    /// Those of the store.
    async fn count_dead_letters(&self, filter: &DeadLetterFilter) -> Result<u64, Fault>;

    /// Puts these back into their queues with a fresh attempt count, and records who asked, in one transaction. Returns
    /// how many were there.
    ///
    /// # Errors
    /// Those of the store.
    async fn redrive(&self, positions: &[i64], actor: &str, now: Timestamp) -> Result<usize, Fault>;
}
