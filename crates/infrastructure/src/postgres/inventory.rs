//! Stock and its ledger. Counters and movements are only ever written together, and the arithmetic is the domain's.

use std::collections::BTreeSet;

use application::ports::InventoryRepository;
use async_trait::async_trait;
use bus::Fault;
use domain::{Inventory, MovementCause, ProductId, StockCounters, StockMovement};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresUnit;
use super::column::{Broken, rows_max, time};
use bus_postgres::Act;
use bus_postgres::Array;
use bus_postgres::{CHANGED, broken};

#[async_trait]
impl InventoryRepository for PostgresUnit {
    async fn lock(&mut self, ids: &[ProductId]) -> Result<Vec<Inventory>, Fault> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.ask_beside(select(ids)).await?;
        read_all(&rows).map_err(broken("inventory.lock"))
    }

    async fn available(&mut self, ids: &[ProductId]) -> Result<Vec<(ProductId, i64)>, Fault> {
        const OPERATION: &str = "inventory.available";
        let sql = "select product_id, available_stock from inventory where product_id = any($1)";
        let ids = Array::uuids(ids.iter().map(|id| id.0));
        let rows = self.ask(Act::new(OPERATION, sql, vec![Box::new(ids)])).await?;
        let units = |row: &Row| Ok((ProductId(row.try_get(0)?), row.try_get(1)?));
        rows.iter().map(units).collect::<Result<_, Broken>>().map_err(broken(OPERATION))
    }
}

impl PostgresUnit {
    /// Writes counters and ledger.
    pub(super) fn write_stock(
        &mut self,
        changed: &[Inventory],
        movements: &[StockMovement],
        at: Timestamp,
    ) -> Result<(), Fault> {
        for inventory in changed {
            inventory.check().map_err(|error| Fault::give_up("inventory.store", error))?;
        }
        if !changed.is_empty() {
            self.later(update(changed));
        }
        if !movements.is_empty() {
            self.later(append(movements, at));
        }
        Ok(())
    }
}

macro_rules! columns {
    () => {
        "i.product_id, available_stock, reserved_stock, shipped, received, adjusted, reorder_level, last_updated, short_stock"
    };
}

/// Joined with the ids for the reason that sagas are.
fn select(ids: &[ProductId]) -> Act {
    let sql = concat!(
        "select ",
        columns!(),
        " from unnest($1::uuid[]) as wanted (id) join inventory i on i.product_id = wanted.id
         order by i.product_id for update of i"
    );
    let wanted: BTreeSet<ProductId> = ids.iter().copied().collect();
    Act::new("inventory.lock", sql, vec![Box::new(Array::uuids(wanted.iter().map(|id| id.0)))])
}

/// Stock of products that are sold, at or below its reorder level, in product order.
pub(super) fn low(max: usize) -> Act {
    let sql = concat!(
        "select ",
        columns!(),
        " from inventory i join products p on p.product_id = i.product_id
         where i.is_low and p.availability = 'active' order by i.product_id limit $1"
    );
    Act::new("products.get_low_stock", sql, vec![Box::new(rows_max(max))])
}

/// Reads stock rows.
pub(super) fn read_all(rows: &[Row]) -> Result<Vec<Inventory>, Broken> {
    rows.iter().map(inventory).collect()
}

fn inventory(row: &Row) -> Result<Inventory, Broken> {
    let counters = StockCounters {
        available: row.try_get(1)?,
        reserved: row.try_get(2)?,
        shipped: row.try_get(3)?,
        received: row.try_get(4)?,
        adjusted: row.try_get(5)?,
        short: row.try_get(8)?,
    };
    let id = ProductId(row.try_get(0)?);
    Ok(Inventory::restore(id, counters, row.try_get(6)?, time(row, 7)?)?)
}

fn update(changed: &[Inventory]) -> Act {
    let sql = "with moved as (
             update inventory i set available_stock = n.available, reserved_stock = n.reserved, shipped = n.shipped,
                 received = n.received, adjusted = n.adjusted, reorder_level = n.reorder_level,
                 last_updated = n.last_updated, short_stock = n.short
             from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                 $7::bigint[], $8::bigint[], $9::bigint[])
                 as n (id, available, reserved, shipped, received, adjusted, reorder_level, last_updated, short)
             where i.product_id = n.id returning 1
         )
         select require_rows((select count(*) from moved), cardinality($1::uuid[]), $10, 'inventory.store')";
    let counters = |of: fn(StockCounters) -> i64| {
        Box::new(Array::numbers(changed.iter().map(|inventory| of(inventory.counters()))))
    };
    Act::new(
        "inventory.store",
        sql,
        vec![
            Box::new(Array::uuids(changed.iter().map(|inventory| inventory.product_id().0))),
            counters(|counters| counters.available),
            counters(|counters| counters.reserved),
            counters(|counters| counters.shipped),
            counters(|counters| counters.received),
            counters(|counters| counters.adjusted),
            Box::new(Array::numbers(changed.iter().map(Inventory::reorder_level))),
            Box::new(Array::times(changed.iter().map(Inventory::last_updated))),
            counters(|counters| counters.short),
            Box::new(CHANGED),
        ],
    )
}

fn append(movements: &[StockMovement], at: Timestamp) -> Act {
    let sql = "insert into stock_movements (product_id, kind, quantity, cause, order_id, note, at)
         select product_id, kind, quantity, cause, order_id, note, $7
         from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::uuid[], $6::text[]) with ordinality
             as fresh (product_id, kind, quantity, cause, order_id, note, ordinal)
         order by ordinal";
    let (mut cause, mut order_id, mut note) = (Array::of_texts(), Array::of_uuids(), Array::of_texts());
    for movement in movements {
        let (kind, order, why) = match &movement.cause {
            MovementCause::Order(id) => ("order", Some(id.0), None),
            MovementCause::Adjustment { reason } => ("adjustment", None, Some(reason.as_str())),
            MovementCause::Import(name) => ("import", None, Some(name.as_str())),
        };
        cause.push_text(kind);
        order_id.push_uuid_or_null(order);
        note.push_text_or_null(why);
    }
    Act::new(
        "inventory.store",
        sql,
        vec![
            Box::new(Array::uuids(movements.iter().map(|movement| movement.product_id.0))),
            Box::new(Array::texts(movements.iter().map(|movement| movement.kind.as_str()))),
            Box::new(Array::numbers(movements.iter().map(|movement| movement.quantity))),
            Box::new(cause),
            Box::new(order_id),
            Box::new(note),
            Box::new(at.as_microsecond()),
        ],
    )
}
