//! Orders and their timelines, as clients see them.

use application::messages::Amount;
use application::order_details::OrderDetails;
use application::ports::{
    HistoryView, HoldView, LineView, OrderFilter, OrderPage, OrderPlace, OrderView, PaymentView, ReturnView,
    ShipmentView,
};
use domain::{OrderId, ProductId};
use rusqlite::{Connection, OptionalExtension, Result, Row, ToSql};

use super::super::column::{broken, rows_max, time, time_or_none};
use super::super::orders::of_status;
use super::super::{holds, returns};
use crate::order_listing::{self, Dialect, Statement, Value};

const COLUMNS: &str = "select o.order_id, o.customer_id, o.status, s.state, o.total_minor, o.currency, c.reason, c.note,
         o.external_reference, o.order_date, o.created_at, o.updated_at,
         p.status, p.captured_minor, p.refunded_minor, p.idempotency_key, p.provider_reference, p.decline_code,
         h.status, h.idempotency_key, h.tracking_number, h.carrier, p.dispute, s.updated_at, p.authorised_until";

/// What the columns come from, beside the orders.
const JOINS: &str = "left join order_saga s on s.correlation_id = o.order_id
     left join cancellations c on c.order_id = o.order_id
     left join payments p on p.order_id = o.order_id
     left join shipments h on h.order_id = o.order_id";

/// One order with everything beneath it.
pub(super) fn one(connection: &Connection, id: OrderId) -> Result<Option<OrderView>> {
    let sql = format!("{COLUMNS} from orders o {JOINS} where o.order_id = ?");
    let found = connection.prepare_cached(&sql)?.query_row([id.0], order).optional()?;
    let Some(mut view) = found else { return Ok(None) };
    view.lines = lines(connection, id)?;
    view.details = details(connection, id)?;
    view.holds = holds::of_order(connection, id)?.into_iter().map(HoldView::from).collect();
    view.returns = returns::of_order(connection, id)?.into_iter().map(ReturnView::from).collect();
    Ok(Some(view))
}

const DIALECT: Dialect = Dialect {
    mark: '?',
    columns: COLUMNS,
    joins: JOINS,
    orders_of: |status| match status {
        Some(status) => of_status(status),
        None => "orders o",
    },
    closed: "(select * from orders indexed by orders_closed_by_change where is_open is null) o",
    open: "(select * from orders indexed by orders_open where is_open = 1) o",
    in_progress: "(select g.correlation_id as order_id, x.customer_id, x.status, x.total_minor, x.currency, x.external_reference,
         x.order_date, x.created_at, x.updated_at
     from order_saga g indexed by order_saga_open cross join orders x where x.order_id = g.correlation_id and g.is_open = 1) o",
    in_need: "(select g.correlation_id as order_id, x.customer_id, x.status, x.total_minor, x.currency, x.external_reference,
         x.order_date, x.created_at, x.updated_at
     from order_saga g indexed by order_saga_attention cross join orders x where x.order_id = g.correlation_id and g.state = 'needs_attention') o",
    closed_at: "o.updated_at",
};

/// A page of orders.
pub(super) fn list(connection: &Connection, filter: &OrderFilter, max: usize) -> Result<OrderPage> {
    let product = match order_listing::product_named(filter) {
        Some(product) if is_product(connection, product)? => Some(product),
        Some(_) | None => None,
    };
    let boundary = match order_listing::boundary(&DIALECT, filter, product) {
        Some(statement) => run(connection, &statement, place)?.pop(),
        None => None,
    };
    let statement = order_listing::rows(&DIALECT, filter, product, boundary, rows_max(max.saturating_add(1)));
    Ok(order_listing::page(run(connection, &statement, order)?, max, boundary))
}

fn is_product(connection: &Connection, id: ProductId) -> Result<bool> {
    connection.prepare_cached("select 1 from products where product_id = ?")?.exists([id.0])
}

fn run<T>(
    connection: &Connection,
    statement: &Statement,
    view: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let values = statement.values.iter().map(|value| match value {
        Value::Text(text) => text as &dyn ToSql,
        Value::Id(id) => id,
        Value::Number(number) => number,
    });
    let values: Vec<&dyn ToSql> = values.collect();
    connection.prepare_cached(&statement.sql)?.query_map(values.as_slice(), view)?.collect()
}

