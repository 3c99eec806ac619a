//! Holds of orders, released ones too.

use application::ports::HoldRepository;
use async_trait::async_trait;
use bus::Fault;
use domain::{Hold, HoldId, HoldRelease, OrderId};
use rusqlite::{Connection, Result, Row, params};

use super::SqliteUnit;
use super::column::{Micros, name, time, time_or_none};
use bus_sqlite::fault;

#[async_trait]
impl HoldRepository for SqliteUnit {
    async fn place(&mut self, holds: &[Hold]) -> std::result::Result<(), Fault> {
        if holds.is_empty() {
            return Ok(());
        }
        self.save()?;
        place(self.connection(), holds).map_err(fault("holds.place"))
    }

    async fn get(&mut self, order_ids: &[OrderId]) -> std::result::Result<Vec<Hold>, Fault> {
        let mut found = Vec::new();
        for id in order_ids {
            found.extend(of_order(self.connection(), *id).map_err(fault("holds.get"))?);
        }
        Ok(found)
    }

    async fn release(&mut self, holds: &[Hold], release: &HoldRelease) -> std::result::Result<(), Fault> {
        released(self.connection(), holds, release).map_err(fault("holds.release"))
    }
}

fn place(connection: &Connection, holds: &[Hold]) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "insert into order_holds (order_id, hold_id, before_step, reason, actor, placed_at) values (?, ?, ?, ?, ?, ?)",
    )?;
    for Hold { id, order_id, before, reason, actor, placed_at, .. } in holds {
        insert.execute(params![
            order_id.0.as_bytes(),
            id.0.as_bytes(),
            before.as_str(),
            reason,
            actor,
            Micros(*placed_at)
        ])?;
    }
    Ok(())
}

fn released(connection: &Connection, holds: &[Hold], release: &HoldRelease) -> Result<()> {
    let mut update = connection.prepare_cached(
        "update order_holds set released_at = ?, released_by = ?, release_note = ?
         where order_id = ? and hold_id = ? and released_at is null",
    )?;
    let HoldRelease { actor, note, at } = release;
    for Hold { id, order_id, .. } in holds {
        update.execute(params![Micros(*at), actor, note, order_id.0.as_bytes(), id.0.as_bytes()])?;
    }
    Ok(())
}

/// The holds of this order, oldest first.
pub(super) fn of_order(connection: &Connection, id: OrderId) -> Result<Vec<Hold>> {
    connection
        .prepare_cached(
            "select order_id, hold_id, before_step, reason, actor, placed_at, released_by, release_note, released_at
             from order_holds where order_id = ? order by placed_at, hold_id",
        )?
        .query_map([id.0.as_bytes()], hold)?
        .collect()
}

fn hold(row: &Row<'_>) -> Result<Hold> {
    let released = match time_or_none(row, 8)? {
        Some(at) => Some(HoldRelease { actor: row.get(6)?, note: row.get(7)?, at }),
        None => None,
    };
    Ok(Hold {
        order_id: OrderId(row.get(0)?),
        id: HoldId(row.get(1)?),
        before: name(row, 2)?,
        reason: row.get(3)?,
        actor: row.get(4)?,
        placed_at: time(row, 5)?,
        released,
    })
}
