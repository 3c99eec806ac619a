//! Timers that are running. A saga has at most one of a name.

use std::sync::Arc;
use std::time::Duration;

use bus::limits::{TIMER_AGAIN_MAX, TIMER_AGAIN_MIN};
use bus::{CorrelationId, Fault, Retired, Timer, TimerKey};
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::array::Array;
use crate::column::{Broken, count, rows_max, time};
use crate::fault::broken;
use crate::pipeline::{Act, Param};

const RETIRE: &str = "timers.retire";

/// Sets timers, replacing those of the same key. In order of keys, no two of one key.
pub(crate) fn set(timers: &[Timer]) -> Act {
    let sql = "insert into timers (correlation_id, name, generation, due_at, kind, traceparent)
         select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[])
         on conflict (correlation_id, name) do update set generation = excluded.generation,
             due_at = excluded.due_at, kind = excluded.kind, traceparent = excluded.traceparent, fired = 0";
    Act::new(
        "timers.set",
        sql,
        vec![
            Box::new(Array::uuids(timers.iter().map(|timer| timer.key.saga.0))),
            Box::new(Array::texts(timers.iter().map(|timer| &*timer.key.name))),
            Box::new(Array::numbers(timers.iter().map(|timer| i64::from(timer.generation)))),
            Box::new(Array::times(timers.iter().map(|timer| timer.due_at))),
            Box::new(Array::texts(timers.iter().map(|timer| &*timer.kind))),
            Box::new(Array::texts_or_null(timers.iter().map(|timer| timer.traceparent.as_deref()))),
        ],
    )
}

/// Cancels timers.
pub(crate) fn cancel(keys: &[TimerKey]) -> Act {
    let sql = "delete from timers using unnest($1::uuid[], $2::text[]) as gone (id, title)
         where correlation_id = gone.id and name = gone.title";
    Act::new(
        "timers.cancel",
        sql,
        vec![
            Box::new(Array::uuids(keys.iter().map(|key| key.saga.0))),
            Box::new(Array::texts(keys.iter().map(|key| &*key.name))),
        ],
    )
}

/// Removes timers of which this generation was handled. [`retired`] reads those that were there.
pub(crate) fn retire(retired: &[Retired]) -> Act {
    let sql = "delete from timers using unnest($1::uuid[], $2::text[], $3::bigint[]) as gone (id, title, age)
         where correlation_id = gone.id and name = gone.title and generation = gone.age
         returning correlation_id, name, generation";
    Act::new(
        RETIRE,
        sql,
        vec![
            Box::new(Array::uuids(retired.iter().map(|timer| timer.key.saga.0))),
            Box::new(Array::texts(retired.iter().map(|timer| &*timer.key.name))),
            Box::new(Array::numbers(retired.iter().map(|timer| i64::from(timer.generation)))),
        ],
    )
}

/// Reads what [`retire`] returns.
pub(crate) fn retired(rows: &[Row]) -> Result<Vec<Retired>, Fault> {
    let read = |row| Ok(Retired { key: key(row)?, generation: count(row, 2)? });
    rows.iter().map(read).collect::<Result<_, Broken>>().map_err(broken(RETIRE))
}

fn key(row: &Row) -> Result<TimerKey, Broken> {
    Ok(TimerKey { saga: CorrelationId(row.try_get(0)?), name: Arc::from(row.try_get::<_, &str>(1)?) })
}

/// The timers that are due; those that another transaction leases at this moment are passed over. Each is due again later, as
/// [`Timer::once_more`] has it.
pub(crate) fn lease_due(now: Timestamp, max: usize) -> Act {
    let sql = "with due as (
             select correlation_id as id, name as title, due_at as was_due from timers where due_at <= $1
             order by due_at, correlation_id, name limit $2 for update skip locked
         )
         update timers set fired = fired + 1, due_at = $1 + least($3::bigint << least(fired, 20)::int, $4::bigint)
         from due where correlation_id = due.id and name = due.title
         returning correlation_id, name, generation, due.was_due, kind, traceparent, fired - 1";
    let values: Vec<Param> = vec![
        Box::new(now.as_microsecond()),
        Box::new(rows_max(max)),
        Box::new(micros(TIMER_AGAIN_MIN)),
        Box::new(micros(TIMER_AGAIN_MAX)),
    ];
    Act::new("timers.lease_due", sql, values)
}

fn micros(pause: Duration) -> i64 {
    i64::try_from(pause.as_micros()).unwrap_or(i64::MAX)
}

/// Reads what [`lease_due`] returns, earliest first.
pub(crate) fn read_all(rows: &[Row]) -> Result<Vec<Timer>, Fault> {
    let timers = rows.iter().map(timer).collect::<Result<Vec<_>, _>>();
    let mut timers = timers.map_err(broken("timers.lease_due"))?;
    timers.sort_by(|one, other| (one.due_at, &one.key).cmp(&(other.due_at, &other.key)));
    Ok(timers)
}

fn timer(row: &Row) -> Result<Timer, Broken> {
    Ok(Timer {
        key: key(row)?,
        generation: count(row, 2)?,
        due_at: time(row, 3)?,
        kind: Arc::from(row.try_get::<_, &str>(4)?),
        traceparent: row.try_get::<_, Option<&str>>(5)?.map(Arc::from),
        fired: count(row, 6)?,
    })
}