fn place(row: &Row<'_>) -> Result<OrderPlace> {
    Ok(OrderPlace { order_id: OrderId(row.get(0)?), updated_at: time(row, 1)? })
}

fn order(row: &Row<'_>) -> Result<OrderView> {
    Ok(OrderView {
        order_id: row.get(0)?,
        customer_id: row.get(1)?,
        status: row.get(2)?,
        saga_state: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
        saga_moved_at: time_or_none(row, 23)?,
        total: amount(row, 4)?,
        lines: Vec::new(),
        details: None,
        holds: Vec::new(),
        returns: Vec::new(),
        payment: payment(row)?,
        shipment: shipment(row)?,
        cancel_reason: row.get(6)?,
        cancel_note: row.get::<_, Option<String>>(7)?.filter(|note| !note.is_empty()),
        external_reference: row.get(8)?,
        ordered_at: time(row, 9)?,
        created_at: time(row, 10)?,
        updated_at: time(row, 11)?,
    })
}

fn payment(row: &Row<'_>) -> Result<Option<PaymentView>> {
    let Some(status) = row.get(12)? else { return Ok(None) };
    Ok(Some(PaymentView {
        status,
        captured_minor: row.get(13)?,
        refunded_minor: row.get(14)?,
        idempotency_key: row.get(15)?,
        provider_reference: row.get(16)?,
        decline_code: row.get(17)?,
        disputed: row.get(22)?,
        authorised_until: time_or_none(row, 24)?,
    }))
}

fn shipment(row: &Row<'_>) -> Result<Option<ShipmentView>> {
    let Some(status) = row.get(18)? else { return Ok(None) };
    Ok(Some(ShipmentView {
        status,
        idempotency_key: row.get(19)?,
        tracking_number: row.get(20)?,
        carrier: row.get(21)?,
    }))
}

/// The amount in a column of minor units and the next one, of the currency.
pub(super) fn amount(row: &Row<'_>, index: usize) -> Result<Amount> {
    Ok(Amount { minor: row.get(index)?, currency: row.get(index + 1)? })
}

fn details(connection: &Connection, id: OrderId) -> Result<Option<OrderDetails>> {
    let sql = "select details from order_details where order_id = ?";
    let stored: Option<String> =
        connection.prepare_cached(sql)?.query_row([id.0], |row| row.get(0)).optional()?;
    stored.map(|text| OrderDetails::from_stored(&text).map_err(|error| broken(0, error))).transpose()
}

fn lines(connection: &Connection, id: OrderId) -> Result<Vec<LineView>> {
    let line = |row: &Row<'_>| {
        Ok(LineView {
            sku: row.get(0)?,
            quantity: row.get(1)?,
            unit_price: amount(row, 2)?,
            cancelled: row.get(4)?,
        })
    };
    connection
        .prepare_cached(
            "select sku, quantity + cancelled, unit_price_minor, currency, cancelled from order_items where order_id = ? order by ordinal",
        )?
        .query_map([id.0], line)?
        .collect()
}

/// An order's timeline; none if there is no such order.
pub(super) fn history(connection: &Connection, id: OrderId) -> Result<Option<Vec<HistoryView>>> {
    let exists = connection.prepare_cached("select 1 from orders where order_id = ?")?.exists([id.0])?;
    if !exists {
        return Ok(None);
    }
    connection
        .prepare_cached(
            "select at, event, status, saga_state, detail from order_history where order_id = ? order by position",
        )?
        .query_map([id.0], entry)?
        .collect::<Result<_>>()
        .map(Some)
}

/// Reads `at, event, status, saga_state, detail`.
pub(super) fn entry(row: &Row<'_>) -> Result<HistoryView> {
    Ok(HistoryView {
        at: time(row, 0)?,
        event: row.get(1)?,
        status: row.get(2)?,
        saga_state: row.get(3)?,
        detail: row.get(4)?,
    })
}
