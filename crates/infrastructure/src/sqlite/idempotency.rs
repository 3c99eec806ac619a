//! Answers given under a client's key.

use application::ports::{IdempotencyRecord, IdempotencyRepository};
use async_trait::async_trait;
use bus::Fault;
use domain::OrderId;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::SqliteUnit;
use super::column::{Micros, money, time};
use super::fault::{conflict_if_taken, fault};

#[async_trait]
impl IdempotencyRepository for SqliteUnit {
    async fn find(&mut self, keys: &[String]) -> std::result::Result<Vec<IdempotencyRecord>, Fault> {
        select(self.connection(), keys).map_err(fault("idempotency.find"))
    }

    async fn insert(&mut self, records: &[IdempotencyRecord]) -> std::result::Result<(), Fault> {
        let first = self.take_positions(records.len());
        insert(self.connection(), first, records).map_err(conflict_if_taken("idempotency.insert"))
    }
}

fn select(connection: &Connection, keys: &[String]) -> Result<Vec<IdempotencyRecord>> {
    let mut select = connection.prepare_cached(
        "select idempotency_key, request_digest, order_id, total_minor, currency, created_at
         from idempotency where idempotency_key = ?",
    )?;
    let mut found = Vec::new();
    for key in keys {
        found.extend(select.query_row([key], record).optional()?);
    }
    Ok(found)
}

fn record(row: &Row<'_>) -> Result<IdempotencyRecord> {
    Ok(IdempotencyRecord {
        key: row.get(0)?,
        request_digest: row.get(1)?,
        order_id: OrderId(row.get(2)?),
        total: money(row, 3)?,
        created_at: time(row, 5)?,
    })
}

fn insert(connection: &Connection, first: i64, records: &[IdempotencyRecord]) -> Result<()> {
    let mut insert = connection.prepare_cached("insert into idempotency values (?, ?, ?, ?, ?, ?, ?)")?;
    for (position, record) in (first..).zip(records) {
        insert.execute(params![
            position,
            record.key,
            record.request_digest,
            record.order_id.0.as_bytes(),
            record.total.minor,
            record.total.currency.code(),
            Micros(record.created_at),
        ])?;
    }
    Ok(())
}
