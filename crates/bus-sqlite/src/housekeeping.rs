//! Sweeps out what is no longer asked for, a bounded step at a time, oldest first.

use std::time::Duration;

use bus::Fault;
use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

use crate::column::{Micros, rows_max};
use crate::fault::fault;
use crate::unit::{Rows, SqliteUnit};

impl<R: Rows> SqliteUnit<R> {
    /// Removes up to `max` ids of messages from outside that were seen longer ago than this; returns how many.
    ///
    /// # Errors
    /// Those of the store.
    pub fn sweep_inbox(&mut self, now: Timestamp, kept: Duration, max: usize) -> Result<usize, Fault> {
        let sql = "delete from inbox where position in
             (select position from inbox order by position limit ?1) and seen_at < ?2";
        let statement = self.connection().prepare_cached(sql);
        let removed =
            statement.and_then(|mut remove| remove.execute(params![rows_max(max), before(now, kept)]));
        removed.map_err(fault("housekeeping.step"))
    }
}

/// The moment so long before another.
#[must_use]
pub fn before(now: Timestamp, kept: Duration) -> Micros {
    let kept = SignedDuration::try_from(kept).unwrap_or(SignedDuration::MAX);
    Micros(now.saturating_sub(kept).unwrap_or(Timestamp::MIN))
}
