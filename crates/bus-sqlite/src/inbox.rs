//! Messages from outside that were seen before.

use bus::Admission;
use jiff::Timestamp;
use rusqlite::{Connection, Result, params};

use crate::column::Micros;

/// Notes ids and tells which are new.
pub(crate) fn admit(
    connection: &Connection,
    first: i64,
    source: &str,
    ids: &[String],
    now: Timestamp,
) -> Result<Vec<Admission>> {
    let mut insert = connection.prepare_cached("insert or ignore into inbox values (?, ?, ?, ?)")?;
    (first..)
        .zip(ids)
        .map(|(position, id)| {
            let added = insert.execute(params![position, source, id, Micros(now)])?;
            Ok(if added == 1 { Admission::New } else { Admission::Repeat })
        })
        .collect()
}
