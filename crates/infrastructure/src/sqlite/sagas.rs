//! Saga instances. A final one leaves the index of open ones and stays in the table.

use application::saga::{NewerSaga, OrderProcessingSaga};
use async_trait::async_trait;
use bus::{CorrelationId, Fault, Saga, SagaRepository};
use domain::{Capture, HoldPoints, OrderId, WhenShort};
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, Error, OptionalExtension, Result, Row};

use super::SqliteUnit;
use super::column::{money, name, name_or_none, time};
use crate::tally::Tallied;
use bus_sqlite::fault;

#[async_trait]
impl SagaRepository<OrderProcessingSaga> for SqliteUnit {
    async fn load_sagas(
        &mut self,
        ids: &[CorrelationId],
    ) -> std::result::Result<Vec<OrderProcessingSaga>, Fault> {
        self.read_unread_sagas(ids).map_err(fault("sagas.load"))?;
        let known = |id: &CorrelationId| self.rows.view.saga(self.memory(), OrderId(id.0)).cloned();
        Ok(ids.iter().filter_map(known).collect())
    }

    async fn insert_sagas(
        &mut self,
        sagas: &[OrderProcessingSaga],
        now: Timestamp,
    ) -> std::result::Result<(), Fault> {
        for saga in sagas {
            self.counts.add(Tallied::Sagas(saga.state), 1);
            self.rows.unsaved.insert_saga(saga, now)?;
            self.rows.view.sagas.insert(saga.order_id, saga.clone());
        }
        Ok(())
    }

    async fn update_sagas(
        &mut self,
        sagas: &[OrderProcessingSaga],
        now: Timestamp,
    ) -> std::result::Result<(), Fault> {
        let ids: Vec<CorrelationId> = sagas.iter().map(Saga::correlation_id).collect();
        self.read_unread_sagas(&ids).map_err(fault("sagas.update"))?;
        for saga in sagas {
            self.tally_step(saga);
            self.rows.unsaved.update_saga(saga, now);
            self.rows.view.sagas.insert(saga.order_id, saga.clone());
        }
        Ok(())
    }
}

impl SqliteUnit {
    fn read_unread_sagas(&mut self, ids: &[CorrelationId]) -> Result<()> {
        let unread = |id: &&CorrelationId| self.rows.view.saga(self.memory(), OrderId(id.0)).is_none();
        let unread: Vec<CorrelationId> = ids.iter().filter(unread).copied().collect();
        if !unread.is_empty() {
            let read = select(self.connection(), &unread)?;
            self.rows.view.sagas.extend(read.into_iter().map(|saga| (saga.order_id, saga)));
        }
        Ok(())
    }

    fn tally_step(&mut self, saga: &OrderProcessingSaga) {
        let before = self.rows.view.saga(self.memory(), saga.order_id).map(|before| before.state);
        if let Some(before) = before.filter(|before| *before != saga.state) {
            self.counts.add(Tallied::Sagas(before), -1);
            self.counts.add(Tallied::Sagas(saga.state), 1);
        }
    }
}

/// The columns that [`saga`] reads, in its order.
pub(super) const COLUMNS: &str = "order_id, state, version, order_status, stock, payment, shipment, reason, \
     total_minor, currency, timer_generation, created_at, expires_at, attention, has_address, holds, captures_later, waits_for_stock";

fn select(connection: &Connection, ids: &[CorrelationId]) -> Result<Vec<OrderProcessingSaga>> {
    let mut select =
        connection.prepare_cached(&format!("select {COLUMNS} from order_saga where correlation_id = ?"))?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(select.query_row([id.0.as_bytes()], understood).optional()?);
    }
    Ok(found)
}

/// Reads [`COLUMNS`] of an instance that is to be worked on, which takes a program that knows its definition.
fn understood(row: &Row<'_>) -> Result<OrderProcessingSaga> {
    NewerSaga::unless_known(row.get(2)?)
        .map_err(|newer| Fault::leave_to_others("sagas.load", newer))
        .map_err(|fault| Error::FromSqlConversionFailure(2, Type::Integer, Box::new(fault)))?;
    saga(row)
}

/// Reads [`COLUMNS`].
pub(super) fn saga(row: &Row<'_>) -> Result<OrderProcessingSaga> {
    Ok(OrderProcessingSaga {
        order_id: OrderId(row.get(0)?),
        state: name(row, 1)?,
        version: row.get(2)?,
        order: name(row, 3)?,
        stock: name(row, 4)?,
        payment: name(row, 5)?,
        shipment: name(row, 6)?,
        reason: name_or_none(row, 7)?,
        total: money(row, 8)?,
        timer_generation: row.get(10)?,
        created_at: time(row, 11)?,
        expires_at: time(row, 12)?,
        attention: name_or_none(row, 13)?.unwrap_or_default(),
        has_address: row.get(14)?,
        holds: HoldPoints::of_code(row.get(15)?),
        capture: if row.get(16)? { Capture::AtShipment } else { Capture::AtOnce },
        when_short: if row.get(17)? { WhenShort::Wait } else { WhenShort::Cancel },
    })
}
