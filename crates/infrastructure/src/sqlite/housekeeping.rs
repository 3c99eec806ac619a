//! Sweeps out what is no longer asked for, a bounded step at a time, oldest first. Orders, ledgers and timelines stay.

use std::time::Duration;

use bus::{Fault, Unit};
use bus_sqlite::{before, fault};
use jiff::Timestamp;
use rusqlite::{Connection, Result, params};

use super::column::rows_max;
use super::{SqliteStore, order_events, webhook_endpoints};
use crate::{Retention, Swept};

impl SqliteStore {
    /// Removes up to `max` rows of each kind that are past their time. A step that removes `max` of any is worth another.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn housekeeping_step(
        &self,
        now: Timestamp,
        retention: Retention,
        max: usize,
    ) -> std::result::Result<Swept, Fault> {
        let mut unit = self.unit().await?;
        let inbox = unit.sweep_inbox(now, retention.inbox, max)?;
        let swept = sweep(unit.connection(), now, retention, max).map_err(fault("housekeeping.step"))?;
        Box::new(unit).commit().await?;
        Ok(Swept { inbox, ..swept })
    }
}

fn sweep(connection: &Connection, now: Timestamp, retention: Retention, max: usize) -> Result<Swept> {
    let idempotency = "delete from idempotency where position in
         (select position from idempotency order by position limit ?1) and created_at < ?2";
    let kept_answers = "delete from kept_answers where position in
         (select position from kept_answers order by position limit ?1) and created_at < ?2";
    let remove = |sql: &str, kept: Duration| -> Result<usize> {
        connection.prepare_cached(sql)?.execute(params![rows_max(max), before(now, kept)])
    };
    let unmatched = "delete from unmatched_events where position in
         (select position from unmatched_events where seen_at < ?2 order by position limit ?1)";
    remove(unmatched, retention.inbox)?;
    webhook_endpoints::sweep(connection, &before(now, retention.events), max)?;
    Ok(Swept {
        inbox: 0,
        idempotency: remove(idempotency, retention.idempotency)?,
        kept_answers: remove(kept_answers, retention.idempotency)?,
        events: order_events::sweep(connection, &before(now, retention.events), max)?,
    })
}
