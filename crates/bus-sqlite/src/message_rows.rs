//! A message as the ten columns that outbox, delayed messages and dead letters share. Knows no transaction.

use std::sync::Arc;

use bus::{CorrelationId, Envelope, MessageId};
use bytes::Bytes;
use rusqlite::{Connection, Result, Row, ToSql, params};
use uuid::Uuid;

use crate::column::{Micros, time};

/// The queue of a row that a relay takes to a broker, which knows the queues itself.
pub(crate) const NO_QUEUE: &str = "";

/// The columns of a message in the order in which they are written and read.
pub(crate) const MESSAGE: &str = "queue, message_id, kind, correlation_id, causation_id, conversation_id, \
     traceparent, sent_at, attempt, body";

/// Reads [`MESSAGE`], starting at column `first`.
pub(crate) fn message(row: &Row<'_>, first: usize) -> Result<(Arc<str>, Envelope)> {
    let envelope = Envelope {
        id: MessageId(row.get(first + 1)?),
        kind: row.get(first + 2)?,
        correlation_id: CorrelationId(row.get(first + 3)?),
        causation_id: row.get::<_, Option<Uuid>>(first + 4)?.map(MessageId),
        conversation_id: MessageId(row.get(first + 5)?),
        traceparent: row.get(first + 6)?,
        sent_at: time(row, first + 7)?,
        attempt: row.get(first + 8)?,
        body: Bytes::from(row.get::<_, Vec<u8>>(first + 9)?),
    };
    Ok((row.get(first)?, envelope))
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
    /// Reads a position and [`MESSAGE`] behind it.
    pub(crate) fn read(row: &Row<'_>) -> Result<Self> {
        let (queue, envelope) = message(row, 1)?;
        Ok(Self { position: row.get(0)?, queue, envelope })
    }
}

/// Adds rows to the outbox, the first of them at position `first`.
pub(crate) fn insert_outgoing(
    connection: &Connection,
    first: i64,
    routed: &[(Arc<str>, Arc<Envelope>)],
) -> Result<()> {
    let mut insert = connection
        .prepare_cached("insert into outbox values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null, null)")?;
    for (position, (queue, envelope)) in (first..).zip(routed) {
        insert.execute(params![
            position,
            &**queue,
            envelope.id.0.as_bytes(),
            &*envelope.kind,
            envelope.correlation_id.0.as_bytes(),
            envelope.causation_id.as_ref().map(|id| id.0.as_bytes()),
            envelope.conversation_id.0.as_bytes(),
            envelope.traceparent.as_deref(),
            Micros(envelope.sent_at),
            envelope.attempt,
            &*envelope.body,
        ])?;
    }
    Ok(())
}

/// Adds a row to a table whose message columns come after four of its own, the first of them the position.
pub(crate) fn insert_kept(
    connection: &Connection,
    sql: &str,
    own: &[&dyn ToSql],
    queue: &str,
    envelope: &Envelope,
    attempt: u32,
) -> Result<()> {
    let causation_id = envelope.causation_id.as_ref().map(|id| id.0.as_bytes());
    let traceparent = envelope.traceparent.as_deref();
    let body: &[u8] = &envelope.body;
    let kind: &str = &envelope.kind;
    let message: [&dyn ToSql; 10] = [
        &queue,
        &envelope.id.0.as_bytes(),
        &kind,
        &envelope.correlation_id.0.as_bytes(),
        &causation_id,
        &envelope.conversation_id.0.as_bytes(),
        &traceparent,
        &Micros(envelope.sent_at),
        &attempt,
        &body,
    ];
    let all: Vec<&dyn ToSql> = own.iter().copied().chain(message).collect();
    connection.prepare_cached(sql)?.execute(all.as_slice())?;
    Ok(())
}
