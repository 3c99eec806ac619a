//! Saga instances. The row of a saga is also the lock of everything that belongs to its order, so whoever works on an order
//! takes it first; all else beneath the order is then free of others.

use std::collections::BTreeSet;

use application::saga::{NewerSaga, OrderProcessingSaga};
use async_trait::async_trait;
use bus::{CorrelationId, Fault, Saga, SagaRepository};
use domain::{Capture, HoldPoints, OrderId, WhenShort};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresUnit;
use super::column::{Broken, count, money, name, name_or_none, time};
use crate::tally::Tallied;
use bus_postgres::{Act, Array, broken};

#[async_trait]
impl SagaRepository<OrderProcessingSaga> for PostgresUnit {
    async fn load_sagas(&mut self, ids: &[CorrelationId]) -> Result<Vec<OrderProcessingSaga>, Fault> {
        self.read_unread(ids).await?;
        let wanted: BTreeSet<OrderId> = ids.iter().map(|id| OrderId(id.0)).collect();
        Ok(wanted.iter().filter_map(|id| self.rows.seen.sagas.get(id).cloned()).collect())
    }

    async fn insert_sagas(&mut self, sagas: &[OrderProcessingSaga], now: Timestamp) -> Result<(), Fault> {
        for saga in sagas {
            self.rows.unsaved.insert_saga(saga, now)?;
            self.counts.add(Tallied::Sagas(saga.state), 1);
            self.is_unheard_of(saga.correlation_id());
            self.rows.seen.sagas.insert(saga.order_id, saga.clone());
        }
        Ok(())
    }

    async fn update_sagas(&mut self, sagas: &[OrderProcessingSaga], now: Timestamp) -> Result<(), Fault> {
        let ids: Vec<CorrelationId> = sagas.iter().map(Saga::correlation_id).collect();
        self.read_unread(&ids).await?;
        for saga in sagas {
            self.rows.unsaved.update_saga(saga, now);
            self.tally_step(saga);
        }
        Ok(())
    }
}

impl PostgresUnit {
    /// Reads and locks what this unit has not seen; what it has seen is locked already.
    async fn read_unread(&mut self, ids: &[CorrelationId]) -> Result<(), Fault> {
        let unread = |id: &&CorrelationId| !self.rows.seen.sagas.contains_key(&OrderId(id.0));
        let unread: Vec<CorrelationId> = ids.iter().filter(unread).copied().collect();
        if unread.is_empty() {
            return Ok(());
        }
        let rows = self.ask_locking(select(&unread), &unread).await?;
        let found =
            rows.iter().map(understood).collect::<Result<Vec<_>, _>>().map_err(broken("sagas.load"))?;
        self.rows.seen.sagas.extend(found.into_iter().map(|saga| (saga.order_id, saga)));
        Ok(())
    }

    fn tally_step(&mut self, saga: &OrderProcessingSaga) {
        let before = self.rows.seen.sagas.insert(saga.order_id, saga.clone()).map(|before| before.state);
        if let Some(before) = before.filter(|before| *before != saga.state) {
            self.counts.add(Tallied::Sagas(before), -1);
            self.counts.add(Tallied::Sagas(saga.state), 1);
        }
    }

    /// Takes the locks of these orders, for what is read next.
    pub(super) fn lock_sagas(&mut self, ids: &[OrderId]) {
        let unseen: Vec<OrderId> =
            ids.iter().filter(|id| !self.rows.seen.sagas.contains_key(id)).copied().collect();
        if !unseen.is_empty() {
            self.later(lock(&unseen));
        }
    }
}

/// The columns that [`saga`] reads, in its order.
macro_rules! saga_columns {
    () => {
        "order_id, state, version, order_status, stock, payment, shipment, reason, total_minor, currency, \
         timer_generation, created_at, expires_at, attention, has_address, holds, captures_later, \
         waits_for_stock"
    };
}
pub(super) use saga_columns;

/// Rows that are locked are joined with the ids instead of compared with an array of them: of each row that another
/// transaction has changed meanwhile, the server looks again whether it is wanted, and would then sort the whole array anew.
fn select(ids: &[CorrelationId]) -> Act {
    let sql = concat!(
        "select ",
        saga_columns!(),
        " from unnest($1::uuid[]) as wanted (id) join order_saga on correlation_id = wanted.id
         order by correlation_id for update of order_saga"
    );
    Act::new("sagas.load", sql, vec![Box::new(Array::uuids(ids.iter().map(|id| id.0)))])
}

fn lock(ids: &[OrderId]) -> Act {
    let sql = "select from unnest($1::uuid[]) as wanted (id) join order_saga on correlation_id = wanted.id
         order by correlation_id for update of order_saga";
    Act::new("sagas.lock", sql, vec![Box::new(Array::uuids(ids.iter().map(|id| id.0)))])
}

/// Reads [`saga_columns`] of an instance that is to be worked on, which takes a program that knows its definition.
fn understood(row: &Row) -> Result<OrderProcessingSaga, Broken> {
    let version = i64::from(row.try_get::<_, i32>(2)?);
    NewerSaga::unless_known(version).map_err(|newer| Fault::leave_to_others("sagas.load", newer))?;
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
        attention: name_or_none(row, 13)?.unwrap_or_default(),
        has_address: row.try_get(14)?,
        holds: HoldPoints::of_code(count(row, 15)?),
        capture: if row.try_get(16)? { Capture::AtShipment } else { Capture::AtOnce },
        when_short: if row.try_get(17)? { WhenShort::Wait } else { WhenShort::Cancel },
    })
}
