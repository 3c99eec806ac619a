//! What a consumer understands: a set of message kinds and how each is written as bytes.
//! Never says where a message goes; that is the topology's business.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::news::unmarked;
use crate::{CorrelationId, Envelope, Fault, MessageId};

/// One message type, or a closed enum of the types that one consumer handles.
pub trait Message: Sized + Send + Sync + 'static {
    /// The kinds that it may have on the wire.
    const KINDS: &'static [&'static str];

    /// The kind of this value; one of [`Self::KINDS`].
    fn kind(&self) -> &'static str;

    /// The body as bytes.
    fn encode(&self) -> Bytes;

    /// Reads a body of the given kind.
    ///
    /// # Errors
    /// [`crate::Verdict::GiveUp`] for an unknown kind or a body that does not fit it.
    fn decode(kind: &str, body: &[u8]) -> Result<Self, Fault>;

    /// An envelope with this message, as the first of a conversation.
    fn first(&self, id: MessageId, correlation_id: CorrelationId, now: Timestamp) -> Envelope {
        Envelope::first(id, correlation_id, self.kind(), self.encode(), now)
    }

    /// An envelope for this message as a consequence of `cause`.
    fn caused_by(&self, cause: &Envelope, ordinal: u32, now: Timestamp) -> Envelope {
        cause.caused(self.kind(), ordinal, self.encode(), now)
    }
}

/// Encodes a body as JSON, the format of all our messages.
pub fn to_json<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("a message is plain data, which always has a JSON form"))
}

/// Decodes a JSON body.
///
/// # Errors
/// [`crate::Verdict::GiveUp`] naming the position in the body that does not fit.
pub fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::give_up("message.decode", error))
}

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

    /// Whether this kind is private.
    #[must_use]
    pub fn is_private(&self, kind: &str) -> bool {
        self.private.contains(&kind)
    }

    /// The queues that want this kind; a message without one is dropped. A queue named by the mark on the kind has
    /// handled the message already and does not want it.
    pub fn queues<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Arc<str>> + 'a {
        let (done, kind) = unmarked(kind);
        let wanting = self.routes.iter().filter(move |(wanted, _)| *wanted == kind).map(|(_, queue)| queue);
        wanting.filter(move |queue| Some(&***queue) != done)
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
