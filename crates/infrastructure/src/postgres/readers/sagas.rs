//! Saga instances, as operators see them.

use application::ports::{AttentionView, SagaFilter, SagaPage, SagaView, TimerView};
use application::saga::{SagaState, Undo};
use bus::Fault;
use domain::{CancelReason, OrderId};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::column::{Broken, name, rows_max, time};
use super::super::sagas::{saga, saga_columns};
use super::filter::Filter;
use super::orders::entry;
use crate::column_count::column_count;
use crate::order_listing::LOOKED_AT_MAX;
use crate::paging::{is_sparse, saga_page};
use bus_postgres::Lent;
use bus_postgres::{query, views};

/// Where `updated_at` stands, behind the saga's own columns; the entry of the timeline follows.
const UPDATED_AT: usize = column_count(saga_columns!());

/// The saga, the last entry of its timeline, and its timers. The narrowing goes into the innermost query.
fn select(conditions: &str) -> String {
    let own = saga_columns!();
    format!(
        "select s.*, h.at, h.event, h.status, h.saga_state, h.detail, t.names, t.due
         from (select {own}, updated_at from order_saga where {conditions}) s
         left join lateral (
             select at, event, status, saga_state, detail from order_history
             where order_id = s.order_id order by position desc limit 1
         ) h on true
         left join lateral (
             select array_agg(name order by name) as names, array_agg(due_at order by name) as due
             from timers where correlation_id = s.order_id
         ) t on true
         order by s.order_id"
    )
}

/// Where the sagas of these orders stand.
pub(super) async fn states(client: &Lent, ids: &[OrderId]) -> Result<Vec<(OrderId, SagaState)>, Fault> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let sql = "select correlation_id, state from order_saga where correlation_id = any($1)";
    let rows = query(client, "sagas.states", sql, &[Box::new(ids)]).await?;
    views(&rows, "sagas.states", |row| Ok((OrderId(row.try_get(0)?), name(row, 1)?)))
}

/// One saga instance.
pub(super) async fn one(client: &Lent, id: OrderId) -> Result<Option<SagaView>, Fault> {
    let rows = query(client, "sagas.read", &select("correlation_id = $1"), &[Box::new(id.0)]).await?;
    Ok(views(&rows, "sagas.read", view)?.pop())
}

/// A page of saga instances, by id.
pub(super) async fn list(client: &Lent, filter: &SagaFilter, max: usize) -> Result<SagaPage, Fault> {
    let boundary = if is_sparse(filter) { boundary(client, filter).await? } else { None };
    let mut wanted = sought(filter);
    if let Some(state) = filter.state {
        wanted.and("state =", state.as_str());
    }
    if let Some(moment) = filter.unmoved_since {
        wanted.and("updated_at <", moment.as_microsecond());
    }
    if let Some(boundary) = boundary {
        wanted.and("correlation_id <=", boundary.0);
    }
    let limit = wanted.bind(rows_max(max.saturating_add(1)));
    let (conditions, values) = wanted.finish();
    let sql = select(&format!("{conditions} order by correlation_id limit ${limit}"));
    let rows = query(client, "sagas.list", &sql, &values).await?;
    Ok(saga_page(views(&rows, "sagas.list", view)?, max, boundary))
}

/// The sagas past the place that was reached, by the smallest index that has all that can be meant.
fn sought(filter: &SagaFilter) -> Filter {
    let mut sought = Filter::default();
    sought.and("correlation_id >", filter.after.map_or(Uuid::nil(), |id| id.0));
    match filter.state {
        Some(SagaState::NeedsAttention) => sought.and_plain("needs_person"),
        Some(state) if !state.is_final() => sought.and_plain("is_open"),
        Some(_) | None => {}
    }
    sought
}

/// The last saga that a page may look at; none if it may look at all.
async fn boundary(client: &Lent, filter: &SagaFilter) -> Result<Option<OrderId>, Fault> {
    let mut sought = sought(filter);
    let offset = sought.bind(rows_max(LOOKED_AT_MAX - 1));
    let (conditions, values) = sought.finish();
    let sql = format!(
        "select correlation_id from order_saga where {conditions} order by correlation_id limit 1 offset ${offset}"
    );
    let rows = query(client, "sagas.list", &sql, &values).await?;
    Ok(views(&rows, "sagas.list", |row| Ok(OrderId(row.try_get(0)?)))?.pop())
}

fn view(row: &Row) -> Result<SagaView, Broken> {
    let saga = saga(row)?;
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
        attention: AttentionView::of(&saga),
        last_event: entry(row, UPDATED_AT + 1)?,
        timers: timers(row)?,
        version: saga.version,
        created_at: saga.created_at,
        updated_at: time(row, UPDATED_AT)?,
        expires_at: saga.expires_at,
    })
}

fn timers(row: &Row) -> Result<Vec<TimerView>, Broken> {
    let names: Vec<String> = row.try_get::<_, Option<_>>("names")?.unwrap_or_default();
    let due: Vec<i64> = row.try_get::<_, Option<_>>("due")?.unwrap_or_default();
    let timer = |(name, due)| Ok(TimerView { name, due_at: Timestamp::from_microsecond(due)? });
    names.into_iter().zip(due).map(timer).collect()
}
