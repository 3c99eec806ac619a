//! Answers given under a client's key.

use application::ports::{IdempotencyRecord, IdempotencyRepository};
use async_trait::async_trait;
use bus::Fault;
use domain::OrderId;
use tokio_postgres::Row;

use super::PostgresUnit;
use super::array::Array;
use super::column::{Broken, money, time};
use super::fault::broken;
use super::pipeline::Act;

#[async_trait]
impl IdempotencyRepository for PostgresUnit {
    async fn find(&mut self, keys: &[String]) -> Result<Vec<IdempotencyRecord>, Fault> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.ask_beside(select(keys)).await?;
        rows.iter().map(record).collect::<Result<_, _>>().map_err(broken("idempotency.find"))
    }

    async fn insert(&mut self, records: &[IdempotencyRecord]) -> Result<(), Fault> {
        if !records.is_empty() {
            self.later(insert(records));
        }
        Ok(())
    }
}

fn select(keys: &[String]) -> Act {
    let sql = "select idempotency_key, request_digest, order_id, total_minor, currency, created_at
         from idempotency where idempotency_key = any($1)";
    let keys = Array::texts(keys.iter().map(String::as_str));
    Act::new("idempotency.find", sql, vec![Box::new(keys)])
}

fn record(row: &Row) -> Result<IdempotencyRecord, Broken> {
    Ok(IdempotencyRecord {
        key: row.try_get(0)?,
        request_digest: row.try_get::<_, &[u8]>(1)?.try_into()?,
        order_id: OrderId(row.try_get(2)?),
        total: money(row, 3)?,
        created_at: time(row, 5)?,
    })
}

/// In order of keys, so that two that insert the same wait for each other only once.
fn insert(records: &[IdempotencyRecord]) -> Act {
    let sql = "insert into idempotency (idempotency_key, request_digest, order_id, total_minor, currency, created_at)
         select key, digest, order_id, total, currency, created_at
         from unnest($1::text[], $2::bytea[], $3::uuid[], $4::bigint[], $5::text[], $6::bigint[])
             as fresh (key, digest, order_id, total, currency, created_at)
         order by key";
    Act::new(
        "idempotency.insert",
        sql,
        vec![
            Box::new(Array::texts(records.iter().map(|record| record.key.as_str()))),
            Box::new(Array::bytes(records.iter().map(|record| record.request_digest.as_slice()))),
            Box::new(Array::uuids(records.iter().map(|record| record.order_id.0))),
            Box::new(Array::numbers(records.iter().map(|record| record.total.minor))),
            Box::new(Array::texts(records.iter().map(|record| record.total.currency.code()))),
            Box::new(Array::times(records.iter().map(|record| record.created_at))),
        ],
    )
    .conflict_if_taken()
}
