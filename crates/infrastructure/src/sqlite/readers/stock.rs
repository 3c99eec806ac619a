//! The catalogue, the stock and its ledger, as clients see them.

use application::ports::{
    EndangeredOrderView, InventoryView, LowOnly, MovementView, Page, ProductView, ReservationPage,
    ReservationView,
};
use domain::{OrderId, ProductId, Sku};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use uuid::Uuid;

use super::super::column::{rows_max, time};
use super::super::products::shipping;
use super::orders::amount;
use crate::paging::page;
use crate::reservations::{self, Dialect};

/// Products by sku.
pub(super) fn products(
    connection: &Connection,
    after: Option<&Sku>,
    max: usize,
) -> Result<Page<ProductView>> {
    let found = connection
        .prepare_cached(
            "select product_id, sku, name, description, price_minor, currency, availability, shipping
             from products where sku > ? order by sku limit ?",
        )?
        .query_map(params![after.map_or("", Sku::as_str), rows_max(max.saturating_add(1))], product)?
        .collect::<Result<_>>()?;
    Ok(page(found, max))
}

fn product(row: &Row<'_>) -> Result<ProductView> {
    Ok(ProductView {
        product_id: row.get(0)?,
        sku: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        price: amount(row, 4)?,
        availability: row.get(6)?,
        shipping: shipping(row, 7)?.into(),
    })
}

const LEVELS: &str =
    "select i.product_id, p.sku, i.available_stock, i.reserved_stock, i.shipped, i.received, i.adjusted,
         i.reorder_level, i.last_updated, i.short_stock, p.availability = 'active'
     from products p join inventory i on i.product_id = p.product_id";

/// Stock levels by sku.
pub(super) fn levels(
    connection: &Connection,
    low: LowOnly,
    after: Option<&Sku>,
    max: usize,
) -> Result<Page<InventoryView>> {
    let only = match low {
        LowOnly::No => "",
        LowOnly::Yes => "and i.available_stock <= i.reorder_level and p.availability = 'active'",
    };
    let found = connection
        .prepare_cached(&format!("{LEVELS} where p.sku > ? {only} order by p.sku limit ?"))?
        .query_map(params![after.map_or("", Sku::as_str), rows_max(max.saturating_add(1))], inventory)?
        .collect::<Result<_>>()?;
    Ok(page(found, max))
}

/// The stock of one product.
pub(super) fn level(connection: &Connection, sku: &Sku) -> Result<Option<InventoryView>> {
    connection
        .prepare_cached(&format!("{LEVELS} where p.sku = ?"))?
        .query_row([sku.as_str()], inventory)
        .optional()
}

fn inventory(row: &Row<'_>) -> Result<InventoryView> {
    let (available, reorder_level): (i64, i64) = (row.get(2)?, row.get(7)?);
    Ok(InventoryView {
        product_id: row.get(0)?,
        sku: row.get(1)?,
        available,
        reserved: row.get(3)?,
        shipped: row.get(4)?,
        received: row.get(5)?,
        adjusted: row.get(6)?,
        short: row.get(9)?,
        reorder_level,
        low: available <= reorder_level && row.get::<_, bool>(10)?,
        last_updated: time(row, 8)?,
    })
}

/// All open orders that hold any of the product are looked at, and those that come last lack what is short.
const ENDANGERED: &str =
    "select order_id, external_reference, customer_id, status, units, short - before
     from (
         select h.*, sum(units) over (order by order_id desc rows between unbounded preceding and current row) - units
             as before
         from (
             select o.order_id, o.external_reference, o.customer_id, o.status, v.short_stock as short, sum(i.quantity) as units from inventory v
             cross join order_saga s on s.is_open = 1 and s.stock = 'reserved'
             cross join order_items i on i.order_id = s.correlation_id and i.product_id = v.product_id and i.quantity > 0
             cross join orders o on o.order_id = s.correlation_id
             where v.product_id = ?1 and v.short_stock > 0
             group by o.order_id, o.external_reference, o.customer_id, o.status, v.short_stock
         ) h
     ) ranked
     where before < short order by order_id desc limit ?2";

/// The open orders that what is short of a product was promised to.
pub(super) fn endangered(
    connection: &Connection,
    id: ProductId,
    max: usize,
) -> Result<Page<EndangeredOrderView>> {
    let found = connection
        .prepare_cached(ENDANGERED)?
        .query_map(params![id.0, rows_max(max.saturating_add(1))], endangered_order)?
        .collect::<Result<_>>()?;
    Ok(page(found, max))
}

fn endangered_order(row: &Row<'_>) -> Result<EndangeredOrderView> {
    let (reserved, missing): (i64, i64) = (row.get(4)?, row.get(5)?);
    Ok(EndangeredOrderView {
        order_id: row.get(0)?,
        external_reference: row.get(1)?,
        customer_id: row.get(2)?,
        status: row.get(3)?,
        reserved,
        missing: missing.min(reserved),
    })
}

const HELD: Dialect =
    Dialect { mark: '?', open: "order_saga s indexed by order_saga_open where s.is_open = 1" };

/// The open orders that hold units of a product, oldest first.
pub(super) fn reservations(
    connection: &Connection,
    id: ProductId,
    after: Option<OrderId>,
    max: usize,
) -> Result<ReservationPage> {
    let after = after.map_or(Uuid::nil(), |id| id.0);
    let boundary: Option<Uuid> = connection
        .prepare_cached(&reservations::boundary(&HELD))?
        .query_row([after], |row| row.get(0))
        .optional()?;
    let up_to = boundary.unwrap_or(Uuid::max());
    let found = connection
        .prepare_cached(&reservations::rows(&HELD))?
        .query_map(params![id.0, after, up_to, rows_max(max.saturating_add(1))], reservation)?
        .collect::<Result<_>>()?;
    Ok(reservations::page(found, max, boundary.map(OrderId)))
}

fn reservation(row: &Row<'_>) -> Result<ReservationView> {
    Ok(ReservationView {
        order_id: row.get(0)?,
        external_reference: row.get(1)?,
        customer_id: row.get(2)?,
        status: row.get(3)?,
        units: row.get(4)?,
        since: time(row, 5)?,
    })
}

/// The ledger of one product, latest first: back along its chain, from its end or from behind the movement `before`.
pub(super) fn movements(
    connection: &Connection,
    id: ProductId,
    before: Option<i64>,
    max: usize,
) -> Result<Vec<MovementView>> {
    connection
        .prepare_cached(
            "with recursive chain (place) as (
                 select case when ?2 is null then (select last_movement from inventory where product_id = ?1)
                     else (select previous from stock_movements where position = ?2 and product_id = ?1) end
                 union all
                 select m.previous from chain join stock_movements m on m.position = chain.place
                 limit ?3
             )
             select position, at, kind, quantity, cause, order_id, note
             from chain join stock_movements on position = place order by position desc",
        )?
        .query_map(params![id.0, before, rows_max(max)], movement)?
        .collect()
}

fn movement(row: &Row<'_>) -> Result<MovementView> {
    let cause: String = row.get(4)?;
    let cause = match (row.get::<_, Option<Uuid>>(5)?, row.get::<_, Option<String>>(6)?) {
        (Some(order), _) => format!("{cause} {order}"),
        (None, Some(note)) => format!("{cause}: {note}"),
        (None, None) => cause,
    };
    Ok(MovementView {
        position: row.get(0)?,
        at: time(row, 1)?,
        kind: row.get(2)?,
        quantity: row.get(3)?,
        cause,
    })
}
