//! How a value stands in a column: times as microseconds, closed sets as their names. Reading refuses what cannot be.

use std::error::Error;
use std::str::FromStr;

use jiff::Timestamp;
use tokio_postgres::Row;

/// Why a row cannot be what it says.
pub type Broken = Box<dyn Error + Send + Sync>;

/// The moment in a column.
///
/// # Errors
/// What cannot be that.
pub fn time(row: &Row, index: usize) -> Result<Timestamp, Broken> {
    Ok(Timestamp::from_microsecond(row.try_get(index)?)?)
}

/// The moment in a column that may be empty.
///
/// # Errors
/// What cannot be that.
pub fn time_or_none(row: &Row, index: usize) -> Result<Option<Timestamp>, Broken> {
    Ok(row.try_get::<_, Option<i64>>(index)?.map(Timestamp::from_microsecond).transpose()?)
}

/// The value of a closed set in a column.
///
/// # Errors
/// What cannot be that.
pub fn name<T>(row: &Row, index: usize) -> Result<T, Broken>
where
    T: FromStr,
    T::Err: Into<Broken>,
{
    row.try_get::<_, &str>(index)?.parse().map_err(Into::into)
}

/// The value of a closed set in a column that may be empty.
///
/// # Errors
/// What cannot be that.
pub fn name_or_none<T>(row: &Row, index: usize) -> Result<Option<T>, Broken>
where
    T: FromStr,
    T::Err: Into<Broken>,
{
    row.try_get::<_, Option<&str>>(index)?.map(|name| name.parse().map_err(Into::into)).transpose()
}

/// The count in a column; one below zero is refused.
///
/// # Errors
/// What cannot be that.
pub fn count<T>(row: &Row, index: usize) -> Result<T, Broken>
where
    T: TryFrom<i64>,
    T::Error: Into<Broken>,
{
    T::try_from(row.try_get(index)?).map_err(Into::into)
}

/// A bound on rows, as PostgreSQL takes it.
#[must_use]
pub fn rows_max(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}
