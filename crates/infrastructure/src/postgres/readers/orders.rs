//! Orders and their timelines, as clients see them.

use application::messages::Amount;
use application::order_details::OrderDetails;
use application::ports::{
    HistoryView, HoldView, LineView, OrderFilter, OrderPage, OrderPlace, OrderView, PaymentView, ReturnView,
    ShipmentView,
};
use bus::Fault;
use domain::{OrderId, OrderStatus, ProductId};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::super::column::{Broken, count, rows_max, time, time_or_none};
use super::super::{holds, returns};
use crate::order_listing::{self, Dialect, Statement};
use bus_postgres::Lent;
use bus_postgres::broken;
use bus_postgres::{Value, query, views};

macro_rules! columns {
    () => {
        "select o.order_id, o.customer_id, o.status, s.state, o.total_minor, o.currency, c.reason, c.note,
             o.external_reference, o.order_date, o.created_at, o.updated_at,
             p.status, p.captured_minor, p.refunded_minor, p.idempotency_key, p.provider_reference, p.decline_code,
             h.status, h.idempotency_key, h.tracking_number, h.carrier, p.dispute, s.updated_at, p.authorised_until"
    };
}

/// Each table is asked about one order at a time, which the limit makes sure of: a merge of whole tables would read everything
/// in front of a page to find it.
macro_rules! joins {
    () => {
        "left join lateral (select * from order_saga where correlation_id = o.order_id limit 1) s on true
         left join lateral (select * from cancellations where order_id = o.order_id limit 1) c on true
         left join lateral (select * from payments where order_id = o.order_id limit 1) p on true
         left join lateral (select * from shipments where order_id = o.order_id limit 1) h on true"
    };
}

/// One order with everything beneath it.
pub(super) async fn one(client: &Lent, id: OrderId) -> Result<Option<OrderView>, Fault> {
    let sql = concat!(
        columns!(),
        ", d.details, exists (select from order_holds where order_id = o.order_id) as has_holds,
         exists (select from order_returns where order_id = o.order_id) as has_returns from orders o ",
        joins!(),
        " left join order_details d on d.order_id = o.order_id where o.order_id = $1"
    );
    let rows = query(client, "orders.read", sql, &[Box::new(id.0)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let mut view = order(row).map_err(broken("orders.read"))?;
    view.details = details(row).map_err(broken("orders.read"))?;
    view.lines = lines(client, id).await?;
    if has(row, "has_holds")? {
        view.holds = holds::of_order(client, id).await?.into_iter().map(HoldView::from).collect();
    }
    if has(row, "has_returns")? {
        view.returns = returns::of_order(client, id).await?.into_iter().map(ReturnView::from).collect();
    }
    Ok(Some(view))
}

fn has(row: &Row, column: &str) -> Result<bool, Fault> {
    row.try_get(column).map_err(|error| broken("orders.read")(error.into()))
}

const DIALECT: Dialect = Dialect {
    mark: '$',
    columns: columns!(),
    joins: joins!(),
    orders_of: |status| match status {
        None => "orders o",
        // An order that has ended is found by how it ended; the others are few.
        Some(OrderStatus::Delivered) => "(select * from orders where closed_as = 'delivered') o",
        Some(OrderStatus::Cancelled) => "(select * from orders where closed_as = 'cancelled') o",
        Some(
            OrderStatus::Pending
            | OrderStatus::Validated
            | OrderStatus::PaymentProcessing
            | OrderStatus::Authorised
            | OrderStatus::Paid
            | OrderStatus::Shipped,
        ) => "(select * from orders where closed_as is null) o",
    },
    closed: "(select * from orders where closed_at is not null) o",
    open: "(select * from orders where closed_as is null) o",
    in_progress: "(select g.correlation_id as order_id, x.customer_id, x.status, x.total_minor, x.currency, x.external_reference,
         x.order_date, x.created_at, x.updated_at
     from order_saga g cross join orders x where x.order_id = g.correlation_id and g.is_open) o",
    in_need: "(select g.correlation_id as order_id, x.customer_id, x.status, x.total_minor, x.currency, x.external_reference,
         x.order_date, x.created_at, x.updated_at
     from order_saga g cross join orders x where x.order_id = g.correlation_id and g.needs_person) o",
    closed_at: "o.closed_at",
};

/// A page of orders.
pub(super) async fn list(client: &Lent, filter: &OrderFilter, max: usize) -> Result<OrderPage, Fault> {
    let product = match order_listing::product_named(filter) {
        Some(product) if is_product(client, product).await? => Some(product),
        Some(_) | None => None,
    };
    let boundary = match order_listing::boundary(&DIALECT, filter, product) {
        Some(statement) => views(&run(client, &statement).await?, "orders.list", place)?.pop(),
        None => None,
    };
    let statement = order_listing::rows(&DIALECT, filter, product, boundary, rows_max(max.saturating_add(1)));
    let found = views(&run(client, &statement).await?, "orders.list", order)?;
    Ok(order_listing::page(found, max, boundary))
}

