//! The catalogue, the stock and its ledger, as clients see them.

use application::ports::{
    EndangeredOrderView, InventoryView, LowOnly, MovementView, Page, ProductView, ReservationPage,
    ReservationView,
};
use application::shipping_facts;
use bus::Fault;
use domain::{OrderId, ProductId, Sku};
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::column::{Broken, rows_max, time};
use super::orders::amount;
use crate::paging::page;
use crate::reservations::{self, Dialect};
use bus_postgres::Lent;
use bus_postgres::{query, views};

/// Products by sku.
pub(super) async fn products(
    client: &Lent,
    after: Option<&Sku>,
    max: usize,
) -> Result<Page<ProductView>, Fault> {
    let sql = "select product_id, sku, name, description, price_minor, currency, availability, shipping
         from products where sku > $1 order by sku limit $2";
    let after = after.map_or("", Sku::as_str);
    let rows =
        query(client, "products.list", sql, &[Box::new(after), Box::new(rows_max(max.saturating_add(1)))])
            .await?;
    Ok(page(views(&rows, "products.list", product)?, max))
}

fn product(row: &Row) -> Result<ProductView, Broken> {
    Ok(ProductView {
        product_id: row.try_get(0)?,
        sku: row.try_get(1)?,
        name: row.try_get(2)?,
        description: row.try_get(3)?,
        price: amount(row, 4)?,
        availability: row.try_get(6)?,
        shipping: shipping_facts::from_stored(row.try_get(7)?)?.into(),
    })
}

macro_rules! levels {
    () => {
        "select i.product_id, p.sku, i.available_stock, i.reserved_stock, i.shipped, i.received, i.adjusted,
             i.reorder_level, i.is_low and p.availability = 'active', i.last_updated, i.short_stock
         from products p join lateral (select * from inventory where product_id = p.product_id limit 1) i on true"
    };
}

/// Stock levels by sku.
pub(super) async fn levels(
    client: &Lent,
    low: LowOnly,
    after: Option<&Sku>,
    max: usize,
) -> Result<Page<InventoryView>, Fault> {
    let sql = match low {
        LowOnly::No => concat!(levels!(), " where p.sku > $1 order by p.sku limit $2"),
        LowOnly::Yes => concat!(
            levels!(),
            " where p.sku > $1 and i.is_low and p.availability = 'active' order by p.sku limit $2"
        ),
    };
    let after = after.map_or("", Sku::as_str);
    let rows =
        query(client, "inventory.list", sql, &[Box::new(after), Box::new(rows_max(max.saturating_add(1)))])
            .await?;
    Ok(page(views(&rows, "inventory.list", inventory)?, max))
}

/// The stock of one product.
pub(super) async fn level(client: &Lent, sku: &Sku) -> Result<Option<InventoryView>, Fault> {
    let sql = concat!(levels!(), " where p.sku = $1");
    let rows = query(client, "inventory.read", sql, &[Box::new(sku.as_str())]).await?;
    Ok(views(&rows, "inventory.read", inventory)?.pop())
}

fn inventory(row: &Row) -> Result<InventoryView, Broken> {
    Ok(InventoryView {
        product_id: row.try_get(0)?,
        sku: row.try_get(1)?,
        available: row.try_get(2)?,
        reserved: row.try_get(3)?,
        shipped: row.try_get(4)?,
        received: row.try_get(5)?,
        adjusted: row.try_get(6)?,
        short: row.try_get(10)?,
        reorder_level: row.try_get(7)?,
        low: row.try_get(8)?,
        last_updated: time(row, 9)?,
    })
}

/// All open orders that hold any of the product are looked at, and those that come last lack what is short.
const ENDANGERED: &str =
    "select order_id, external_reference, customer_id, status, units, short - before::bigint
     from (
         select h.*, sum(units) over (order by order_id desc rows between unbounded preceding and current row) - units
             as before
         from (
             select o.order_id, o.external_reference, o.customer_id, o.status, v.short_stock as short,
                 sum(i.quantity)::bigint as units from inventory v
             join order_saga s on s.is_open and s.stock = 'reserved'
             join order_items i on i.order_id = s.correlation_id and i.product_id = v.product_id and i.quantity > 0
             join orders o on o.order_id = s.correlation_id
             where v.product_id = $1 and v.short_stock > 0
             group by o.order_id, o.external_reference, o.customer_id, o.status, v.short_stock
         ) h
     ) ranked
     where before < short order by order_id desc limit $2";

