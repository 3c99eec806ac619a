//! Marks on messages that go to a broker. A message that was handled in the unit that published it still goes there for other
//! listeners, marked with the queue that no longer needs it. A message that comes again goes there marked with the only queue
//! that still waits for it, so that no other listener gets it twice. The mark is part of the kind, so every outbox can hold it;
//! a transport removes it. Never decides which consumer handles what.

use std::sync::Arc;

use crate::Envelope;

/// Begins the kind of what a queue has handled; the kind of a message has no such characters.
const HANDLED_BY: &str = "handled-by:";

/// Begins the kind of what only one queue is to get.
const ONLY_FOR: &str = "only-for:";

/// Ends the queue's name.
const END: char = '/';

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark<'a> {
    /// This queue has handled it and does not want it.
    HandledBy(&'a str),
    /// Only this queue wants it.
    OnlyFor(&'a str),
}

/// The marked kind of a message that this queue has handled.
#[must_use]
pub fn marked(queue: &str, kind: &str) -> String {
    format!("{HANDLED_BY}{queue}{END}{kind}")
}

/// The marked kind of a message that only this queue is to get.
#[must_use]
pub fn addressed(queue: &str, kind: &str) -> String {
    format!("{ONLY_FOR}{queue}{END}{kind}")
}

/// A kind without its mark, and what the mark says.
#[must_use]
pub fn mark(kind: &str) -> (Option<Mark<'_>>, &str) {
    let begun = |start| kind.strip_prefix(start).and_then(|rest: &str| rest.split_once(END));
    if let Some((queue, kind)) = begun(HANDLED_BY) {
        return (Some(Mark::HandledBy(queue)), kind);
    }
    match begun(ONLY_FOR) {
        Some((queue, kind)) => (Some(Mark::OnlyFor(queue)), kind),
        None => (None, kind),
    }
}

/// A kind without its mark, and the queue that has handled it, if the mark says so.
#[must_use]
pub fn unmarked(kind: &str) -> (Option<&str>, &str) {
    match mark(kind) {
        (Some(Mark::HandledBy(queue)), kind) => (Some(queue), kind),
        (Some(Mark::OnlyFor(_)) | None, kind) => (None, kind),
    }
}

/// The same envelope without a mark.
#[must_use]
pub fn without_mark(envelope: &Envelope) -> Envelope {
    let (_, kind) = mark(&envelope.kind);
    Envelope { kind: Arc::from(kind), ..envelope.clone() }
}

/// The same as [`without_mark`], for one that seldom has a mark.
#[must_use]
pub fn cleared(envelope: Arc<Envelope>) -> Arc<Envelope> {
    match mark(&envelope.kind) {
        (None, _) => envelope,
        (Some(_), _) => Arc::new(without_mark(&envelope)),
    }
}
