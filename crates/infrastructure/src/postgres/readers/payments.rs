//! Payments with where their sagas stand, for holding them against the gateway's books.

use application::ports::{BookedPayment, Page};
use bus::Fault;
use domain::OrderId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::column::{Broken, name, rows_max};
use super::super::payments::{COLUMNS, payment};
use crate::column_count::column_count;
use crate::paging::page;
use bus_postgres::{Lent, Value, query, views};

/// The place behind [`COLUMNS`].
const STATE: usize = column_count(COLUMNS);

/// Those of these orders.
pub(super) async fn of(client: &Lent, ids: &[OrderId]) -> Result<Vec<BookedPayment>, Fault> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = query(client, "payments.list", &select("p.order_id = any($1)"), &[Box::new(ids)]).await?;
    views(&rows, "payments.list", booked)
}

/// A page of those whose money was taken, by order.
pub(super) async fn captured(
    client: &Lent,
    after: Option<OrderId>,
    max: usize,
) -> Result<Page<BookedPayment>, Fault> {
    let sql = select("p.captured_minor > 0 and p.order_id > $1 order by p.order_id limit $2");
    let after = after.map_or(Uuid::nil(), |id| id.0);
    let values = [Box::new(after) as Value<'_>, Box::new(rows_max(max.saturating_add(1)))];
    let rows = query(client, "payments.list", &sql, &values).await?;
    Ok(page(views(&rows, "payments.list", booked)?, max))
}

fn select(wanted: &str) -> String {
    // One saga at a time: a merge of both tables would read everything in front of a page.
    format!(
        "select {COLUMNS}, s.state from payments p
         join lateral (select state from order_saga where correlation_id = p.order_id limit 1) s on true where {wanted}"
    )
}

fn booked(row: &Row) -> Result<BookedPayment, Broken> {
    Ok(BookedPayment { payment: payment(row)?, state: name(row, STATE)? })
}