/// The open orders that what is short of a product was promised to.
pub(super) async fn endangered(
    client: &Lent,
    id: ProductId,
    max: usize,
) -> Result<Page<EndangeredOrderView>, Fault> {
    let values: [bus_postgres::Value<'_>; 2] = [Box::new(id.0), Box::new(rows_max(max.saturating_add(1)))];
    let rows = query(client, "inventory.endangered", ENDANGERED, &values).await?;
    Ok(page(views(&rows, "inventory.endangered", endangered_order)?, max))
}

fn endangered_order(row: &Row) -> Result<EndangeredOrderView, Broken> {
    let (reserved, missing): (i64, i64) = (row.try_get(4)?, row.try_get(5)?);
    Ok(EndangeredOrderView {
        order_id: row.try_get(0)?,
        external_reference: row.try_get(1)?,
        customer_id: row.try_get(2)?,
        status: row.try_get(3)?,
        reserved,
        missing: missing.min(reserved),
    })
}

const HELD: Dialect = Dialect { mark: '$', open: "order_saga s where s.is_open" };

/// The open orders that hold units of a product, oldest first.
pub(super) async fn reservations(
    client: &Lent,
    id: ProductId,
    after: Option<OrderId>,
    max: usize,
) -> Result<ReservationPage, Fault> {
    const OPERATION: &str = "inventory.reservations";
    let after = after.map_or(Uuid::nil(), |id| id.0);
    let rows = query(client, OPERATION, &reservations::boundary(&HELD), &[Box::new(after)]).await?;
    let boundary = views(&rows, OPERATION, |row| Ok(row.try_get::<_, Uuid>(0)?))?.pop();
    let up_to = boundary.unwrap_or(Uuid::max());
    let rows_max = rows_max(max.saturating_add(1));
    let values: [bus_postgres::Value<'_>; 4] =
        [Box::new(id.0), Box::new(after), Box::new(up_to), Box::new(rows_max)];
    let rows = query(client, OPERATION, &reservations::rows(&HELD), &values).await?;
    Ok(reservations::page(views(&rows, OPERATION, reservation)?, max, boundary.map(OrderId)))
}

fn reservation(row: &Row) -> Result<ReservationView, Broken> {
    Ok(ReservationView {
        order_id: row.try_get(0)?,
        external_reference: row.try_get(1)?,
        customer_id: row.try_get(2)?,
        status: row.try_get(3)?,
        units: row.try_get(4)?,
        since: time(row, 5)?,
    })
}

/// The ledger of one product, latest first.
pub(super) async fn movements(
    client: &Lent,
    id: ProductId,
    before: Option<i64>,
    max: usize,
) -> Result<Vec<MovementView>, Fault> {
    let sql = "select position, at, kind, quantity, cause, order_id, note from stock_movements
         where product_id = $1 and position < $2 order by position desc limit $3";
    let before = before.unwrap_or(i64::MAX);
    let values: [bus_postgres::Value<'_>; 3] = [Box::new(id.0), Box::new(before), Box::new(rows_max(max))];
    let rows = query(client, "movements.list", sql, &values).await?;
    views(&rows, "movements.list", movement)
}

fn movement(row: &Row) -> Result<MovementView, Broken> {
    let cause: String = row.try_get(4)?;
    let cause = match (row.try_get::<_, Option<Uuid>>(5)?, row.try_get::<_, Option<String>>(6)?) {
        (Some(order), _) => format!("{cause} {order}"),
        (None, Some(note)) => format!("{cause}: {note}"),
        (None, None) => cause,
    };
    Ok(MovementView {
        position: row.try_get(0)?,
        at: time(row, 1)?,
        kind: row.try_get(2)?,
        quantity: row.try_get(3)?,
        cause,
    })
}
