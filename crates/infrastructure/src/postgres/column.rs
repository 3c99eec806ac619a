//! How a value of an order stands in a column, beside what the bus knows of columns.

pub(super) use bus_postgres::column::{Broken, count, name, name_or_none, rows_max, time, time_or_none};
use domain::{Currency, Money};
use tokio_postgres::Row;

/// The amount in a column of minor units and the next one, of the currency.
pub(super) fn money(row: &Row, index: usize) -> Result<Money, Broken> {
    Ok(Money::new(row.try_get(index)?, name::<Currency>(row, index + 1)?))
}
