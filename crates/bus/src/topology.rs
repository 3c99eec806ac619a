//! The routing table of a process: which queues want which kinds, and what becomes of a message that a unit takes back for
//! one of them.

use std::sync::Arc;

use crate::Envelope;
use crate::news::{Mark, addressed, mark, marked};

/// Which queues want which kinds: the routing table of the process, made once at start.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    routes: Vec<(&'static str, Arc<str>)>,
    private: Vec<&'static str>,
}

impl Topology {
    /// Subscribes a queue to kinds.
    #[must_use]
    pub fn subscribe(mut self, queue: &str, kinds: &[&'static str]) -> Self {
        let queue: Arc<str> = Arc::from(queue);
        self.routes.extend(kinds.iter().map(|kind| (*kind, Arc::clone(&queue))));
        self
    }

    /// Keeps kinds private: a broker carries them only if a queue of ours needs them, because no other service should
    /// rely on them.
    #[must_use]
    pub fn keep_private(mut self, kinds: &[&'static str]) -> Self {
        self.private.extend(kinds);
        self
    }

    /// The same with other names for its queues, such as those that they have at a broker.
    #[must_use]
    pub fn renamed(self, name: impl Fn(&str) -> String) -> Self {
        let routes = self.routes.into_iter().map(|(kind, queue)| (kind, Arc::from(name(&queue))));
        Self { routes: routes.collect(), private: self.private }
    }

    /// Whether this kind is private.
    #[must_use]
    pub fn is_private(&self, kind: &str) -> bool {
        self.private.contains(&kind)
    }

    /// The queues that want this kind; a message without one is dropped. A mark on the kind leaves out the queue that
    /// has handled the message already, or all queues but one.
    pub fn queues<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Arc<str>> + 'a {
        let (mark, kind) = mark(kind);
        let wanting = self.routes.iter().filter(move |(wanted, _)| *wanted == kind).map(|(_, queue)| queue);
        wanting.filter(move |queue| match mark {
            None => true,
            Some(Mark::HandledBy(done)) => ***queue != *done,
            Some(Mark::OnlyFor(only)) => ***queue == *only,
        })
    }

    /// A message that comes again, on its way to a broker: for its queue alone, since all others have had it. One whose
    /// queue no longer wants its kind goes to all that do.
    #[must_use]
    pub fn again(&self, queue: &str, envelope: Envelope) -> Envelope {
        if !self.queues(&envelope.kind).any(|wanting| **wanting == *queue) {
            return envelope;
        }
        Envelope { kind: Arc::from(addressed(queue, &envelope.kind)), ..envelope }
    }

    /// The kinds that this queue wants.
    pub fn kinds<'a>(&'a self, queue: &'a str) -> impl Iterator<Item = &'static str> + 'a {
        self.routes.iter().filter(move |(_, wanted)| &**wanted == queue).map(|(kind, _)| *kind)
    }

    /// Every queue, each once, in order of first subscription.
    #[must_use]
    pub fn all_queues(&self) -> Vec<Arc<str>> {
        let mut queues: Vec<Arc<str>> = Vec::new();
        for (_, queue) in &self.routes {
            if !queues.contains(queue) {
                queues.push(Arc::clone(queue));
            }
        }
        queues
    }
}

/// A message that a unit takes back for a queue although a broker carries messages. Its mark goes ([`crate::cleared`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBack {
    /// The queue that it is handled for.
    pub queue: Arc<str>,
    /// The copy that still goes to the broker; none if the kind is private.
    pub news: Option<Envelope>,
}

impl Topology {
    /// What becomes of a message on its way to a broker if one of these queues can have it here. A copy that is marked as
    /// handled stays on its way: a mark has room for one queue. What is for one queue alone leaves nothing.
    #[must_use]
    pub fn take_back(&self, envelope: &Envelope, queues: &[Arc<str>]) -> Option<TakenBack> {
        let is_addressed = match mark(&envelope.kind).0 {
            None => false,
            Some(Mark::OnlyFor(_)) => true,
            Some(Mark::HandledBy(_)) => return None,
        };
        let queue = self.queues(&envelope.kind).find(|queue| queues.contains(queue)).cloned()?;
        let is_private = self.is_private(&envelope.kind) && self.queues(&envelope.kind).nth(1).is_none();
        let news = (!is_private && !is_addressed)
            .then(|| Envelope { kind: Arc::from(marked(&queue, &envelope.kind)), ..envelope.clone() });
        Some(TakenBack { queue, news })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::{CorrelationId, MessageId, cleared, unmarked, without_mark};

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
    fn what_comes_again_is_for_its_own_queue_and_leaves_no_news() {
        let topology = Topology::default().subscribe("first", &["K"]).subscribe("second", &["K"]);
        let again = topology.again("second", envelope("K"));
        assert_eq!(queues(&topology, &again.kind), ["second"]);
        assert_eq!(
            (without_mark(&again), &*cleared(Arc::new(again.clone()))),
            (envelope("K"), &envelope("K"))
        );
        assert_eq!(unmarked(&again.kind), (None, "K"));
        assert_eq!(topology.take_back(&again, &["first".into()]), None);
        let taken = topology.take_back(&again, &["first".into(), "second".into()]).expect("it is wanted");
        assert_eq!((&*taken.queue, taken.news), ("second", None));
        assert_eq!(topology.again("third", envelope("K")), envelope("K"), "that queue does not want it");
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
