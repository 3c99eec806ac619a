//! Holds of orders, released ones too.

use application::ports::HoldRepository;
use async_trait::async_trait;
use bus::Fault;
use domain::{Hold, HoldId, HoldRelease, OrderId};
use tokio_postgres::Row;

use super::PostgresUnit;
use super::column::{Broken, name, time, time_or_none};
use bus_postgres::{Act, Array, Lent, broken, query, views};

#[async_trait]
impl HoldRepository for PostgresUnit {
    async fn place(&mut self, holds: &[Hold]) -> Result<(), Fault> {
        if !holds.is_empty() {
            self.send_new_orders();
            self.later(place(holds));
        }
        Ok(())
    }

    async fn get(&mut self, order_ids: &[OrderId]) -> Result<Vec<Hold>, Fault> {
        const OPERATION: &str = "holds.get";
        let ids = Array::uuids(order_ids.iter().map(|id| id.0));
        let rows = self.ask(Act::new(OPERATION, OF_ORDERS, vec![Box::new(ids)])).await?;
        rows.iter().map(hold).collect::<Result<_, Broken>>().map_err(broken(OPERATION))
    }

    async fn release(&mut self, holds: &[Hold], release: &HoldRelease) -> Result<(), Fault> {
        if !holds.is_empty() {
            self.later(released(holds, release));
        }
        Ok(())
    }
}

const OF_ORDERS: &str =
    "select order_id, hold_id, before_step, reason, actor, placed_at, released_by, release_note, released_at
     from order_holds where order_id = any($1) order by order_id, placed_at, hold_id";

fn place(holds: &[Hold]) -> Act {
    let sql = "insert into order_holds (order_id, hold_id, before_step, reason, actor, placed_at)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[])";
    Act::new(
        "holds.place",
        sql,
        vec![
            Box::new(Array::uuids(holds.iter().map(|hold| hold.order_id.0))),
            Box::new(Array::uuids(holds.iter().map(|hold| hold.id.0))),
            Box::new(Array::texts(holds.iter().map(|hold| hold.before.as_str()))),
            Box::new(Array::texts(holds.iter().map(|hold| hold.reason.as_str()))),
            Box::new(Array::texts_or_null(holds.iter().map(|hold| hold.actor.as_deref()))),
            Box::new(Array::times(holds.iter().map(|hold| hold.placed_at))),
        ],
    )
}

fn released(holds: &[Hold], release: &HoldRelease) -> Act {
    let sql = "update order_holds h set released_at = $3, released_by = $4, release_note = $5
         from unnest($1::uuid[], $2::uuid[]) as gone (order_id, hold_id)
         where h.order_id = gone.order_id and h.hold_id = gone.hold_id and h.released_at is null";
    Act::new(
        "holds.release",
        sql,
        vec![
            Box::new(Array::uuids(holds.iter().map(|hold| hold.order_id.0))),
            Box::new(Array::uuids(holds.iter().map(|hold| hold.id.0))),
            Box::new(release.at.as_microsecond()),
            Box::new(release.actor.clone()),
            Box::new(release.note.clone()),
        ],
    )
}

/// The holds of this order, oldest first.
pub(super) async fn of_order(client: &Lent, id: OrderId) -> Result<Vec<Hold>, Fault> {
    let rows = query(client, "holds.read", OF_ORDERS, &[Box::new(Array::uuids([id.0]))]).await?;
    views(&rows, "holds.read", hold)
}

fn hold(row: &Row) -> Result<Hold, Broken> {
    let released = match time_or_none(row, 8)? {
        Some(at) => Some(HoldRelease { actor: row.try_get(6)?, note: row.try_get(7)?, at }),
        None => None,
    };
    Ok(Hold {
        order_id: OrderId(row.try_get(0)?),
        id: HoldId(row.try_get(1)?),
        before: name(row, 2)?,
        reason: row.try_get(3)?,
        actor: row.try_get(4)?,
        placed_at: time(row, 5)?,
        released,
    })
}
