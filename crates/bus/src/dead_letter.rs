//! Messages that could not be handled: kept with the reason, listed, inspected, and put back at a chosen rate. Only a
//! person redrives them, and each redrive is recorded.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{DeadLetterGroups, Envelope, Fault, GroupKey, MessageId, from_json, to_json};

/// Kind of the notice that a message was set aside. The notice leaves through the outbox in the transaction that sets
/// the message aside, for listeners at the broker; no queue of ours wants it.
pub const DEAD_LETTER_NOTICE: &str = "DeadLetterNotice";

/// A message that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Position in the store, the cursor of listings.
    pub position: i64,
    /// Its queue.
    pub queue: Arc<str>,
    /// The message, with its number of attempts.
    pub envelope: Envelope,
    /// The last error.
    pub reason: String,
    /// When it was set aside.
    pub died_at: Timestamp,
    /// That it was archived, if it was.
    pub archived: Option<Archived>,
}

/// That a person put a dead letter away for good. Nothing is deleted: it is listed if asked for, and can be put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why, in their words.
    pub note: String,
}

/// The content of a notice that its envelope does not carry.
#[derive(Serialize, Deserialize)]
struct Notice {
    queue: Arc<str>,
    kind: Arc<str>,
    causation_id: Option<Uuid>,
    sent_at: Timestamp,
    attempt: u32,
    reason: String,
    body: String,
}

impl DeadLetter {
    /// The group of dead letters of the same cause.
    #[must_use]
    pub fn group(&self) -> GroupKey {
        GroupKey::of(&self.queue, &self.envelope.kind, &self.reason)
    }

    /// The id of the notice for this kind. Publishing one death twice repeats the id. A message that dies again after
    /// it was put back, with attempts counted afresh, or in another queue, gets a new id.
    #[must_use]
    pub fn news_id(&self, kind: &str) -> MessageId {
        // A notice comes back from its store in microseconds.
        let death = format!("{kind} {} {}", self.queue, self.died_at.as_microsecond());
        self.envelope.id.child(&death, self.envelope.attempt)
    }

    /// The notice, derived from the message. None if the message's body cannot be read.
    #[must_use]
    pub fn notice(&self) -> Option<Envelope> {
        let envelope = &self.envelope;
        let body = std::str::from_utf8(&envelope.body).ok()?;
        serde_json::from_str::<serde::de::IgnoredAny>(body).ok()?;
        let notice = Notice {
            queue: Arc::clone(&self.queue),
            kind: Arc::clone(&envelope.kind),
            causation_id: envelope.causation_id.map(|id| id.0),
            sent_at: envelope.sent_at,
            attempt: envelope.attempt,
            reason: self.reason.clone(),
            body: body.to_owned(),
        };
        let caused = envelope.caused(DEAD_LETTER_NOTICE, envelope.attempt, to_json(&notice), self.died_at);
        Some(Envelope { id: self.news_id(DEAD_LETTER_NOTICE), ..caused })
    }

    /// The dead letter that a notice reports. Its position is not known any more.
    ///
    /// # Errors
    /// [`crate::Verdict::GiveUp`] for an envelope that is not a notice.
    pub fn told_by(notice: &Envelope) -> Result<Self, Fault> {
        let told: Notice = from_json(&notice.body)?;
        let id = notice.causation_id.ok_or_else(|| Fault::give_up("notice.read", "a notice has a cause"))?;
        let envelope = Envelope {
            id,
            kind: told.kind,
            causation_id: told.causation_id.map(MessageId),
            sent_at: told.sent_at,
            attempt: told.attempt,
            body: Bytes::from(told.body),
            ..notice.clone()
        };
        Ok(Self {
            position: 0,
            queue: told.queue,
            envelope,
            reason: told.reason,
            died_at: notice.sent_at,
            archived: None,
        })
    }
}

/// A dead letter's message as it goes back into its queue. Its attempts count afresh, from one and not from zero, so
/// that a consumer with effects looks before it acts and checks whether the message is wanted at all.
#[must_use]
pub fn put_back(envelope: Envelope) -> Envelope {
    Envelope { attempt: 1, ..envelope }
}

