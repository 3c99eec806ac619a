//! Counts over everything. Cheap however much is stored: what grows without end is tallied as it changes, and what is many
//! only at times is counted as far as that is cheap. Tallying timers would cost every transaction a row more, for a number
//! that nobody needs to the last digit once it is large.

use application::ports::Overview;
use bus::Fault;
use tokio_postgres::Row;

use super::super::column::Broken;
use crate::overview::overview;
use bus_postgres::COUNTS;
use bus_postgres::Lent;
use bus_postgres::{query, views};

/// Tables that are not tallied, and in which order the fewest pages have to be read of each.
const COUNTED: [(&str, &str); 3] =
    [("dead_letters", "position"), ("timers", "due_at"), ("delayed_messages", "due_at")];

/// Rows of a table that are counted; of more the server's own estimate is told.
const COUNTED_MAX: usize = 10_000;

/// All counts, of one moment.
pub(super) async fn read(client: &Lent) -> Result<Overview, Fault> {
    let counted_here = COUNTED.map(|(table, order)| count(table, order)).join(" union all ");
    let sql = format!("{} union all {counted_here}", COUNTS);
    let rows = query(client, "overview.read", &sql, &[]).await?;
    Ok(overview(views(&rows, "overview.read", counted)?))
}

/// The server knows nothing of rows since it crashed, so no estimate is below what was counted.
fn count(table: &str, order: &str) -> String {
    format!(
        "select 'rows', '{table}', case when found < {COUNTED_MAX} then found
             else greatest(found, pg_stat_get_live_tuples('{table}'::regclass)) end
         from (select count(*) as found from (select from {table} order by {order} limit {COUNTED_MAX}) rows) counted"
    )
}

fn counted(row: &Row) -> Result<(String, String, i64), Broken> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}
