//! Counts over everything. Cheap however much is stored: what grows without end is tallied as it changes.

use application::ports::Overview;
use rusqlite::{Connection, Result, Row};

use crate::overview::overview;

/// What is not tallied. A million timers are 25 milliseconds of reading in the smallest index of the one process that has the
/// file, and whoever writes does not wait for it.
const COUNTED_ON_THE_SPOT: &str = "select 'rows', 'dead_letters', count(*) from dead_letters
     union all select 'rows', 'timers', count(*) from timers
     union all select 'rows', 'delayed_messages', count(*) from delayed_messages";

/// All counts, of one moment.
pub(super) fn read(connection: &Connection) -> Result<Overview> {
    let sql = format!("select subject, name, amount from tallies union all {COUNTED_ON_THE_SPOT}");
    let counted = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let counts = connection.prepare_cached(&sql)?.query_map([], counted)?.collect::<Result<Vec<_>>>()?;
    Ok(overview(counts))
}
