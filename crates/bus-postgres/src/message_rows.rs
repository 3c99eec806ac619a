//! A message as the ten columns that outbox, delayed messages and dead letters share. Knows no transaction.

use std::sync::Arc;

use bus::{CorrelationId, Envelope, MessageId};
use bytes::Bytes;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::array::Array;
use crate::column::{Broken, count, time};
use crate::pipeline::Param;

/// The queue of a row that a relay takes to a broker, which knows the queues itself.
pub(crate) const NO_QUEUE: &str = "";

/// The columns of a message in the order in which they are written and read.
macro_rules! message {
    () => {
        "queue, message_id, kind, correlation_id, causation_id, conversation_id, traceparent, sent_at, attempt, body"
    };
}
pub(crate) use message;

/// Reads [`message`], starting at column `first`.
pub(crate) fn envelope(row: &Row, first: usize) -> Result<(Arc<str>, Envelope), Broken> {
    let envelope = Envelope {
        id: MessageId(row.try_get(first + 1)?),
        kind: Arc::from(row.try_get::<_, &str>(first + 2)?),
        correlation_id: CorrelationId(row.try_get(first + 3)?),
        causation_id: row.try_get::<_, Option<Uuid>>(first + 4)?.map(MessageId),
        conversation_id: MessageId(row.try_get(first + 5)?),
        traceparent: row.try_get::<_, Option<&str>>(first + 6)?.map(Arc::from),
        sent_at: time(row, first + 7)?,
        attempt: count(row, first + 8)?,
        body: Bytes::copy_from_slice(row.try_get::<_, &[u8]>(first + 9)?),
    };
    Ok((Arc::from(row.try_get::<_, &str>(first)?), envelope))
}

/// A message on its way from one table to another.
pub(crate) struct Moved {
    /// Where it lies.
    pub(crate) position: i64,
    /// The queue that it is for.
    pub(crate) queue: Arc<str>,
    /// The message.
    pub(crate) envelope: Envelope,
}

impl Moved {
    /// Reads a position and [`message`] behind it.
    pub(crate) fn read(row: &Row) -> Result<Self, Broken> {
        let (queue, envelope) = envelope(row, 1)?;
        Ok(Self { position: row.try_get(0)?, queue, envelope })
    }

    /// Reads many, oldest first: a statement that removes rows returns them in no promised order.
    pub(crate) fn read_all(rows: &[Row]) -> Result<Vec<Self>, Broken> {
        let mut moved = rows.iter().map(Self::read).collect::<Result<Vec<_>, _>>()?;
        moved.sort_unstable_by_key(|moved| moved.position);
        Ok(moved)
    }
}

/// The columns of many messages.
pub(crate) struct MessageColumns {
    queue: Array,
    message_id: Array,
    kind: Array,
    correlation_id: Array,
    causation_id: Array,
    conversation_id: Array,
    traceparent: Array,
    sent_at: Array,
    attempt: Array,
    body: Array,
}

impl MessageColumns {
    /// No messages yet.
    pub(crate) fn new() -> Self {
        Self {
            queue: Array::of_texts(),
            message_id: Array::of_uuids(),
            kind: Array::of_texts(),
            correlation_id: Array::of_uuids(),
            causation_id: Array::of_uuids(),
            conversation_id: Array::of_uuids(),
            traceparent: Array::of_texts(),
            sent_at: Array::of_numbers(),
            attempt: Array::of_numbers(),
            body: Array::of_bytes(),
        }
    }

    /// Adds one.
    pub(crate) fn push(&mut self, queue: &str, envelope: &Envelope, attempt: u32) {
        self.queue.push_text(queue);
        self.message_id.push_uuid(envelope.id.0);
        self.kind.push_text(&envelope.kind);
        self.correlation_id.push_uuid(envelope.correlation_id.0);
        self.causation_id.push_uuid_or_null(envelope.causation_id.map(|id| id.0));
        self.conversation_id.push_uuid(envelope.conversation_id.0);
        self.traceparent.push_text_or_null(envelope.traceparent.as_deref());
        self.sent_at.push_time(envelope.sent_at);
        self.attempt.push_number(i64::from(attempt));
        self.body.push_bytes(&envelope.body);
    }

    /// The values of a statement: these columns and `own` behind them.
    pub(crate) fn params(self, own: Vec<Param>) -> Vec<Param> {
        let message: [Array; 10] = [
            self.queue,
            self.message_id,
            self.kind,
            self.correlation_id,
            self.causation_id,
            self.conversation_id,
            self.traceparent,
            self.sent_at,
            self.attempt,
            self.body,
        ];
        message.into_iter().map(|array| Box::new(array) as Param).chain(own).collect()
    }
}
