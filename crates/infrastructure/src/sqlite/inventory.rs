//! Stock and its ledger. Counters and movements are only ever written together, and the arithmetic is the domain's.

use std::collections::HashMap;

use application::ports::InventoryRepository;
use async_trait::async_trait;
use bus::Fault;
use domain::{Inventory, MovementCause, ProductId, StockCounters, StockMovement};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::SqliteUnit;
use super::column::{Micros, broken, rows_max, time};
use super::memory::StockRow;
use bus_sqlite::{changed_meanwhile, fault};

#[async_trait]
impl InventoryRepository for SqliteUnit {
    async fn lock(&mut self, ids: &[ProductId]) -> std::result::Result<Vec<Inventory>, Fault> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        self.read_unread_stock(&ids).map_err(fault("inventory.lock"))?;
        let known = |id: &ProductId| self.rows.view.stock(self.memory(), *id);
        Ok(ids.iter().filter_map(known).map(|row| row.inventory.clone()).collect())
    }

    /// One writer at a time needs no locks.
    async fn available(&mut self, ids: &[ProductId]) -> std::result::Result<Vec<(ProductId, i64)>, Fault> {
        let stock = self.lock(ids).await?;
        Ok(stock.iter().map(|inventory| (inventory.product_id(), inventory.available())).collect())
    }
}

impl SqliteUnit {
    /// Writes counters and ledger.
    pub(super) fn write_stock(
        &mut self,
        changed: &[Inventory],
        movements: &[StockMovement],
        at: Timestamp,
    ) -> std::result::Result<(), Fault> {
        for inventory in changed {
            inventory.check().map_err(|error| Fault::give_up("inventory.store", error))?;
        }
        let rows = self.chained(changed, movements, at).map_err(fault("inventory.store"))?;
        if let Some(stray) = update(self.connection(), &rows).map_err(fault("inventory.store"))? {
            return Err(changed_meanwhile("inventory.store", stray));
        }
        let rows = rows.into_iter().map(|row| (row.inventory.product_id(), row));
        self.rows.view.stock.extend(rows);
        Ok(())
    }

    fn read_unread_stock(&mut self, ids: &[ProductId]) -> Result<()> {
        let unread = |id: &&ProductId| self.rows.view.stock(self.memory(), **id).is_none();
        let unread: Vec<ProductId> = ids.iter().filter(unread).copied().collect();
        if !unread.is_empty() {
            let read = select(self.connection(), &unread)?;
            self.rows.view.stock.extend(read.into_iter().map(|row| (row.inventory.product_id(), row)));
        }
        Ok(())
    }

    /// Appends the movements to the ledger; the changed stock comes back with the end of each product's chain.
    fn chained(
        &mut self,
        changed: &[Inventory],
        movements: &[StockMovement],
        at: Timestamp,
    ) -> Result<Vec<StockRow>> {
        let ids: Vec<ProductId> = changed.iter().map(Inventory::product_id).collect();
        self.read_unread_stock(&ids)?;
        let known = |id: &ProductId| {
            (*id, self.rows.view.stock(self.memory(), *id).and_then(|row| row.last_movement))
        };
        let mut ends: HashMap<ProductId, Option<i64>> = ids.iter().map(known).collect();
        let first = self.take_positions(movements.len());
        append(self.connection(), first, movements, &mut ends, at)?;
        let row = |inventory: &Inventory| StockRow {
            inventory: inventory.clone(),
            last_movement: ends.get(&inventory.product_id()).copied().flatten(),
        };
        Ok(changed.iter().map(row).collect())
    }
}

const COLUMNS: &str = "i.product_id, available_stock, reserved_stock, shipped, received, adjusted, reorder_level, last_updated, short_stock";

fn select(connection: &Connection, ids: &[ProductId]) -> Result<Vec<StockRow>> {
    let sql = format!("select {COLUMNS}, last_movement from inventory i where product_id = ?");
    let mut select = connection.prepare_cached(&sql)?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let row = |row: &Row<'_>| Ok(StockRow { inventory: inventory(row)?, last_movement: row.get(9)? });
        found.extend(select.query_row([id.0.as_bytes()], row).optional()?);
    }
    Ok(found)
}

/// Stock of products that are sold, at or below its reorder level, in product order.
pub(super) fn low(connection: &Connection, max: usize) -> Result<Vec<Inventory>> {
    let sql = format!(
        "select {COLUMNS} from inventory i cross join products p
         where i.available_stock <= i.reorder_level and p.product_id = i.product_id and p.availability = 'active'
         order by i.product_id limit ?"
    );
    connection.prepare_cached(&sql)?.query_map([rows_max(max)], inventory)?.collect()
}

fn inventory(row: &Row<'_>) -> Result<Inventory> {
    let counters = StockCounters {
        available: row.get(1)?,
        reserved: row.get(2)?,
        shipped: row.get(3)?,
        received: row.get(4)?,
        adjusted: row.get(5)?,
        short: row.get(8)?,
    };
    Inventory::restore(ProductId(row.get(0)?), counters, row.get(6)?, time(row, 7)?)
        .map_err(|error| broken(0, error))
}

/// Stores all; the first that is not there, if any.
fn update(connection: &Connection, changed: &[StockRow]) -> Result<Option<ProductId>> {
    let mut update = connection.prepare_cached(
        "update inventory set available_stock = ?2, reserved_stock = ?3, shipped = ?4, received = ?5,
             adjusted = ?6, reorder_level = ?7, last_updated = ?8, last_movement = ?9, short_stock = ?10
         where product_id = ?1",
    )?;
    for StockRow { inventory, last_movement } in changed {
        let counters = inventory.counters();
        let found = update.execute(params![
            inventory.product_id().0,
            counters.available,
            counters.reserved,
            counters.shipped,
            counters.received,
            counters.adjusted,
            inventory.reorder_level(),
            Micros(inventory.last_updated()),
            last_movement,
            counters.short,
        ])?;
        if found != 1 {
            return Ok(Some(inventory.product_id()));
        }
    }
    Ok(None)
}

/// Adds movements, the first of them at position `first`, each behind the end of its product's chain.
fn append(
    connection: &Connection,
    first: i64,
    movements: &[StockMovement],
    ends: &mut HashMap<ProductId, Option<i64>>,
    at: Timestamp,
) -> Result<()> {
    let mut insert =
        connection.prepare_cached("insert into stock_movements values (?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    for (position, movement) in (first..).zip(movements) {
        let (cause, order_id, note) = match &movement.cause {
            MovementCause::Order(id) => ("order", Some(id.0.as_bytes()), None),
            MovementCause::Adjustment { reason } => ("adjustment", None, Some(reason)),
            MovementCause::Import(name) => ("import", None, Some(name)),
        };
        insert.execute(params![
            position,
            ends.insert(movement.product_id, Some(position)).flatten(),
            movement.product_id.0.as_bytes(),
            movement.kind.as_str(),
            movement.quantity,
            cause,
            order_id,
            note,
            Micros(at),
        ])?;
    }
    Ok(())
}
