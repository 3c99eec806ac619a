//! Sweeps out what is no longer asked for, a bounded step at a time, oldest first. Orders, ledgers and timelines stay.
//!
//! A step goes on where the last one of any process has ended, and looks before it touches a row: as long as nothing is past its
//! time nothing is locked but the note of how far the last one came.

use std::time::Duration;

use bus::Fault;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use super::column::rows_max;
use super::fault::{Taken, away, fault};
use crate::{Retention, Swept};

const OPERATION: &str = "housekeeping.step";

/// Events of no order that a person has seen to; those that nobody has seen to stay.
const SEEN_TO: &str = "with gone as (
         delete from unmatched_events where position in (
             select position from unmatched_events where seen_at < $2 order by position limit $1
         ) returning 1
     )
     select count(*) from gone";

impl PostgresStore {
    /// Removes up to `max` rows of each kind that are past their time. A step that removes `max` of any is worth another.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn housekeeping_step(
        &self,
        now: Timestamp,
        retention: Retention,
        max: usize,
    ) -> Result<Swept, Fault> {
        self.sweep(SEEN_TO, before(now, retention.inbox), max).await?;
        let (inbox, idempotency) = (sweep("inbox", "seen_at"), sweep("idempotency", "created_at"));
        let kept_answers = sweep("kept_answers", "created_at");
        Ok(Swept {
            inbox: self.sweep(&inbox, before(now, retention.inbox), max).await?,
            idempotency: self.sweep(&idempotency, before(now, retention.idempotency), max).await?,
            kept_answers: self.sweep(&kept_answers, before(now, retention.idempotency), max).await?,
        })
    }

    async fn sweep(&self, sql: &str, before: Timestamp, max: usize) -> Result<usize, Fault> {
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

fn before(now: Timestamp, kept: Duration) -> Timestamp {
    let kept = SignedDuration::try_from(kept).unwrap_or(SignedDuration::MAX);
    now.saturating_sub(kept).unwrap_or(Timestamp::MIN)
}
