//! Error queues of a broker: beside each queue lies what the broker could not get rid of there. A person looks at it without taking
//! it away, puts it back or discards it, and never more than was shown.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use crate::Fault;

/// An error queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorQueue {
    /// Its name.
    pub name: String,
    /// The queue that it is for.
    pub queue: String,
    /// Messages that lie in it.
    pub messages: u64,
}

/// Why a message lies in an error queue, in one word by which a list tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AsideCause {
    /// It could not be read.
    Unreadable,
    /// It is of no type that its queue takes.
    UnknownType,
    /// Its sender gave it so long, and it was not handled by then.
    Expired,
    /// It was delivered too often without being finished.
    DeliveredTooOften,
    /// There was no room for it.
    QueueFull,
    /// Neither the broker nor its headers say so.
    Unknown,
}

impl AsideCause {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::UnknownType => "unknown_type",
            Self::Expired => "expired",
            Self::DeliveredTooOften => "delivered_too_often",
            Self::QueueFull => "queue_full",
            Self::Unknown => "unknown",
        }
    }
}

/// A message in an error queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Names this message and all that lay before it, so that whoever says it means exactly these.
    pub mark: Uuid,
    /// Its id, if it has one.
    pub message_id: Option<String>,
    /// Its kind, if it can be read.
    pub kind: Option<String>,
    /// Why it lies there, in one word.
    pub cause: AsideCause,
    /// Why it lies there, in a sentence.
    pub reason: String,
    /// When it was sent, if that is written on it.
    pub sent_at: Option<Timestamp>,
    /// When it was set aside, if the broker says so.
    pub died_at: Option<Timestamp>,
    /// The media type of its body.
    pub content_type: String,
    /// What is written on it, as text.
    pub headers: BTreeMap<String, String>,
    /// What it says.
    pub body: Bytes,
}

impl SetAside {
    /// The mark of a message with these contents behind one with this mark; nil stands before the first.
    #[must_use]
    pub fn mark_behind(before: Uuid, contents: &[u8]) -> Uuid {
        Uuid::new_v5(&before, contents)
    }
}

/// The error queues of a broker, as an operator sees them. Those who look at one queue at the same moment take turns.
#[async_trait]
pub trait ErrorQueues: Send + Sync {
    /// All of them, by the names of their queues.
    ///
    /// # Errors
    /// Those of the broker.
    async fn list_error_queues(&self) -> Result<Vec<ErrorQueue>, Fault>;

    /// Up to `max` messages of the error queue of this name, the next to be taken first. They stay where they are.
    ///
    /// # Errors
    /// Those of the broker; [`crate::Verdict::GiveUp`] if no error queue has this name, [`crate::Verdict::Conflict`] if another has its
    /// turn there for too long.
    async fn look_at_errors(&self, name: &str, max: usize) -> Result<Vec<SetAside>, Fault>;

    /// Holds the first `count` messages, if they are those that `mark` names; none if they are not, or are fewer.
    ///
    /// # Errors
    /// As for looking.
    async fn take_errors(
        &self,
        name: &str,
        count: usize,
        mark: Uuid,
    ) -> Result<Option<Box<dyn TakenErrors>>, Fault>;
}

/// Messages of an error queue that are held for a person. Dropped, they lie in the queue again.
#[async_trait]
pub trait TakenErrors: Send {
    /// The messages.
    fn messages(&self) -> &[SetAside];

    /// Puts them into the queue that they came from, and takes those away that have arrived there. If that is broken off, a message
    /// may lie in both queues, and never in none.
    ///
    /// # Errors
    /// [`crate::Verdict::Retry`] if not all are known to have arrived; the others lie in the error queue still.
    async fn put_back(self: Box<Self>) -> Result<(), Fault>;

    /// Takes them away for good.
    ///
    /// # Errors
    /// [`crate::Verdict::Retry`] if it is not known whether the broker has heard it.
    async fn discard(self: Box<Self>) -> Result<(), Fault>;
}
