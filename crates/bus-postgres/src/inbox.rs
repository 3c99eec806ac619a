//! Messages from outside that were seen before.

use std::collections::HashSet;

use bus::{Admission, Fault};
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::array::Array;
use crate::fault::{Taken, fault};
use crate::pipeline::Act;

/// Notes ids; answers with those that are new. In order of ids, so that two that note the same wait for each other only once.
pub(crate) fn admit(source: &str, ids: &[String], now: Timestamp) -> Act {
    let sql = "insert into inbox (source, id, seen_at)
         select $1, id, $3 from unnest($2::text[]) as ids (id) order by id
         on conflict (source, id) do nothing returning id";
    Act::new(
        "inbox.admit",
        sql,
        vec![
            Box::new(source.to_owned()),
            Box::new(Array::texts(ids.iter().map(String::as_str))),
            Box::new(now.as_microsecond()),
        ],
    )
}

/// Tells for each id whether it was among the new ones; of twins the first is.
pub(crate) fn admissions(ids: &[String], rows: &[Row]) -> Result<Vec<Admission>, Fault> {
    let fresh = rows.iter().map(|row| row.try_get(0)).collect::<Result<HashSet<&str>, _>>();
    let mut fresh = fresh.map_err(fault("inbox.admit", Taken::GiveUp))?;
    let admission = |id: &String| {
        if fresh.remove(id.as_str()) { Admission::New } else { Admission::Repeat }
    };
    Ok(ids.iter().map(admission).collect())
}
