//! Answers given under a client's key.

use std::sync::Arc;

use application::ports::{Answer, IdempotencyRecord, IdempotencyRepository, KeptAnswer, RequestKey};
use async_trait::async_trait;
use bus::Fault;
use domain::OrderId;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresUnit;
use super::column::{Broken, money, time};
use bus_postgres::Act;
use bus_postgres::Array;
use bus_postgres::broken;

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

    async fn kept(&mut self, key: &RequestKey) -> Result<Option<KeptAnswer>, Fault> {
        let rows = self.ask_beside(kept(key)).await?;
        rows.first().map(kept_answer).transpose().map_err(broken("idempotency.kept"))
    }

    async fn keep(&mut self, key: &RequestKey, answer: &Answer, at: Timestamp) -> Result<(), Fault> {
        self.later(keep(key, answer, at));
        Ok(())
    }
}

fn select(keys: &[String]) -> Act {
    let sql = "select idempotency_key, caller, request_digest, order_id, total_minor, currency, created_at
         from idempotency where idempotency_key = any($1)";
    let keys = Array::texts(keys.iter().map(String::as_str));
    Act::new("idempotency.find", sql, vec![Box::new(keys)])
}

fn record(row: &Row) -> Result<IdempotencyRecord, Broken> {
    Ok(IdempotencyRecord {
        key: row.try_get(0)?,
        caller: Arc::from(row.try_get::<_, &str>(1)?),
        request_digest: row.try_get::<_, &[u8]>(2)?.try_into()?,
        order_id: OrderId(row.try_get(3)?),
        total: money(row, 4)?,
        created_at: time(row, 6)?,
    })
}

/// In order of keys, so that two that insert the same wait for each other only once.
fn insert(records: &[IdempotencyRecord]) -> Act {
    let sql =
        "insert into idempotency (idempotency_key, caller, request_digest, order_id, total_minor, currency,
             created_at)
         select key, caller, digest, order_id, total, currency, created_at
         from unnest($1::text[], $2::text[], $3::bytea[], $4::uuid[], $5::bigint[], $6::text[], $7::bigint[])
             as fresh (key, caller, digest, order_id, total, currency, created_at)
         order by key, caller";
    Act::new(
        "idempotency.insert",
        sql,
        vec![
            Box::new(Array::texts(records.iter().map(|record| record.key.as_str()))),
            Box::new(Array::texts(records.iter().map(|record| &*record.caller))),
            Box::new(Array::bytes(records.iter().map(|record| record.request_digest.as_slice()))),
            Box::new(Array::uuids(records.iter().map(|record| record.order_id.0))),
            Box::new(Array::numbers(records.iter().map(|record| record.total.minor))),
            Box::new(Array::texts(records.iter().map(|record| record.total.currency.code()))),
            Box::new(Array::times(records.iter().map(|record| record.created_at))),
        ],
    )
    .conflict_if_taken()
}

fn kept(key: &RequestKey) -> Act {
    let sql = "select request_digest, status, body from kept_answers
         where idempotency_key = $1 and operation = $2 and caller = $3";
    let params: [bus_postgres::Param; 3] =
        [Box::new(key.key.clone()), Box::new(key.operation), Box::new(key.caller.id().to_owned())];
    Act::new("idempotency.kept", sql, params.into())
}

fn kept_answer(row: &Row) -> Result<KeptAnswer, Broken> {
    Ok(KeptAnswer {
        digest: row.try_get::<_, &[u8]>(0)?.try_into()?,
        answer: Answer { status: row.try_get::<_, i64>(1)?.try_into()?, body: row.try_get(2)? },
    })
}

fn keep(key: &RequestKey, answer: &Answer, at: Timestamp) -> Act {
    let sql = "insert into kept_answers (idempotency_key, operation, caller, request_digest, status, body, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)";
    Act::new(
        "idempotency.keep",
        sql,
        vec![
            Box::new(key.key.clone()),
            Box::new(key.operation),
            Box::new(key.caller.id().to_owned()),
            Box::new(key.digest.to_vec()),
            Box::new(i64::from(answer.status)),
            Box::new(answer.body.clone()),
            Box::new(at.as_microsecond()),
        ],
    )
    .conflict_if_taken()
}