async fn is_product(client: &Lent, id: ProductId) -> Result<bool, Fault> {
    let sql = "select 1 from products where product_id = $1";
    Ok(!query(client, "orders.list", sql, &[Box::new(id.0)]).await?.is_empty())
}

async fn run(client: &Lent, statement: &Statement) -> Result<Vec<Row>, Fault> {
    let values = statement.values.iter().map(|value| match value {
        order_listing::Value::Text(text) => Box::new(text.as_str()) as Value<'_>,
        order_listing::Value::Id(id) => Box::new(id),
        order_listing::Value::Number(number) => Box::new(number),
    });
    let values: Vec<Value<'_>> = values.collect();
    query(client, "orders.list", &statement.sql, &values).await
}

fn details(row: &Row) -> Result<Option<OrderDetails>, Broken> {
    let stored: Option<&str> = row.try_get("details")?;
    Ok(stored.map(OrderDetails::from_stored).transpose()?)
}

fn place(row: &Row) -> Result<OrderPlace, Broken> {
    Ok(OrderPlace { order_id: OrderId(row.try_get(0)?), updated_at: time(row, 1)? })
}

fn order(row: &Row) -> Result<OrderView, Broken> {
    Ok(OrderView {
        order_id: row.try_get(0)?,
        customer_id: row.try_get(1)?,
        status: row.try_get(2)?,
        saga_state: row.try_get::<_, Option<String>>(3)?.unwrap_or_default(),
        saga_moved_at: time_or_none(row, 23)?,
        total: amount(row, 4)?,
        lines: Vec::new(),
        details: None,
        holds: Vec::new(),
        returns: Vec::new(),
        payment: payment(row)?,
        shipment: shipment(row)?,
        cancel_reason: row.try_get(6)?,
        cancel_note: row.try_get::<_, Option<String>>(7)?.filter(|note| !note.is_empty()),
        external_reference: row.try_get(8)?,
        ordered_at: time(row, 9)?,
        created_at: time(row, 10)?,
        updated_at: time(row, 11)?,
    })
}

fn payment(row: &Row) -> Result<Option<PaymentView>, Broken> {
    let Some(status) = row.try_get(12)? else { return Ok(None) };
    Ok(Some(PaymentView {
        status,
        captured_minor: row.try_get(13)?,
        refunded_minor: row.try_get(14)?,
        idempotency_key: row.try_get(15)?,
        provider_reference: row.try_get(16)?,
        decline_code: row.try_get(17)?,
        disputed: row.try_get(22)?,
        authorised_until: time_or_none(row, 24)?,
    }))
}

fn shipment(row: &Row) -> Result<Option<ShipmentView>, Broken> {
    let Some(status) = row.try_get(18)? else { return Ok(None) };
    Ok(Some(ShipmentView {
        status,
        idempotency_key: row.try_get(19)?,
        tracking_number: row.try_get(20)?,
        carrier: row.try_get(21)?,
    }))
}

/// The amount in a column of minor units and the next one, of the currency.
pub(super) fn amount(row: &Row, index: usize) -> Result<Amount, Broken> {
    Ok(Amount { minor: row.try_get(index)?, currency: row.try_get(index + 1)? })
}

async fn lines(client: &Lent, id: OrderId) -> Result<Vec<LineView>, Fault> {
    let sql = "select sku, quantity + cancelled, unit_price_minor, currency, cancelled from order_items where order_id = $1 order by ordinal";
    let rows = query(client, "orders.read", sql, &[Box::new(id.0)]).await?;
    let line = |row: &Row| {
        Ok(LineView {
            sku: row.try_get(0)?,
            quantity: count(row, 1)?,
            unit_price: amount(row, 2)?,
            cancelled: count(row, 4)?,
        })
    };
    views(&rows, "orders.read", line)
}

/// An order's timeline; none if there is no such order.
pub(super) async fn history(client: &Lent, id: OrderId) -> Result<Option<Vec<HistoryView>>, Fault> {
    let sql = "select h.at, h.event, h.status, h.saga_state, h.detail
         from orders o left join order_history h on h.order_id = o.order_id
         where o.order_id = $1 order by h.position";
    let rows = query(client, "history.read", sql, &[Box::new(id.0)]).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let entries = views(&rows, "history.read", |row| entry(row, 0))?;
    Ok(Some(entries.into_iter().flatten().collect()))
}

/// Reads `at, event, status, saga_state, detail` from column `first` on; none if there is no entry.
pub(super) fn entry(row: &Row, first: usize) -> Result<Option<HistoryView>, Broken> {
    let Some(at) = row.try_get::<_, Option<i64>>(first)? else { return Ok(None) };
    Ok(Some(HistoryView {
        at: Timestamp::from_microsecond(at)?,
        event: row.try_get(first + 1)?,
        status: row.try_get(first + 2)?,
        saga_state: row.try_get(first + 3)?,
        detail: row.try_get(first + 4)?,
    }))
}
