//! The versions of the tables: which one a database has, and the steps from there to the latest.

use std::cmp::Ordering;
use std::path::Path;

use refinery::Runner;
use rusqlite::{Connection, OptionalExtension, Result};

use super::open::{OpenError, explain};

mod embedded {
    refinery::embed_migrations!("src/sqlite/migrations");
}

/// Brings the tables up to date and returns their version. A database of a later release is left alone.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> std::result::Result<u32, OpenError> {
    let known = latest();
    let found = version(connection).map_err(|error| explain(path, error))?;
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    if found < known {
        runner()
            .run(connection)
            .map_err(|error| OpenError::Unusable { path: path.to_owned(), source: error.into() })?;
    }
    Ok(known)
}

/// Whether the tables are of this program's version; nothing is written to find that out.
pub(super) fn expect(connection: &Connection, path: &Path) -> std::result::Result<u32, OpenError> {
    let known = latest();
    let found = version(connection).map_err(|error| explain(path, error))?;
    match found.cmp(&known) {
        Ordering::Equal => Ok(known),
        Ordering::Less => Err(OpenError::Older { path: path.to_owned(), found, known }),
        Ordering::Greater => Err(OpenError::Newer { path: path.to_owned(), found, known }),
    }
}

/// Name and checksum of the step that made the first tables, as it is noted beside them.
pub(super) fn first_step() -> (String, String) {
    let runner = runner();
    let first = runner.get_migrations().iter().min_by_key(|migration| migration.version());
    first.map(|step| (step.name().to_owned(), step.checksum().to_string())).unwrap_or_default()
}

/// The version that the tables have; 0 if there are none.
pub(super) fn version(connection: &Connection) -> Result<u32> {
    let exists: Option<i64> = connection
        .query_row("select 1 from sqlite_schema where name = 'refinery_schema_history'", [], |row| row.get(0))
        .optional()?;
    match exists {
        None => Ok(0),
        Some(_) => {
            connection.query_row("select coalesce(max(version), 0) from refinery_schema_history", [], |row| {
                row.get(0)
            })
        }
    }
}

/// The latest version known here.
fn latest() -> u32 {
    let versions = runner()
        .get_migrations()
        .iter()
        .map(|migration| u32::try_from(migration.version()).unwrap_or(0))
        .max();
    versions.unwrap_or(0)
}

/// All steps in one transaction: half a migration is none.
fn runner() -> Runner {
    embedded::migrations::runner().set_grouped(true)
}
