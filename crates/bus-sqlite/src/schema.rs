//! The versions of the tables: which one a database has, and the steps from there to the latest. The tables of the bus and
//! those of its user have each a history of their own, and the user's may lean on the bus's.

use std::cmp::Ordering;
use std::path::Path;

use refinery::Runner;
use rusqlite::{Connection, OptionalExtension, Result};

use crate::options::{DatabaseOwner, OpenError, explain};

mod embedded {
    refinery::embed_migrations!("src/migrations");
}

/// Where the steps of the bus are noted.
const BUS_HISTORY: &str = "bus_schema_history";

/// Where the steps of its user are noted.
const OWN_HISTORY: &str = "schema_history";

/// Every table of notes.
pub(crate) const HISTORIES: [&str; 2] = [BUS_HISTORY, OWN_HISTORY];

/// The steps to one set of tables.
struct Steps {
    history: &'static str,
    runner: Runner,
}

impl Steps {
    /// All of them in one transaction: half a migration is none.
    fn new(history: &'static str, mut runner: Runner) -> Self {
        runner.set_migration_table_name(history);
        Self { history, runner: runner.set_grouped(true) }
    }

    /// Those of the bus and then, if there are any, those of its user.
    fn all(own: Option<Runner>) -> Vec<Self> {
        let bus = Self::new(BUS_HISTORY, embedded::migrations::runner());
        let own = own.map(|runner| Self::new(OWN_HISTORY, runner));
        [Some(bus), own].into_iter().flatten().collect()
    }

    /// The latest version known here.
    fn latest(&self) -> u32 {
        let versions =
            self.runner.get_migrations().iter().map(|step| u32::try_from(step.version()).unwrap_or(0));
        versions.max().unwrap_or(0)
    }

    /// The version that the tables have; 0 if there are none.
    fn found(&self, connection: &Connection) -> Result<u32> {
        let exists = "select 1 from sqlite_schema where name = ?";
        let exists: Option<i64> =
            connection.query_row(exists, [self.history], |row| row.get(0)).optional()?;
        let version = format!("select coalesce(max(version), 0) from {}", self.history);
        exists.map_or(Ok(0), |_| connection.query_row(&version, [], |row| row.get(0)))
    }
}

/// Brings the tables up to date and returns the version of the user's, or of the bus's if there are no others. A database of a
/// later release is left alone.
pub(crate) fn migrate(
    connection: &mut Connection,
    path: &Path,
    own: Option<Runner>,
) -> std::result::Result<u32, OpenError> {
    let all = Steps::all(own);
    let mut behind = Vec::new();
    for steps in &all {
        let (known, found) = (steps.latest(), steps.found(connection).map_err(|error| explain(path, error))?);
        if found > known {
            return Err(OpenError::Newer { path: path.to_owned(), found, known });
        }
        if found < known {
            behind.push(steps);
        }
    }
    for steps in behind {
        steps
            .runner
            .run(connection)
            .map_err(|error| OpenError::Unusable { path: path.to_owned(), source: error.into() })?;
    }
    Ok(all.last().map_or(0, Steps::latest))
}

/// Whether the tables are of this program's version; nothing is written to find that out.
pub(crate) fn expect(
    connection: &Connection,
    path: &Path,
    owner: DatabaseOwner,
    own: Option<Runner>,
) -> std::result::Result<(), OpenError> {
    let advice = owner.if_older;
    for steps in Steps::all(own) {
        let known = steps.latest();
        let found = steps.found(connection).map_err(|error| explain(path, error))?;
        match found.cmp(&known) {
            Ordering::Equal => {}
            Ordering::Less => return Err(OpenError::Older { path: path.to_owned(), found, known, advice }),
            Ordering::Greater => return Err(OpenError::Newer { path: path.to_owned(), found, known }),
        }
    }
    Ok(())
}

/// Name and checksum of the step that made the bus's tables, as it is noted beside them.
pub(crate) fn first_step() -> (String, String) {
    let steps = Steps::new(BUS_HISTORY, embedded::migrations::runner());
    let first = steps.runner.get_migrations().iter().min_by_key(|migration| migration.version());
    first.map(|step| (step.name().to_owned(), step.checksum().to_string())).unwrap_or_default()
}

/// The version that the user's tables have, or the bus's if there are no others; 0 if there are none.
pub(crate) fn version(connection: &Connection, own: Option<Runner>) -> Result<u32> {
    Steps::all(own).last().map_or(Ok(0), |steps| steps.found(connection))
}
