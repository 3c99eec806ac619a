//! Answers given under a client's key.

use std::sync::Arc;

use application::ports::{Answer, IdempotencyRecord, IdempotencyRepository, KeptAnswer, RequestKey};
use async_trait::async_trait;
use bus::Fault;
use domain::OrderId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::SqliteUnit;
use super::column::{Micros, money, time};
use bus_sqlite::{conflict_if_taken, fault};

#[async_trait]
impl IdempotencyRepository for SqliteUnit {
    async fn find(&mut self, keys: &[String]) -> std::result::Result<Vec<IdempotencyRecord>, Fault> {
        select(self.connection(), keys).map_err(fault("idempotency.find"))
    }

    async fn insert(&mut self, records: &[IdempotencyRecord]) -> std::result::Result<(), Fault> {
        let first = self.take_positions(records.len());
        insert(self.connection(), first, records).map_err(conflict_if_taken("idempotency.insert"))
    }

    async fn kept(&mut self, key: &RequestKey) -> std::result::Result<Option<KeptAnswer>, Fault> {
        kept(self.connection(), key).map_err(fault("idempotency.kept"))
    }

    async fn keep(
        &mut self,
        key: &RequestKey,
        answer: &Answer,
        at: Timestamp,
    ) -> std::result::Result<(), Fault> {
        let position = self.take_positions(1);
        keep(self.connection(), position, key, answer, at).map_err(conflict_if_taken("idempotency.keep"))
    }
}

fn select(connection: &Connection, keys: &[String]) -> Result<Vec<IdempotencyRecord>> {
    let mut select = connection.prepare_cached(
        "select idempotency_key, caller, request_digest, order_id, total_minor, currency, created_at
         from idempotency where idempotency_key = ?",
    )?;
    let mut found = Vec::new();
    for key in keys {
        for known in select.query_map([key], record)? {
            found.push(known?);
        }
    }
    Ok(found)
}

fn record(row: &Row<'_>) -> Result<IdempotencyRecord> {
    Ok(IdempotencyRecord {
        key: row.get(0)?,
        caller: row.get::<_, Arc<str>>(1)?,
        request_digest: row.get(2)?,
        order_id: OrderId(row.get(3)?),
        total: money(row, 4)?,
        created_at: time(row, 6)?,
    })
}

fn insert(connection: &Connection, first: i64, records: &[IdempotencyRecord]) -> Result<()> {
    let mut insert = connection.prepare_cached("insert into idempotency values (?, ?, ?, ?, ?, ?, ?, ?)")?;
    for (position, record) in (first..).zip(records) {
        insert.execute(params![
            position,
            record.key,
            record.caller,
            record.request_digest,
            record.order_id.0.as_bytes(),
            record.total.minor,
            record.total.currency.code(),
            Micros(record.created_at),
        ])?;
    }
    Ok(())
}

fn kept(connection: &Connection, key: &RequestKey) -> Result<Option<KeptAnswer>> {
    let mut select = connection.prepare_cached(
        "select request_digest, status, body from kept_answers
         where idempotency_key = ? and operation = ? and caller = ?",
    )?;
    let found = |row: &Row<'_>| {
        Ok(KeptAnswer { digest: row.get(0)?, answer: Answer { status: row.get(1)?, body: row.get(2)? } })
    };
    select.query_row(params![key.key, key.operation, key.caller.id()], found).optional()
}

fn keep(
    connection: &Connection,
    position: i64,
    key: &RequestKey,
    answer: &Answer,
    at: Timestamp,
) -> Result<()> {
    let mut insert = connection.prepare_cached("insert into kept_answers values (?, ?, ?, ?, ?, ?, ?, ?)")?;
    insert.execute(params![
        position,
        key.key,
        key.operation,
        key.caller.id(),
        key.digest,
        answer.status,
        answer.body,
        Micros(at),
    ])?;
    Ok(())
}
