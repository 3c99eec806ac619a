//! The statements that store what a unit has written of orders and sagas, and what operators did.

use application::ports::{AuditEntry, NewOrderRow, StatusMove};
use application::saga::OrderProcessingSaga;
use bus::Fault;
use bus_sqlite::{changed_meanwhile, conflict_if_taken, fault};
use domain::{Capture, OrderChange, OrderId, WhenShort};
use jiff::Timestamp;
use rusqlite::{Connection, Result, Statement, params};

use super::column::Micros;
use crate::unsaved::{CancellationRow, Rows, UnsavedSaga};

/// Stores the orders of a unit.
///
/// # Errors
/// A conflict if an order is there already or not where a move expects it.
pub(super) fn save_orders(connection: &Connection, rows: &Rows) -> std::result::Result<(), Fault> {
    insert_orders(connection, &rows.new_orders).map_err(conflict_if_taken("orders.create"))?;
    if let Some(stray) = move_orders(connection, &rows.moves).map_err(fault("orders.update"))? {
        return Err(changed_meanwhile("orders.update", stray));
    }
    record_cancellations(connection, &rows.cancellations).map_err(fault("orders.cancel"))
}

fn insert_orders(connection: &Connection, orders: &[NewOrderRow]) -> Result<()> {
    let mut order_insert = connection
        .prepare_cached("insert into orders values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null)")?;
    let mut line_insert =
        connection.prepare_cached("insert into order_items values (?, ?, ?, ?, ?, ?, ?, ?, 0)")?;
    for row in orders {
        let order = row.order.snapshot();
        order_insert.execute(params![
            order.id.0.as_bytes(),
            order.customer_id.as_str(),
            Micros(order.ordered_at),
            order.status.as_str(),
            (!order.status.is_terminal()).then_some(1),
            order.total.minor,
            order.total.currency.code(),
            Micros(order.created_at),
            Micros(order.updated_at),
            order.external_reference,
            row.payment_token,
            row.source,
            (order.added_minor != 0).then_some(order.added_minor),
        ])?;
        if let Some(details) = &row.details {
            let sql = "insert into order_details values (?, ?)";
            connection.prepare_cached(sql)?.execute(params![order.id.0.as_bytes(), details])?;
        }
        for (ordinal, line) in (0_i64..).zip(&order.lines) {
            line_insert.execute(params![
                order.id.0.as_bytes(),
                ordinal,
                line.item_id.0.as_bytes(),
                line.product_id.0.as_bytes(),
                line.sku.as_str(),
                line.quantity.get(),
                line.unit_price.minor,
                line.unit_price.currency.code(),
            ])?;
        }
    }
    Ok(())
}

/// Moves orders on; stops at the first that was not where it should be, and gives it.
fn move_orders(connection: &Connection, moves: &[StatusMove]) -> Result<Option<OrderId>> {
    // The plus keeps SQLite from looking at anything but the key.
    let mut step_on = connection.prepare_cached(
        "update orders set status = ?3, updated_at = max(updated_at, ?4) where order_id = ?1 and +status = ?2",
    )?;
    let mut end = connection.prepare_cached(
        "update orders set status = ?3, updated_at = max(updated_at, ?4), is_open = null
         where order_id = ?1 and +status = ?2",
    )?;
    for step in moves {
        let OrderChange { order_id, at, .. } = step.change;
        let statement = if step.to.is_terminal() { &mut end } else { &mut step_on };
        let row = params![order_id.0.as_bytes(), step.from.as_str(), step.to.as_str(), Micros(at)];
        if statement.execute(row)? != 1 {
            return Ok(Some(order_id));
        }
    }
    Ok(None)
}

fn record_cancellations(connection: &Connection, rows: &[CancellationRow]) -> Result<()> {
    let mut insert = connection.prepare_cached("insert into cancellations values (?, ?, ?, ?, ?)")?;
    for CancellationRow { order_id, record, at } in rows {
        insert.execute(params![
            order_id.0.as_bytes(),
            record.reason.as_str(),
            record.actor,
            record.note,
            Micros(*at),
        ])?;
    }
    Ok(())
}

/// Stores sagas.
pub(super) fn save_sagas(connection: &Connection, rows: &Rows) -> std::result::Result<(), Fault> {
    for UnsavedSaga { saga, at, .. } in &rows.new_sagas {
        insert_saga(connection, saga, *at).map_err(conflict_if_taken("sagas.insert"))?;
    }
    for UnsavedSaga { saga, at, .. } in &rows.changed_sagas {
        if !update_saga(connection, saga, *at).map_err(fault("sagas.update"))? {
            return Err(changed_meanwhile("sagas.update", saga.order_id));
        }
    }
    Ok(())
}

fn insert_saga(connection: &Connection, saga: &OrderProcessingSaga, now: Timestamp) -> Result<()> {
    let sql = "insert into order_saga values (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";
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
        saga.attention.to_text(),
        saga.has_address,
        saga.holds.code(),
        saga.capture == Capture::AtShipment,
        saga.when_short == WhenShort::Wait,
    ])?;
    Ok(())
}

/// Whether the saga is there to be updated. A step between two open states leaves `is_open` out, so that its index is not
/// touched. Each change has a later moment than the one before, whatever the clocks say.
fn update_saga(connection: &Connection, saga: &OrderProcessingSaga, now: Timestamp) -> Result<bool> {
    if saga.state.is_final() {
        let mut end = connection.prepare_cached(
            "update order_saga set state = ?2, order_status = ?3, stock = ?4, payment = ?5, shipment = ?6,
                 reason = ?7, timer_generation = ?8, updated_at = max(updated_at + 1, ?9), version = ?10, attention = ?11,
                 has_address = ?12, holds = ?13, is_open = null
             where correlation_id = ?1",
        )?;
        return update_one(&mut end, saga, now);
    }
    let mut step_on = connection.prepare_cached(
        "update order_saga set state = ?2, order_status = ?3, stock = ?4, payment = ?5, shipment = ?6,
             reason = ?7, timer_generation = ?8, updated_at = max(updated_at + 1, ?9), version = ?10, attention = ?11,
             has_address = ?12, holds = ?13
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
        saga.attention.to_text(),
        saga.has_address,
        saga.holds.code(),
    ])?;
    Ok(changed == 1)
}

/// Late news can put a final saga back to work, which is rare.
fn reopen(connection: &Connection, saga: &OrderProcessingSaga) -> Result<bool> {
    let sql = "update order_saga set is_open = 1 where correlation_id = ? and +is_open is null";
    Ok(connection.prepare_cached(sql)?.execute([saga.order_id.0.as_bytes()])? == 1)
}

/// Adds entries, the first of them at position `first`.
pub(super) fn record_audit(
    connection: &Connection,
    first: i64,
    entries: &[AuditEntry],
) -> std::result::Result<(), Fault> {
    insert_entries(connection, first, entries).map_err(fault("audit.record"))
}

fn insert_entries(connection: &Connection, first: i64, entries: &[AuditEntry]) -> Result<()> {
    let mut insert = connection.prepare_cached("insert into audit_log values (?, ?, ?, ?, ?, ?)")?;
    for (position, entry) in (first..).zip(entries) {
        insert.execute(params![
            position,
            Micros(entry.at),
            entry.actor,
            entry.action,
            entry.subject,
            entry.note
        ])?;
    }
    Ok(())
}
