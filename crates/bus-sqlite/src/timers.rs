//! Timers that are running. A saga has at most one of a name.

use std::sync::Arc;

use bus::{CorrelationId, Retired, Timer, TimerKey};
use jiff::Timestamp;
use rusqlite::{Connection, Result, Row, params};

use crate::column::{Micros, rows_max, time};

/// Sets timers, replacing those of the same key.
pub(crate) fn set(connection: &Connection, timers: &[Timer]) -> Result<()> {
    let mut insert =
        connection.prepare_cached("insert or replace into timers values (?, ?, ?, ?, ?, ?, ?)")?;
    for timer in timers {
        insert.execute(params![
            timer.key.saga.0.as_bytes(),
            &*timer.key.name,
            timer.generation,
            Micros(timer.due_at),
            &*timer.kind,
            timer.traceparent.as_deref(),
            timer.fired,
        ])?;
    }
    Ok(())
}

/// Cancels timers.
pub(crate) fn cancel<'a>(
    connection: &Connection,
    keys: impl IntoIterator<Item = &'a TimerKey>,
) -> Result<()> {
    let mut delete = connection.prepare_cached("delete from timers where correlation_id = ? and name = ?")?;
    for key in keys {
        delete.execute(params![key.saga.0.as_bytes(), &*key.name])?;
    }
    Ok(())
}

/// Removes timers of which this generation was handled; returns those that were there.
pub(crate) fn retire(connection: &Connection, retired: Vec<Retired>) -> Result<Vec<Retired>> {
    let sql = "delete from timers where correlation_id = ? and name = ? and generation = ?";
    let mut delete = connection.prepare_cached(sql)?;
    let mut there = Vec::with_capacity(retired.len());
    for timer in retired {
        let Retired { key, generation } = &timer;
        if delete.execute(params![key.saga.0.as_bytes(), &*key.name, generation])? == 1 {
            there.push(timer);
        }
    }
    Ok(there)
}

/// The timers that are due, earliest first. Each is due again later.
pub(crate) fn lease_due(connection: &Connection, now: Timestamp, max: usize) -> Result<Vec<Timer>> {
    let due: Vec<Timer> = connection
        .prepare_cached(
            "select correlation_id, name, generation, due_at, kind, traceparent, fired from timers
             where due_at <= ? order by due_at, correlation_id, name limit ?",
        )?
        .query_map(params![Micros(now), rows_max(max)], timer)?
        .collect::<Result<_>>()?;
    set(connection, &due.iter().map(|timer| timer.once_more(now)).collect::<Vec<_>>())?;
    Ok(due)
}

fn timer(row: &Row<'_>) -> Result<Timer> {
    Ok(Timer {
        key: TimerKey { saga: CorrelationId(row.get(0)?), name: row.get::<_, Arc<str>>(1)? },
        generation: row.get(2)?,
        due_at: time(row, 3)?,
        kind: row.get(4)?,
        traceparent: row.get(5)?,
        fired: row.get(6)?,
    })
}