/// A filter for dead letters.
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
    /// Only this group.
    pub group: Option<GroupKey>,
    /// Only those after this position.
    pub after: Option<i64>,
    /// Those that wait for a person, or those that were archived.
    pub shelf: Shelf,
}

/// Where a dead letter lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shelf {
    /// It waits for a person.
    #[default]
    Waiting,
    /// A person has archived it.
    Archived,
}

/// Who does something with dead letters, and why; kept with what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// Who.
    pub actor: &'a str,
    /// Why, in their words.
    pub note: &'a str,
    /// When.
    pub at: Timestamp,
}

/// What a person does with dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterAct {
    /// Puts them back into their queues.
    Redrive,
    /// Puts them away for good.
    Archive,
}

/// A dead letter that a person has moved.
#[derive(Clone, Copy, Debug)]
pub struct MovedLetter<'a> {
    /// Where it lay.
    pub position: i64,
    /// The queue that it is for.
    pub queue: &'a str,
    /// The message.
    pub envelope: &'a Envelope,
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

    /// Up to `max` groups of those that match. Reads no more than the latest [`crate::GROUPED_MAX`] dead letters.
    ///
    /// # Errors
    /// Those of the store.
    async fn group_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        max: usize,
    ) -> Result<DeadLetterGroups, Fault>;

    /// Puts these back into their queues with a fresh attempt count, be they archived or not, and records who asked, in one
    /// transaction. Returns the positions of those that existed.
    ///
    /// # Errors
    /// Those of the store.
    async fn redrive(&self, positions: &[i64], by: &Signed<'_>) -> Result<Vec<i64>, Fault>;

    /// Archives these, if they are not, and records who asked, in one transaction. Returns the positions of those that waited.
    ///
    /// # Errors
    /// Those of the store.
    async fn archive(&self, positions: &[i64], by: &Signed<'_>) -> Result<Vec<i64>, Fault>;
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::CorrelationId;

    fn dead(body: &'static [u8]) -> DeadLetter {
        let id = |number| Uuid::from_u128(number);
        let at = |us| Timestamp::from_microsecond(us).expect("a time");
        let body = Bytes::from_static(body);
        let cause = Envelope::first(MessageId(id(1)), CorrelationId(id(2)), "A", Bytes::new(), at(1));
        let envelope = Envelope { attempt: 3, ..cause.caused("B", 0, body, at(2)) };
        DeadLetter {
            position: 0,
            queue: Arc::from("q"),
            envelope,
            reason: "no".to_owned(),
            died_at: at(3),
            archived: None,
        }
    }

    #[test]
    fn a_notice_tells_all_of_the_dead_letter_but_its_position() {
        let dead = dead(b"{\"thing\": 7}");
        let notice = dead.notice().expect("its body is JSON");
        assert_eq!(DeadLetter::told_by(&notice).expect("it is a notice"), dead);
        assert_eq!(dead.notice(), Some(notice), "telling of it twice is a repeat");
    }

    #[test]
    fn a_second_death_is_news_and_the_same_one_is_not_however_finely_it_is_timed() {
        let first = dead(b"{}");
        let at = |nanos| Timestamp::from_nanosecond(nanos).expect("a time");
        let finer = DeadLetter { died_at: at(3_999), ..first.clone() };
        let again = DeadLetter { died_at: at(4_000), ..first.clone() };
        let elsewhere = DeadLetter { queue: Arc::from("r"), ..first.clone() };
        let id = |dead: &DeadLetter| dead.notice().expect("its body is JSON").id;
        assert_eq!((id(&first), first.news_id("Fault")), (id(&finer), finer.news_id("Fault")));
        for other in [&again, &elsewhere] {
            assert_ne!(id(&first), id(other));
            assert_ne!(first.news_id("Fault"), other.news_id("Fault"));
        }
        assert_ne!(first.news_id("Fault"), id(&first));
    }

    #[test]
    fn of_what_nobody_can_read_there_is_no_notice() {
        assert!(dead(b"{").notice().is_none() && dead(b"\xFF").notice().is_none());
    }
}
