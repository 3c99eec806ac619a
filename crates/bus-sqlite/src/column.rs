//! How a value stands in a column: times as microseconds, closed sets as their names. Reading refuses what cannot be. Ids are
//! bound as their bytes, where they lie: the uuid's own way of binding would copy each to the heap.

use std::error::Error;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Result, Row};

/// A moment as microseconds since the epoch.
pub struct Micros(pub Timestamp);

impl ToSql for Micros {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_microsecond()))
    }
}

impl FromSql for Micros {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Timestamp::from_microsecond(value.as_i64()?).map(Self).map_err(refused)
    }
}

/// A value of a closed set, by its name.
struct Name<T>(T);

impl<T> FromSql for Name<T>
where
    T: FromStr,
    T::Err: Into<Box<dyn Error + Send + Sync>>,
{
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(refused)
    }
}

/// The moment in a column.
///
/// # Errors
/// What is no moment.
pub fn time(row: &Row<'_>, index: usize) -> Result<Timestamp> {
    row.get::<_, Micros>(index).map(|micros| micros.0)
}

/// The moment in a column that may be empty.
///
/// # Errors
/// What is no moment.
pub fn time_or_none(row: &Row<'_>, index: usize) -> Result<Option<Timestamp>> {
    row.get::<_, Option<Micros>>(index).map(|found| found.map(|micros| micros.0))
}

/// The value of a closed set in a column.
///
/// # Errors
/// A name that is none of the set.
pub fn name<T>(row: &Row<'_>, index: usize) -> Result<T>
where
    T: FromStr,
    T::Err: Into<Box<dyn Error + Send + Sync>>,
{
    row.get::<_, Name<T>>(index).map(|name| name.0)
}

/// The value of a closed set in a column that may be empty.
///
/// # Errors
/// A name that is none of the set.
pub fn name_or_none<T>(row: &Row<'_>, index: usize) -> Result<Option<T>>
where
    T: FromStr,
    T::Err: Into<Box<dyn Error + Send + Sync>>,
{
    row.get::<_, Option<Name<T>>>(index).map(|name| name.map(|name| name.0))
}

/// A column whose value breaks a rule of its user.
#[must_use]
pub fn broken(index: usize, error: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Null, error.into())
}

fn refused(error: impl Into<Box<dyn Error + Send + Sync>>) -> FromSqlError {
    FromSqlError::Other(error.into())
}

/// A bound on rows, as SQLite takes it.
#[must_use]
pub fn rows_max(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}
