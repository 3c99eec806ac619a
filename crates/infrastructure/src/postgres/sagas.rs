//! Saga instances. The row of a saga is also the lock of everything that belongs to its order, so whoever works on an order
//! takes it first; all else beneath the order is then free of others.

use application::saga::{NewerSaga, OrderProcessingSaga};
use async_trait::async_trait;
use bus::{CorrelationId, Fault, Saga, SagaRepository};
use domain::{CancelReason, OrderId};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresUnit;
use super::array::Array;
use super::column::{Broken, count, money, name, name_or_none, time};
use super::fault::{CHANGED, broken};
use super::pipeline::Act;
use crate::tally::Tallied;

#[async_trait]
impl SagaRepository<OrderProcessingSaga> for PostgresUnit {
    async fn load_sagas(&mut self, ids: &[CorrelationId]) -> Result<Vec<OrderProcessingSaga>, Fault> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.ask(select(ids)).await?;
        let found =
            rows.iter().map(understood).collect::<Result<Vec<_>, _>>().map_err(broken("sagas.load"))?;
        self.before.sagas.extend(found.iter().map(|saga| (saga.order_id, saga.state)));
        Ok(found)
    }

    async fn insert_sagas(&mut self, sagas: &[OrderProcessingSaga], now: Timestamp) -> Result<(), Fault> {
        if sagas.is_empty() {
            return Ok(());
        }
        self.later(insert(sagas, now));
        for saga in sagas {
            self.tally.add(Tallied::Sagas(saga.state), 1);
            self.before.sagas.insert(saga.order_id, saga.state);
        }
        Ok(())
    }

    async fn update_sagas(&mut self, sagas: &[OrderProcessingSaga], now: Timestamp) -> Result<(), Fault> {
        if sagas.is_empty() {
            return Ok(());
        }
        self.read_unread(sagas).await?;
        self.later(update(sagas, now));
        sagas.iter().for_each(|saga| self.tally_step(saga));
        Ok(())
    }
}

impl PostgresUnit {
    /// A saga that is stored without having been loaded here is looked at first, for the sake of the counts.
    async fn read_unread(&mut self, sagas: &[OrderProcessingSaga]) -> Result<(), Fault> {
        let unread = sagas.iter().filter(|saga| !self.before.sagas.contains_key(&saga.order_id));
        let unread: Vec<CorrelationId> = unread.map(Saga::correlation_id).collect();
        self.load_sagas(&unread).await.map(drop)
    }

    fn tally_step(&mut self, saga: &OrderProcessingSaga) {
        let before = self.before.sagas.insert(saga.order_id, saga.state);
        if let Some(before) = before.filter(|before| *before != saga.state) {
            self.tally.add(Tallied::Sagas(before), -1);
            self.tally.add(Tallied::Sagas(saga.state), 1);
        }
    }
}

/// The columns that [`saga`] reads, in its order.
macro_rules! saga_columns {
    () => {
        "order_id, state, version, order_status, stock, payment, shipment, reason, total_minor, currency, \
         timer_generation, created_at, expires_at"
    };
}
pub(super) use saga_columns;

fn select(ids: &[CorrelationId]) -> Act {
    let sql = concat!(
        "select ",
        saga_columns!(),
        " from order_saga where correlation_id = any($1) order by correlation_id for update"
    );
    Act::new("sagas.load", sql, vec![Box::new(Array::uuids(ids.iter().map(|id| id.0)))])
}

/// Takes the locks of these orders, for what is read next.
pub(super) fn lock(ids: &[OrderId]) -> Act {
    let sql = "select from order_saga where correlation_id = any($1) order by correlation_id for update";
    Act::new("sagas.lock", sql, vec![Box::new(Array::uuids(ids.iter().map(|id| id.0)))])
}

/// Reads [`saga_columns`] of an instance that is to be worked on, which takes a program that knows its definition.
fn understood(row: &Row) -> Result<OrderProcessingSaga, Broken> {
    NewerSaga::unless_known(i64::from(row.try_get::<_, i32>(2)?))?;
    saga(row)
}

