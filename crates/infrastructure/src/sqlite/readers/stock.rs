//! The catalogue, the stock and its ledger, as clients see them.

use application::ports::{InventoryView, LowOnly, MovementView, Page, ProductView};
use domain::{ProductId, Sku};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use uuid::Uuid;

use super::super::column::{rows_max, time};
use super::orders::amount;
use crate::paging::page;

/// Products by sku.
pub(super) fn products(
    connection: &Connection,
    after: Option<&Sku>,
    max: usize,
) -> Result<Page<ProductView>> {
    let found = connection
        .prepare_cached(
            "select product_id, sku, name, description, price_minor, currency, availability
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
    })
}

const LEVELS: &str =
    "select i.product_id, p.sku, i.available_stock, i.reserved_stock, i.shipped, i.received, i.adjusted,
         i.reorder_level, i.last_updated
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
        LowOnly::Yes => "and i.available_stock <= i.reorder_level",
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
        reorder_level,
        low: available <= reorder_level,
        last_updated: time(row, 8)?,
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
