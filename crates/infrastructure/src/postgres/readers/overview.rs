//! Counts over everything. Cheap however much is stored: what grows without end is tallied as it changes.

use application::ports::Overview;
use bus::Fault;
use deadpool_postgres::Object;
use tokio_postgres::Row;

use super::super::column::Broken;
use super::super::tally;
use super::{query, views};
use crate::overview::{COUNTED_ON_THE_SPOT, overview};

/// All counts, of one moment.
pub(super) async fn read(client: &Object) -> Result<Overview, Fault> {
    let sql = format!("{} union all {COUNTED_ON_THE_SPOT}", tally::READ);
    let rows = query(client, "overview.read", &sql, &[]).await?;
    Ok(overview(views(&rows, "overview.read", counted)?))
}

fn counted(row: &Row) -> Result<(String, String, i64), Broken> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}
