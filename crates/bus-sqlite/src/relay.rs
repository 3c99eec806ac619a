//! Outgoing rows as a relay to a broker sees them: leased, sent, removed.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Count, Fault, Leased, OutboxStore, Unit};
use jiff::Timestamp;
use rusqlite::{Connection, Result, params};
use uuid::Uuid;

use crate::column::{Micros, rows_max};
use crate::fault::fault;
use crate::message_rows::NO_QUEUE;
use crate::message_rows::{MESSAGE, Moved};
use crate::store::SqliteBus;
use crate::unit::Rows;

#[async_trait]
impl<R: Rows> OutboxStore for SqliteBus<R> {
    async fn lease(
        &self,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> std::result::Result<Vec<Leased>, Fault> {
        let unit = self.unit().await?;
        let leased = lease(unit.connection(), holder, now, until, max).map_err(fault("outbox.lease"))?;
        Box::new(unit).commit().await?;
        Ok(leased)
    }

    async fn remove(&self, holder: Uuid, positions: &[i64]) -> std::result::Result<usize, Fault> {
        let mut unit = self.unit().await?;
        let removed = remove(unit.connection(), holder, positions).map_err(fault("outbox.remove"))?;
        let gone = i64::try_from(removed).expect("a relay removes what it leased, which is bounded");
        unit.counts.add(Count::queued(Arc::from(NO_QUEUE)), -gone);
        Box::new(unit).commit().await?;
        Ok(removed)
    }
}

fn lease(
    connection: &Connection,
    holder: Uuid,
    now: Timestamp,
    until: Timestamp,
    max: usize,
) -> Result<Vec<Leased>> {
    let sql = format!(
        "select position, {MESSAGE} from outbox
         where queue = '' and (leased_until is null or leased_until <= ?) order by position limit ?"
    );
    let free = connection
        .prepare_cached(&sql)?
        .query_map(params![Micros(now), rows_max(max)], Moved::read)?
        .collect::<Result<Vec<_>>>()?;
    let mut update =
        connection.prepare_cached("update outbox set leased_by = ?, leased_until = ? where position = ?")?;
    for moved in &free {
        update.execute(params![holder, Micros(until), moved.position])?;
    }
    Ok(free.into_iter().map(|moved| Leased { position: moved.position, envelope: moved.envelope }).collect())
}

fn remove(connection: &Connection, holder: Uuid, positions: &[i64]) -> Result<usize> {
    let mut delete = connection.prepare_cached("delete from outbox where position = ? and leased_by = ?")?;
    positions.iter().map(|position| delete.execute(params![position, holder])).sum()
}
