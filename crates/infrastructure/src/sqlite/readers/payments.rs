//! Payments with where their sagas stand, for holding them against the gateway's books.

use application::ports::{BookedPayment, Page};
use domain::OrderId;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use uuid::Uuid;

use super::super::column::{name, rows_max};
use super::super::payments::{COLUMNS, payment};
use crate::column_count::column_count;
use crate::paging::page;

/// The place behind [`COLUMNS`].
const STATE: usize = column_count(COLUMNS);

/// Those of these orders.
pub(super) fn of(connection: &Connection, ids: &[OrderId]) -> Result<Vec<BookedPayment>> {
    let sql = select("p.order_id = ?");
    let mut select = connection.prepare_cached(&sql)?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(select.query_row([id.0], booked).optional()?);
    }
    Ok(found)
}

/// A page of those whose money was taken, by order.
pub(super) fn captured(
    connection: &Connection,
    after: Option<OrderId>,
    max: usize,
) -> Result<Page<BookedPayment>> {
    let sql = select("p.captured_minor > 0 and p.order_id > ? order by p.order_id limit ?");
    let after = after.map_or(Uuid::nil(), |id| id.0);
    let rows = connection
        .prepare_cached(&sql)?
        .query_map(params![after, rows_max(max.saturating_add(1))], booked)?
        .collect::<Result<_>>()?;
    Ok(page(rows, max))
}

fn select(wanted: &str) -> String {
    format!(
        "select {COLUMNS}, s.state from payments p join order_saga s on s.correlation_id = p.order_id where {wanted}"
    )
}

fn booked(row: &Row<'_>) -> Result<BookedPayment> {
    Ok(BookedPayment { payment: payment(row)?, state: name(row, STATE)? })
}
