//! Marked copies: a message that was handled in the unit that published it still goes to the broker for other
//! listeners, marked with the queue that no longer needs it. The mark is part of the kind, so every outbox can hold
//! it; a transport removes it. Never decides which consumer handles what.

use std::sync::Arc;

use crate::{Envelope, Topology};

/// Begins a marked kind; the kind of a message has no such characters.
const MARK: &str = "handled-by:";

/// Ends the queue's name.
const END: char = '/';

/// A message that a unit takes back for a queue although a broker carries messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBack {
    /// The queue that it is handled for.
    pub queue: Arc<str>,
    /// The copy that still goes to the broker; none if the kind is private.
    pub news: Option<Envelope>,
}

impl Topology {
    /// What becomes of a message on its way to a broker if one of these queues can have it here. A marked copy stays
    /// on its way: a mark has room for one queue.
    #[must_use]
    pub fn take_back(&self, envelope: &Envelope, queues: &[Arc<str>]) -> Option<TakenBack> {
        let (None, _) = unmarked(&envelope.kind) else { return None };
        let queue = self.queues(&envelope.kind).find(|queue| queues.contains(queue)).cloned()?;
        let is_private = self.is_private(&envelope.kind) && self.queues(&envelope.kind).nth(1).is_none();
        let news = (!is_private)
            .then(|| Envelope { kind: Arc::from(marked(&queue, &envelope.kind)), ..envelope.clone() });
        Some(TakenBack { queue, news })
    }
}

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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::{CorrelationId, MessageId};

    fn envelope(kind: &str) -> Envelope {
        let id = Uuid::from_u128(1);
        Envelope::first(MessageId(id), CorrelationId(id), kind, Bytes::new(), Timestamp::UNIX_EPOCH)
    }

    fn queues<'a>(topology: &'a Topology, kind: &'a str) -> Vec<&'a str> {
        topology.queues(kind).map(|queue| &**queue).collect()
    }

    #[test]
    fn whoever_else_wants_a_message_still_gets_it_and_whoever_handled_it_does_not() {
        let topology = Topology::default().subscribe("first", &["K"]).subscribe("second", &["K"]);
        let taken = topology.take_back(&envelope("K"), &["first".into()]).expect("it is wanted");
        let news = taken.news.expect("it is not private");
        assert_eq!((&*taken.queue, queues(&topology, &news.kind)), ("first", vec!["second"]));
        assert_eq!(unmarked(&news.kind), (Some("first"), "K"));
        assert_eq!(without_mark(&news), envelope("K"));
        assert_eq!(topology.take_back(&news, &["first".into(), "second".into()]), None, "it is news by now");
    }

    #[test]
    fn what_is_private_leaves_no_news_unless_another_queue_waits_for_it() {
        let topology = Topology::default().subscribe("first", &["K"]).keep_private(&["K"]);
        let take = |topology: &Topology| topology.take_back(&envelope("K"), &["first".into()]);
        assert_eq!(take(&topology).expect("it is wanted").news, None);
        let shared = topology.subscribe("second", &["K"]);
        assert!(take(&shared).expect("it is wanted").news.is_some());
    }

    #[test]
    fn what_no_queue_here_can_have_is_left_alone() {
        let topology = Topology::default().subscribe("first", &["K"]);
        assert_eq!(topology.take_back(&envelope("K"), &["second".into()]), None);
        assert_eq!(topology.take_back(&envelope("L"), &["first".into()]), None);
    }
}
