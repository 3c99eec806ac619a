//! Sweeps out what is no longer asked for, a bounded step at a time, oldest first. Orders, ledgers and timelines stay.

use std::time::Duration;

use bus::Fault;
use jiff::{SignedDuration, Timestamp};

use super::column::rows_max;
use super::fault::{Taken, away, fault};
use super::{PostgresStore, Retention, Swept};

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
        let inbox = "delete from inbox where position in
             (select position from inbox order by position limit $1 for update skip locked) and seen_at < $2";
        let idempotency = "delete from idempotency where position in
             (select position from idempotency order by position limit $1 for update skip locked)
             and created_at < $2";
        Ok(Swept {
            inbox: self.sweep(inbox, before(now, retention.inbox), max).await?,
            idempotency: self.sweep(idempotency, before(now, retention.idempotency), max).await?,
        })
    }

    async fn sweep(&self, sql: &str, before: Timestamp, max: usize) -> Result<usize, Fault> {
        let connection = self.shared.units.get().await.map_err(away("housekeeping.step"))?;
        let failed = || fault("housekeeping.step", Taken::GiveUp);
        let statement = connection.prepare_cached(sql).await.map_err(failed())?;
        let swept = connection.execute(&statement, &[&rows_max(max), &before.as_microsecond()]).await;
        swept.map(|rows| usize::try_from(rows).unwrap_or(usize::MAX)).map_err(failed())
    }
}

fn before(now: Timestamp, kept: Duration) -> Timestamp {
    let kept = SignedDuration::try_from(kept).unwrap_or(SignedDuration::MAX);
    now.saturating_sub(kept).unwrap_or(Timestamp::MIN)
}
