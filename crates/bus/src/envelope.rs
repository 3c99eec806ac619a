//! The envelope: one message with everything needed to correlate, trace, repeat and answer it. Never interprets a
//! body; that is the business of [`crate::Message`].

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identity of one message. A message derived from another has a derived id, so publishing it twice is a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub Uuid);

/// What the message is about: the saga instance that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CorrelationId(pub Uuid);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl MessageId {
    /// The id of the `ordinal`-th message of kind `kind` that handling `self` causes. The same cause always yields
    /// the same ids, so a handler that runs twice publishes the same messages. Keeps the time prefix of a version 7
    /// parent, so that index pages stay local.
    #[must_use]
    pub fn child(self, kind: &str, ordinal: u32) -> Self {
        let mut tail = fold(self.0.as_u128() as u64, kind.as_bytes());
        tail = mix(tail ^ u64::from(ordinal).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let head = mix(tail ^ (self.0.as_u128() >> 64) as u64);
        let mut bytes = *self.0.as_bytes();
        bytes[6..8].copy_from_slice(&(head as u16).to_be_bytes());
        bytes[8..].copy_from_slice(&tail.to_be_bytes());
        bytes[6] = 0x80 | (bytes[6] & 0x0F);
        bytes[8] = 0x80 | (bytes[8] & 0x3F);
        Self(Uuid::from_bytes(bytes))
    }
}

/// FNV-1a over the kind's bytes, seeded with the parent.
fn fold(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed ^ 0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// One message in transit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Identity; a repeat has the same.
    pub id: MessageId,
    /// Name of the message type; routes the message to the queues that subscribed to it.
    pub kind: Arc<str>,
    /// The saga instance that it belongs to.
    pub correlation_id: CorrelationId,
    /// The message whose handling published this one.
    pub causation_id: Option<MessageId>,
    /// The first message of the conversation; all that follow carry its id.
    pub conversation_id: MessageId,
    /// W3C trace context, as text.
    pub traceparent: Option<Arc<str>>,
    /// When it was published.
    pub sent_at: Timestamp,
    /// How often handling it has failed so far; 0 on first delivery.
    pub attempt: u32,
    /// The encoded message.
    pub body: Bytes,
}

impl Envelope {
    /// A message that starts a conversation.
    #[must_use]
    pub fn first(
        id: MessageId,
        correlation_id: CorrelationId,
        kind: &str,
        body: Bytes,
        sent_at: Timestamp,
    ) -> Self {
        Self {
            id,
            kind: Arc::from(kind),
            correlation_id,
            causation_id: None,
            conversation_id: id,
            traceparent: None,
            sent_at,
            attempt: 0,
            body,
        }
    }

    /// A message caused by this one: same conversation, same trace, id derived from this id, kind and ordinal.
    #[must_use]
    pub fn caused(&self, kind: &str, ordinal: u32, body: Bytes, sent_at: Timestamp) -> Self {
        Self {
            id: self.id.child(kind, ordinal),
            kind: Arc::from(kind),
            correlation_id: self.correlation_id,
            causation_id: Some(self.id),
            conversation_id: self.conversation_id,
            traceparent: self.traceparent.clone(),
            sent_at,
            attempt: 0,
            body,
        }
    }

    /// The same message bound for another saga instance.
    #[must_use]
    pub fn about(mut self, correlation_id: CorrelationId) -> Self {
        self.correlation_id = correlation_id;
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_child_id_depends_on_parent_kind_and_ordinal_and_on_nothing_else(parent: u128, ordinal: u32, other: u32) {
            let parent = MessageId(Uuid::from_u128(parent));
            prop_assert_eq!(parent.child("a", ordinal), parent.child("a", ordinal));
            prop_assert_ne!(parent.child("a", ordinal), parent.child("b", ordinal));
            prop_assert_eq!(ordinal == other, parent.child("a", ordinal) == parent.child("a", other));
            prop_assert_ne!(parent.child("a", ordinal), parent);
        }

        #[test]
        fn a_child_keeps_the_time_prefix_of_its_parent(parent: u128) {
            let parent = MessageId(Uuid::from_u128(parent));
            let child = parent.child("kind", 1);
            prop_assert_eq!(&parent.0.as_bytes()[..6], &child.0.as_bytes()[..6]);
            prop_assert_eq!(child.0.get_version_num(), 8);
        }
    }
}
