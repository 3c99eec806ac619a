//! How a value of an order stands in a column, beside what the bus knows of columns.

pub(super) use bus_sqlite::column::{Micros, broken, name, name_or_none, rows_max, time, time_or_none};
use domain::{Currency, Money};
use rusqlite::{Result, Row};

/// The amount in a column of minor units and the next one, of the currency.
pub(super) fn money(row: &Row<'_>, index: usize) -> Result<Money> {
    Ok(Money::new(row.get(index)?, name::<Currency>(row, index + 1)?))
}
