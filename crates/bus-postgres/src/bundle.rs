//! Many messages in one row of the outbox. News that no queue of ours waits for is most of what goes to a broker; a row for
//! each was a tenth of what the database does. What one of our queues must get has a row of its own, so that it
//! can be set aside alone if it cannot be sent.

use std::sync::Arc;

use bus::{CorrelationId, Envelope, MessageId};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::column::Broken;

/// The kind of such a row; the number is that of the format.
const KIND: &str = "bus:bundle/1";

/// Bytes of a bundle at most, so that its row fits a page of 8 KiB together with its other columns and is written in one piece.
const BYTES_MAX: usize = 7_600;

/// What a row of the outbox holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    /// A message, or many as one.
    pub(crate) envelope: Arc<Envelope>,
    /// How many.
    pub(crate) messages: usize,
}

impl Letter {
    /// One message.
    pub(crate) const fn of(envelope: Arc<Envelope>) -> Self {
        Self { envelope, messages: 1 }
    }

    /// The messages, in the sequence in which they were put in.
    ///
    /// # Errors
    /// What is wrong with the row: nobody but [`bundle`] has a reason to write such a one.
    pub(crate) fn open(self) -> Result<Vec<Envelope>, Broken> {
        let envelope = Arc::unwrap_or_clone(self.envelope);
        if &*envelope.kind != KIND {
            return Ok(vec![envelope]);
        }
        let mut rest: &[u8] = &envelope.body;
        let mut messages = Vec::with_capacity(self.messages);
        while !rest.is_empty() {
            let (item, behind) = postcard::take_from_bytes::<Item<'_>>(rest)?;
            rest = behind;
            messages.push(Envelope {
                id: MessageId(item.id),
                kind: Arc::from(item.kind),
                correlation_id: CorrelationId(item.correlation_id),
                causation_id: item.causation_id.map(MessageId),
                conversation_id: MessageId(item.conversation_id),
                traceparent: item.traceparent.map(Arc::from),
                sent_at: Timestamp::from_microsecond(item.sent_at)?,
                attempt: item.attempt,
                body: envelope.body.slice_ref(item.body),
            });
        }
        if messages.len() != self.messages {
            return Err(format!("{} messages lie in a row of {}", messages.len(), self.messages).into());
        }
        Ok(messages)
    }
}

/// A message as it lies in a bundle, one behind the other; in the format of the `postcard` crate.
#[derive(Serialize, Deserialize)]
struct Item<'a> {
    id: Uuid,
    kind: &'a str,
    correlation_id: Uuid,
    causation_id: Option<Uuid>,
    conversation_id: Uuid,
    traceparent: Option<&'a str>,
    /// Microseconds since 1970.
    sent_at: i64,
    attempt: u32,
    #[serde(serialize_with = "bytes")]
    body: &'a [u8],
}

fn bytes<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// As few letters as hold these messages.
pub(crate) fn bundle(messages: Vec<Arc<Envelope>>) -> Vec<Letter> {
    let mut letters = Vec::new();
    let mut open: Vec<Arc<Envelope>> = Vec::new();
    let mut bytes = Vec::with_capacity(BYTES_MAX);
    for message in messages {
        let earlier = bytes.len();
        bytes = with_item(bytes, &message);
        if bytes.len() > BYTES_MAX && !open.is_empty() {
            let item = bytes.split_off(earlier);
            letters.push(closed(std::mem::take(&mut open), std::mem::replace(&mut bytes, item)));
        }
        open.push(message);
    }
    if !open.is_empty() {
        letters.push(closed(open, bytes));
    }
    letters
}

fn closed(mut messages: Vec<Arc<Envelope>>, bytes: Vec<u8>) -> Letter {
    let count = messages.len();
    let first = messages.swap_remove(0);
    if count == 1 {
        return Letter::of(first);
    }
    let envelope =
        Envelope { kind: Arc::from(KIND), body: Bytes::from(bytes), ..Arc::unwrap_or_clone(first) };
    Letter { envelope: Arc::new(envelope), messages: count }
}

fn with_item(bytes: Vec<u8>, message: &Envelope) -> Vec<u8> {
    let item = Item {
        id: message.id.0,
        kind: &message.kind,
        correlation_id: message.correlation_id.0,
        causation_id: message.causation_id.map(|id| id.0),
        conversation_id: message.conversation_id.0,
        traceparent: message.traceparent.as_deref(),
        sent_at: message.sent_at.as_microsecond(),
        attempt: message.attempt,
        body: &message.body,
    };
    postcard::to_extend(&item, bytes).expect("ids, texts and numbers can always be written")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message() -> impl Strategy<Value = Envelope> {
        let ids = (any::<u128>(), any::<u128>(), any::<Option<u128>>(), any::<u128>());
        let texts = (".{0,40}", prop::option::of(".{0,60}"));
        let body = prop_oneof![
            9 => prop::collection::vec(any::<u8>(), 0..600),
            1 => prop::collection::vec(any::<u8>(), BYTES_MAX..BYTES_MAX + 99),
        ];
        (ids, texts, 0..4_000_000_000_000_000_i64, any::<u32>(), body).prop_map(
            |(ids, (kind, trace), at, attempt, body)| Envelope {
                id: MessageId(Uuid::from_u128(ids.0)),
                kind: Arc::from(kind),
                correlation_id: CorrelationId(Uuid::from_u128(ids.1)),
                causation_id: ids.2.map(|id| MessageId(Uuid::from_u128(id))),
                conversation_id: MessageId(Uuid::from_u128(ids.3)),
                traceparent: trace.map(Arc::from),
                sent_at: Timestamp::from_microsecond(at).unwrap(),
                attempt,
                body: Bytes::from(body),
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_put_in_comes_out_and_every_row_fits_its_page(messages in prop::collection::vec(message(), 0..60)) {
            let letters = bundle(messages.iter().cloned().map(Arc::new).collect());
            let mut out = Vec::new();
            for letter in letters {
                prop_assert!(letter.messages == 1 || letter.envelope.body.len() <= BYTES_MAX);
                out.extend(letter.open().unwrap());
            }
            prop_assert_eq!(out, messages);
        }

        #[test]
        fn a_row_that_was_cut_short_is_refused(
            messages in prop::collection::vec(message(), 2..5),
            kept in any::<prop::sample::Index>(),
        ) {
            for Letter { envelope, messages } in bundle(messages.into_iter().map(Arc::new).collect()) {
                if messages > 1 {
                    let mut envelope = Arc::unwrap_or_clone(envelope);
                    envelope.body.truncate(kept.index(envelope.body.len()));
                    let cut = Letter { envelope: Arc::new(envelope), messages };
                    prop_assert!(cut.open().is_err());
                }
            }
        }
    }

    #[test]
    fn many_small_messages_are_few_rows() {
        let body = Bytes::from(vec![b'x'; 300]);
        let id = Uuid::from_u128(7);
        let message =
            Envelope::first(MessageId(id), CorrelationId(id), "MeterRead", body, Timestamp::UNIX_EPOCH);
        let messages = (0..180).map(|_| Arc::new(message.clone())).collect();
        assert!(bundle(messages).len() <= 10);
    }
}
