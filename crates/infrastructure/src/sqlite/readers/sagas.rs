//! Saga instances, as operators see them.

use application::ports::{AttentionView, HistoryView, SagaFilter, SagaPage, SagaView, TimerView};
use application::saga::{OrderProcessingSaga, SagaState, Undo};
use domain::{CancelReason, OrderId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, ToSql, params};
use uuid::Uuid;

use super::super::column::{Micros, name, rows_max, time};
use super::super::sagas::{COLUMNS, saga};
use super::orders::entry;
use crate::column_count::column_count;
use crate::order_listing::LOOKED_AT_MAX;
use crate::paging::{is_sparse, saga_page};

/// The place behind [`COLUMNS`].
const UPDATED_AT: usize = column_count(COLUMNS);

/// Where the sagas of these orders stand.
pub(super) fn states(connection: &Connection, ids: &[OrderId]) -> Result<Vec<(OrderId, SagaState)>> {
    let mut select = connection.prepare_cached("select state from order_saga where correlation_id = ?")?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let state = select.query_row([id.0], |row| name(row, 0)).optional()?;
        found.extend(state.map(|state| (*id, state)));
    }
    Ok(found)
}

/// One saga instance.
pub(super) fn one(connection: &Connection, id: OrderId) -> Result<Option<SagaView>> {
    let sql = format!("select {COLUMNS}, updated_at from order_saga where correlation_id = ?");
    let found = connection.prepare_cached(&sql)?.query_row([id.0], row).optional()?;
    found.map(|(saga, updated_at)| view(connection, &saga, updated_at)).transpose()
}

/// A page of saga instances, by id.
pub(super) fn list(connection: &Connection, filter: &SagaFilter, max: usize) -> Result<SagaPage> {
    let boundary = if is_sparse(filter) { boundary(connection, filter)? } else { None };
    let (source, open) = source(filter);
    let mut conditions = vec!["correlation_id > ?", open];
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(filter.after.map_or(Uuid::nil(), |id| id.0))];
    if let Some(state) = filter.state {
        conditions.push("state = ?");
        values.push(Box::new(state.as_str()));
    }
    if let Some(moment) = filter.unmoved_since {
        conditions.push("updated_at < ?");
        values.push(Box::new(Micros(moment)));
    }
    if let Some(boundary) = boundary {
        conditions.push("correlation_id <= ?");
        values.push(Box::new(boundary.0));
    }
    values.push(Box::new(rows_max(max.saturating_add(1))));
    let conditions = conditions.join(" and ");
    let sql = format!(
        "select {COLUMNS}, updated_at from {source} where {conditions} order by correlation_id limit ?"
    );
    let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
    let found: Vec<(OrderProcessingSaga, Timestamp)> =
        connection.prepare_cached(&sql)?.query_map(values.as_slice(), row)?.collect::<Result<_>>()?;
    let views = found.iter().map(|(saga, updated_at)| view(connection, saga, *updated_at));
    Ok(saga_page(views.collect::<Result<_>>()?, max, boundary))
}

/// The smallest set of sagas that has all that can be meant, and its condition.
fn source(filter: &SagaFilter) -> (&'static str, &'static str) {
    match filter.state {
        Some(SagaState::NeedsAttention) => {
            ("order_saga indexed by order_saga_attention", "state = 'needs_attention'")
        }
        Some(state) if !state.is_final() => ("order_saga indexed by order_saga_open", "is_open = 1"),
        Some(_) | None => ("order_saga", "true"),
    }
}

/// The last saga that a page may look at; none if it may look at all.
fn boundary(connection: &Connection, filter: &SagaFilter) -> Result<Option<OrderId>> {
    let (source, open) = source(filter);
    let sql = format!(
        "select correlation_id from {source} where correlation_id > ? and {open} order by correlation_id limit 1 offset ?"
    );
    let after = filter.after.map_or(Uuid::nil(), |id| id.0);
    connection
        .prepare_cached(&sql)?
        .query_row(params![after, rows_max(LOOKED_AT_MAX - 1)], |row| row.get(0).map(OrderId))
        .optional()
}

fn row(row: &Row<'_>) -> Result<(OrderProcessingSaga, Timestamp)> {
    Ok((saga(row)?, time(row, UPDATED_AT)?))
}

fn view(connection: &Connection, saga: &OrderProcessingSaga, updated_at: Timestamp) -> Result<SagaView> {
    let waits_for_person = saga.state == SagaState::NeedsAttention;
    let pending = saga.pending_undo().filter(|_| waits_for_person);
    Ok(SagaView {
        order_id: saga.order_id.0,
        state: saga.state.to_string(),
        stock: saga.stock.to_string(),
        payment: saga.payment.to_string(),
        shipment: saga.shipment.to_string(),
        reason: saga.reason.map(CancelReason::as_str).map(str::to_owned),
        pending_undo: pending.map(Undo::as_str).map(str::to_owned),
        attention: AttentionView::of(saga),
        last_event: last_event(connection, saga.order_id)?,
        timers: timers(connection, saga.order_id)?,
        version: saga.version,
        created_at: saga.created_at,
        updated_at,
        expires_at: saga.expires_at,
    })
}

fn last_event(connection: &Connection, id: OrderId) -> Result<Option<HistoryView>> {
    connection
        .prepare_cached(
            "select at, event, status, saga_state, detail from order_history
             where order_id = ? order by position desc limit 1",
        )?
        .query_row([id.0], entry)
        .optional()
}

fn timers(connection: &Connection, id: OrderId) -> Result<Vec<TimerView>> {
    connection
        .prepare_cached("select name, due_at from timers where correlation_id = ? order by name")?
        .query_map([id.0], |row| Ok(TimerView { name: row.get(0)?, due_at: time(row, 1)? }))?
        .collect()
}
