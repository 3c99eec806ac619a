//! Sweeps out what is no longer asked for, a bounded step at a time, oldest first.
//!
//! A step goes on where the last one of any process has ended, and looks before it touches a row: as long as nothing is past its
//! time nothing is locked but the note of how far the last one came.

use std::time::Duration;

use bus::Fault;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::types::ToSql;

use crate::column::rows_max;
use crate::fault::{Taken, away, fault};
use crate::store::PostgresBus;
use crate::unit::Rows;

const OPERATION: &str = "housekeeping.step";

impl<R: Rows> PostgresBus<R> {
    /// Removes up to `max` ids of messages from outside that were seen longer ago than this; returns how many.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep_inbox(&self, now: Timestamp, kept: Duration, max: usize) -> Result<usize, Fault> {
        self.sweep_table("inbox", "seen_at", before(now, kept), max).await
    }

    /// Removes up to `max` rows of a table that have a `position` and were made, as this column says, before this moment; returns
    /// how many. The table has a row of its own in `sweeps`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep_table(
        &self,
        table: &'static str,
        made_at: &'static str,
        before: Timestamp,
        max: usize,
    ) -> Result<usize, Fault> {
        self.sweep(&sweep(table, made_at), before, max).await
    }

    /// Runs a statement that removes up to `$1` rows of before `$2`, in microseconds, and answers with how many.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self, sql: &str, before: Timestamp, max: usize) -> Result<usize, Fault> {
        let connection = self.shared.units.get().await.map_err(away(OPERATION))?;
        let statement = connection.answer(OPERATION, Taken::GiveUp, connection.prepare_cached(sql)).await?;
        let params: [&(dyn ToSql + Sync); 2] = [&rows_max(max), &before.as_microsecond()];
        let counting = connection.query_one(&statement, &params);
        let counted = connection.answer(OPERATION, Taken::GiveUp, counting).await?;
        let swept: i64 = counted.try_get(0).map_err(fault(OPERATION, Taken::GiveUp))?;
        Ok(usize::try_from(swept).unwrap_or(0))
    }
}

/// A step through a table whose rows have a position and were made at a certain time. Times do not grow quite as positions do,
/// so what is noted is never behind a row that stays.
fn sweep(table: &str, made_at: &str) -> String {
    format!(
        "with turn as materialized (select position from sweeps where swept = '{table}' for update skip locked),
         oldest as materialized (
             select place.position, place.made_at < $2 as is_due from turn, lateral (
                 select position, {made_at} as made_at from {table} where position > turn.position
                 order by position limit $1
             ) as place
         ),
         gone as (
             delete from {table} using oldest where {table}.position = oldest.position and is_due returning 1
         ),
         reached as (
             select coalesce(min(position) filter (where not is_due) - 1, max(position)) as position from oldest
         ),
         noted as (
             update sweeps set position = reached.position from reached
             where swept = '{table}' and sweeps.position < reached.position
         )
         select count(*) from gone"
    )
}

/// The moment so long before another.
#[must_use]
pub fn before(now: Timestamp, kept: Duration) -> Timestamp {
    let kept = SignedDuration::try_from(kept).unwrap_or(SignedDuration::MAX);
    now.saturating_sub(kept).unwrap_or(Timestamp::MIN)
}
