//! Questions outside units of work.

use bus::Fault;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::column::Broken;
use crate::fault::{Taken, broken};
use crate::lent::Lent;

/// A value for a statement.
pub type Value<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// Runs a query, prepared once for each connection.
///
/// # Errors
/// Those of the store, under the name of this operation.
pub async fn query(
    client: &Lent,
    operation: &'static str,
    sql: &str,
    values: &[Value<'_>],
) -> Result<Vec<Row>, Fault> {
    let statement = client.answer(operation, Taken::GiveUp, client.prepare_cached(sql)).await?;
    let values: Vec<_> = values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
    client.answer(operation, Taken::GiveUp, client.query(&statement, &values)).await
}

/// Reads every row.
///
/// # Errors
/// [`bus::Verdict::GiveUp`] for a row that is not what it says.
pub fn views<T>(
    rows: &[Row],
    operation: &'static str,
    view: impl FnMut(&Row) -> Result<T, Broken>,
) -> Result<Vec<T>, Fault> {
    rows.iter().map(view).collect::<Result<_, _>>().map_err(broken(operation))
}