/// Reads [`saga_columns`].
pub(super) fn saga(row: &Row) -> Result<OrderProcessingSaga, Broken> {
    Ok(OrderProcessingSaga {
        order_id: OrderId(row.try_get(0)?),
        state: name(row, 1)?,
        version: u16::try_from(row.try_get::<_, i32>(2)?)?,
        order: name(row, 3)?,
        stock: name(row, 4)?,
        payment: name(row, 5)?,
        shipment: name(row, 6)?,
        reason: name_or_none(row, 7)?,
        total: money(row, 8)?,
        timer_generation: count(row, 10)?,
        created_at: time(row, 11)?,
        expires_at: time(row, 12)?,
    })
}

fn insert(sagas: &[OrderProcessingSaga], now: Timestamp) -> Act {
    let sql = "insert into order_saga (correlation_id, order_id, version, state, order_status, stock, payment, shipment,
             reason, total_minor, currency, timer_generation, created_at, updated_at, expires_at)
         select id, id, version, state, order_status, stock, payment, shipment, reason, total_minor, currency,
             timer_generation, created_at, $14, expires_at
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
             $9::bigint[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[])
             as fresh (id, version, state, order_status, stock, payment, shipment, reason, total_minor, currency,
                 timer_generation, created_at, expires_at)";
    Act::new(
        "sagas.insert",
        sql,
        vec![
            Box::new(Array::uuids(sagas.iter().map(|saga| saga.order_id.0))),
            Box::new(Array::numbers(sagas.iter().map(|saga| i64::from(saga.version)))),
            Box::new(Array::texts(sagas.iter().map(|saga| saga.state.as_str()))),
            Box::new(Array::texts(sagas.iter().map(|saga| saga.order.as_str()))),
            Box::new(Array::texts(sagas.iter().map(|saga| saga.stock.as_str()))),
            Box::new(Array::texts(sagas.iter().map(|saga| saga.payment.as_str()))),
            Box::new(Array::texts(sagas.iter().map(|saga| saga.shipment.as_str()))),
            Box::new(Array::texts_or_null(sagas.iter().map(|saga| saga.reason.map(CancelReason::as_str)))),
            Box::new(Array::numbers(sagas.iter().map(|saga| saga.total.minor))),
            Box::new(Array::texts(sagas.iter().map(|saga| saga.total.currency.code()))),
            Box::new(Array::numbers(sagas.iter().map(|saga| i64::from(saga.timer_generation)))),
            Box::new(Array::times(sagas.iter().map(|saga| saga.created_at))),
            Box::new(Array::times(sagas.iter().map(|saga| saga.expires_at))),
            Box::new(now.as_microsecond()),
        ],
    )
    .conflict_if_taken()
}

fn update(sagas: &[OrderProcessingSaga], now: Timestamp) -> Act {
    let sql = "with moved as (
             update order_saga s set state = n.state, order_status = n.order_status, stock = n.stock,
                 payment = n.payment, shipment = n.shipment, reason = n.reason,
                 timer_generation = n.timer_generation, updated_at = greatest(s.updated_at, $9)
             from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                 $8::bigint[]) as n (id, state, order_status, stock, payment, shipment, reason, timer_generation)
             where s.correlation_id = n.id returning 1
         )
         select require_rows((select count(*) from moved), cardinality($1::uuid[]), $10, 'sagas.update')";
    Act::new(
        "sagas.update",
        sql,
        vec![
            Box::new(Array::uuids(sagas.iter().map(|saga| saga.order_id.0))),
            Box::new(Array::texts(sagas.iter().map(|saga| saga.state.as_str()))),
            Box::new(Array::texts(sagas.iter().map(|saga| saga.order.as_str()))),
            Box::new(Array::texts(sagas.iter().map(|saga| saga.stock.as_str()))),
            Box::new(Array::texts(sagas.iter().map(|saga| saga.payment.as_str()))),
            Box::new(Array::texts(sagas.iter().map(|saga| saga.shipment.as_str()))),
            Box::new(Array::texts_or_null(sagas.iter().map(|saga| saga.reason.map(CancelReason::as_str)))),
            Box::new(Array::numbers(sagas.iter().map(|saga| i64::from(saga.timer_generation)))),
            Box::new(now.as_microsecond()),
            Box::new(CHANGED),
        ],
    )
}
