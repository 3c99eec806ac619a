//! Saga instances. A final one leaves the index of open ones and stays in the table.

use application::saga::{Attention, NewerSaga, OrderProcessingSaga};
use async_trait::async_trait;
use bus::{CorrelationId, Fault, Saga, SagaRepository};
use domain::OrderId;
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, Error, OptionalExtension, Result, Row, Statement, params};

use super::SqliteUnit;
use super::column::{Micros, money, name, name_or_none, time};
use crate::tally::Tallied;
use crate::unsaved::{Rows, UnsavedSaga};
use bus_sqlite::{changed_meanwhile, conflict_if_taken, fault};

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

/// Stores sagas.
pub(super) fn save(connection: &Connection, rows: &Rows) -> std::result::Result<(), Fault> {
    for UnsavedSaga { saga, at, .. } in &rows.new_sagas {
        insert(connection, saga, *at).map_err(conflict_if_taken("sagas.insert"))?;
    }
    for UnsavedSaga { saga, at, .. } in &rows.changed_sagas {
        if !update(connection, saga, *at).map_err(fault("sagas.update"))? {
            return Err(changed_meanwhile("sagas.update", saga.order_id));
        }
    }
    Ok(())
}

/// The columns that [`saga`] reads, in its order.
pub(super) const COLUMNS: &str = "order_id, state, version, order_status, stock, payment, shipment, reason, \
     total_minor, currency, timer_generation, created_at, expires_at, attention";

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
        attention: name_or_none(row, 13)?,
    })
}

fn insert(connection: &Connection, saga: &OrderProcessingSaga, now: Timestamp) -> Result<()> {
    let sql = "insert into order_saga values (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    connection.prepare_cached(sql)?.execute(params![
        saga.order_id.0.as_bytes(),
        saga.version,
        saga.state.as_str(),
        (!saga.state.is_final()).then_some(1),
        saga.order.as_str(),
        saga.stock.as_str(),
        saga.payment.as_str(),
        saga.shipment.as_str(),
        saga.reason.map(domain::CancelReason::as_str),
        saga.total.minor,
        saga.total.currency.code(),
        saga.timer_generation,
        Micros(saga.created_at),
        Micros(now),
        Micros(saga.expires_at),
        saga.attention.map(Attention::as_str),
    ])?;
    Ok(())
}

/// Whether the saga is there to be updated. A step between two open states leaves `is_open` out, so that its index is not
/// touched.
fn update(connection: &Connection, saga: &OrderProcessingSaga, now: Timestamp) -> Result<bool> {
    if saga.state.is_final() {
        let mut end = connection.prepare_cached(
            "update order_saga set state = ?2, order_status = ?3, stock = ?4, payment = ?5, shipment = ?6,
                 reason = ?7, timer_generation = ?8, updated_at = max(updated_at, ?9), version = ?10, attention = ?11, is_open = null
             where correlation_id = ?1",
        )?;
        return update_one(&mut end, saga, now);
    }
    let mut step_on = connection.prepare_cached(
        "update order_saga set state = ?2, order_status = ?3, stock = ?4, payment = ?5, shipment = ?6,
             reason = ?7, timer_generation = ?8, updated_at = max(updated_at, ?9), version = ?10, attention = ?11
         where correlation_id = ?1 and +is_open = 1",
    )?;
    Ok(update_one(&mut step_on, saga, now)?
        || (reopen(connection, saga)? && update_one(&mut step_on, saga, now)?))
}

fn update_one(statement: &mut Statement<'_>, saga: &OrderProcessingSaga, now: Timestamp) -> Result<bool> {
    let changed = statement.execute(params![
        saga.order_id.0.as_bytes(),
        saga.state.as_str(),
        saga.order.as_str(),
        saga.stock.as_str(),
        saga.payment.as_str(),
        saga.shipment.as_str(),
        saga.reason.map(domain::CancelReason::as_str),
        saga.timer_generation,
        Micros(now),
        saga.version,
        saga.attention.map(Attention::as_str),
    ])?;
    Ok(changed == 1)
}

/// Late news can put a final saga back to work, which is rare.
fn reopen(connection: &Connection, saga: &OrderProcessingSaga) -> Result<bool> {
    let sql = "update order_saga set is_open = 1 where correlation_id = ? and +is_open is null";
    Ok(connection.prepare_cached(sql)?.execute([saga.order_id.0.as_bytes()])? == 1)
}
