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

    async fn of_order(&mut self, id: OrderId) -> std::result::Result<Vec<Hold>, Fault> {
        of_order(self.connection(), id).map_err(fault("holds.of_order"))
    }

    async fn release(
        &mut self,
        order_id: OrderId,
        ids: &[HoldId],
        release: &HoldRelease,
    ) -> std::result::Result<(), Fault> {
        let mut update = self
            .connection()
            .prepare_cached(
                "update order_holds set released_at = ?, released_by = ?, release_note = ?
                 where order_id = ? and hold_id = ? and released_at is null",
            )
            .map_err(fault("holds.release"))?;
        for id in ids {
            let HoldRelease { actor, note, at } = release;
            update
                .execute(params![Micros(*at), actor, note, order_id.0.as_bytes(), id.0.as_bytes()])
                .map_err(fault("holds.release"))?;
        }
        Ok(())
    }

    async fn end(&mut self, order_ids: &[OrderId], release: &HoldRelease) -> std::result::Result<(), Fault> {
        self.save()?;
        let HoldRelease { actor, note, at } = release;
        let mut update = self
            .connection()
            .prepare_cached(
                "update order_holds set released_at = ?, released_by = ?, release_note = ?
                 where order_id = ? and released_at is null",
            )
            .map_err(fault("holds.end"))?;
        for id in order_ids {
            update.execute(params![Micros(*at), actor, note, id.0.as_bytes()]).map_err(fault("holds.end"))?;
        }
        Ok(())
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
