//! Marked copies: a message that was handled in the unit that published it still goes to the broker for other
//! listeners, marked with the queue that no longer needs it. The mark is part of the kind, so every outbox can hold
//! it; a transport removes it. Never decides which consumer handles what.

use std::sync::Arc;

use crate::Envelope;

/// Begins a marked kind; the kind of a message has no such characters.
const MARK: &str = "handled-by:";

/// Ends the queue's name.
const END: char = '/';

/// The marked kind of a message that this queue has handled.
#[must_use]
pub fn marked(queue: &str, kind: &str) -> String {
    format!("{MARK}{queue}{END}{kind}")
}

/// A kind without its mark, and the queue that the mark names.
#[must_use]
pub fn unmarked(kind: &str) -> (Option<&str>, &str) {
    let marked = kind.strip_prefix(MARK).and_then(|rest| rest.split_once(END));
    marked.map_or((None, kind), |(queue, kind)| (Some(queue), kind))
}

/// The same envelope without a mark.
#[must_use]
pub fn without_mark(envelope: &Envelope) -> Envelope {
    let (_, kind) = unmarked(&envelope.kind);
    Envelope { kind: Arc::from(kind), ..envelope.clone() }
}
