//! Sweeps out what is no longer asked for, a bounded step at a time, oldest first. Orders, ledgers and timelines stay.

use std::time::Duration;

use bus::{Fault, Unit};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Result, params};

use super::SqliteStore;
use super::column::{Micros, rows_max};
use super::fault::fault;

/// How long things are kept that only guard against repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Ids of messages from outside, and events of no order that a person has seen to.
    pub inbox: Duration,
    /// Answers given under a client's key.
    pub idempotency: Duration,
}

/// What one step removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Ids of messages from outside.
    pub inbox: usize,
    /// Accepted orders by a client's key.
    pub idempotency: usize,
    /// Other answers given under a client's key.
    pub kept_answers: usize,
}

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
        let unit = self.unit().await?;
        let swept = sweep(unit.connection(), now, retention, max).map_err(fault("housekeeping.step"))?;
        Box::new(unit).commit().await?;
        Ok(swept)
    }
}

fn sweep(connection: &Connection, now: Timestamp, retention: Retention, max: usize) -> Result<Swept> {
    let inbox = "delete from inbox where position in
         (select position from inbox order by position limit ?1) and seen_at < ?2";
    let idempotency = "delete from idempotency where position in
         (select position from idempotency order by position limit ?1) and created_at < ?2";
    let kept_answers = "delete from kept_answers where position in
         (select position from kept_answers order by position limit ?1) and created_at < ?2";
    let remove = |sql: &str, kept: Duration| -> Result<usize> {
        connection.prepare_cached(sql)?.execute(params![rows_max(max), Micros(before(now, kept))])
    };
    let unmatched = "delete from unmatched_events where position in
         (select position from unmatched_events where seen_at < ?2 order by position limit ?1)";
    remove(unmatched, retention.inbox)?;
    Ok(Swept {
        inbox: remove(inbox, retention.inbox)?,
        idempotency: remove(idempotency, retention.idempotency)?,
        kept_answers: remove(kept_answers, retention.idempotency)?,
    })
}

fn before(now: Timestamp, kept: Duration) -> Timestamp {
    let kept = SignedDuration::try_from(kept).unwrap_or(SignedDuration::MAX);
    now.saturating_sub(kept).unwrap_or(Timestamp::MIN)
}
