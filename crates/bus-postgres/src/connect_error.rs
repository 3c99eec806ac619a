//! Why a server cannot be used, told in one line that says what to do. Never shows a password.

use std::error::Error as StdError;

use thiserror::Error;
use tokio_postgres::Config;

use crate::fault::{Told, is_lock_refused, refuses_writes, spoken, takes_no_writes};
use crate::hosts;
use crate::patience::Silent;
use crate::server::NoConnection;

/// The oldest release that has everything asked for here.
pub(crate) const VERSION_MIN: i32 = 15;

/// Why a server cannot be used. Each says in one line what to do.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The address is not one.
    #[error("the database address is not right: {why}; write postgres://user:password@host:port/database")]
    Address {
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers.
    #[error("no PostgreSQL server answers at {place}: {why}; start it or correct the address")]
    Unreachable {
        /// Hosts and ports.
        place: String,
        /// What the system says.
        why: String,
    },
    /// The server does not let us in.
    #[error(
        "the PostgreSQL server at {place} refuses the login: {why}; correct user and password or its pg_hba.conf"
    )]
    Refused {
        /// Hosts and ports.
        place: String,
        /// What it says.
        why: String,
    },
    /// There is no such database.
    #[error("there is no database '{database}' at {place}; create it with: createdb {database}")]
    NoDatabase {
        /// Hosts and ports.
        place: String,
        /// Its name.
        database: String,
    },
    /// The user may log in and may not make tables, as is the rule since PostgreSQL 15.
    #[error(
        "user '{user}' may not make tables in database '{database}'; let an administrator run: alter database \"{database}\" owner to \"{user}\""
    )]
    NotAllowed {
        /// The user.
        user: String,
        /// The database.
        database: String,
    },
    /// The tables are there, and the user may not use them.
    #[error(
        "user '{user}' may not use the tables: {why}; let their owner run: grant select, insert, update, delete on all tables in schema public to \"{user}\" \
         and grant usage on all sequences in schema public to \"{user}\""
    )]
    NotGranted {
        /// The user.
        user: String,
        /// What the server says.
        why: String,
    },
    /// The server is a standby, or set to take no writes.
    #[error(
        "the PostgreSQL server at {place} takes no writes: it is a standby, or its default_transaction_read_only is on; name the one that does, or all \
         of them, as in postgres://one,another/database, or reset that setting"
    )]
    ReadOnly {
        /// Hosts and ports.
        place: String,
    },
    /// Fewer connections are allowed than one worker needs.
    #[error(
        "{whose} may have {allowed} connections at a time, and a worker needs {needed} (pool_max + readers_max + 1); raise that limit, or lower the two"
    )]
    TooFew {
        /// Whose limit it is.
        whose: String,
        /// The connections that it allows.
        allowed: i32,
        /// The connections of one worker.
        needed: i32,
    },
    /// A pooler lends a connection for less than the time for which its client is connected.
    #[error(
        "the pooler at {place} lends its connections for a transaction or a statement, and they are needed for as long as their client is there; \
         set pool_mode = session for this database, or name the PostgreSQL server itself"
    )]
    Pooled {
        /// Hosts and ports.
        place: String,
    },
    /// Somebody holds a table that is to be changed.
    #[error(
        "the tables of '{database}' cannot be brought up to date, because somebody holds them: {why}; end that transaction and start again"
    )]
    Held {
        /// The database.
        database: String,
        /// What the server says.
        why: String,
    },
    /// Texts are kept in another encoding than that in which we write them.
    #[error(
        "database '{database}' keeps its texts in {found}, and UTF8 is needed; make one with: createdb --encoding UTF8 --template template0 {database}"
    )]
    Encoding {
        /// The database.
        database: String,
        /// Its encoding.
        found: String,
    },
    /// There are no tables of ours.
    #[error("database '{database}' holds no tables of {owner}; {advice}")]
    NoTables {
        /// The database.
        database: String,
        /// Whose they would be.
        owner: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// There are tables, and they are not ours.
    #[error("database '{database}' is another program's ({mark}) and was left as it is; {advice}")]
    Foreign {
        /// The database.
        database: String,
        /// How that is known.
        mark: String,
        /// What to do.
        advice: &'static str,
    },
    /// The tables are from an earlier release.
    #[error("the database has tables of version {found}, this program works with version {known}; {advice}")]
    Older {
        /// Its version.
        found: u32,
        /// The version that this program works with.
        known: u32,
        /// What to do.
        advice: &'static str,
    },
    /// The server is from before what is used here.
    #[error("the server is PostgreSQL {found}, and {VERSION_MIN} or later is needed; upgrade it")]
    TooOld {
        /// Its version.
        found: String,
    },
    /// The tables are from a later release.
    #[error(
        "the database has tables of version {found}, this program knows versions up to {known}; use the newer program that wrote it"
    )]
    Newer {
        /// Its version.
        found: u32,
        /// The latest version known here.
        known: u32,
    },
    /// Anything else.
    #[error("the PostgreSQL database cannot be used: {why}")]
    Unusable {
        /// What the server says.
        why: String,
    },
}

impl ConnectError {
    /// None of the known mistakes.
    pub(crate) fn unusable(error: &(dyn StdError + 'static)) -> Self {
        Self::Unusable { why: spoken(error) }
    }
}

/// Which of the known mistakes is at the bottom of an error.
pub(crate) fn explain(config: &Config, error: &(dyn StdError + 'static)) -> ConnectError {
    let none = causes(error).find_map(|cause| cause.downcast_ref::<NoConnection>());
    if let Some(NoConnection::Nowhere { each, .. }) = none {
        return ConnectError::Unreachable { place: place(config), why: each.clone() };
    }
    if let Some(driver) = driver_error(error) {
        return explain_driver(config, driver);
    }
    match causes(error).find_map(|cause| cause.downcast_ref::<Silent>()) {
        Some(silent) => ConnectError::Unreachable { place: place(config), why: silent.to_string() },
        None => ConnectError::unusable(error),
    }
}

/// What the driver says, wherever it lies in an error.
pub(crate) fn driver_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a tokio_postgres::Error> {
    causes(error).find_map(|cause| {
        let told = cause.downcast_ref::<Told<tokio_postgres::Error>>().map(|told| &told.0);
        told.or_else(|| cause.downcast_ref())
    })
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn StdError + 'static)| (*cause).source())
}

fn explain_driver(config: &Config, error: &tokio_postgres::Error) -> ConnectError {
    let place = place(config);
    match error.as_db_error() {
        Some(said) if said.code().code() == "3D000" => {
            ConnectError::NoDatabase { place, database: database(config) }
        }
        Some(said) if said.code().code().starts_with("28") => {
            ConnectError::Refused { place, why: said.message().to_owned() }
        }
        Some(said) if said.code().code() == "42501" && is_about_rows(said.message()) => {
            let user = config.get_user().unwrap_or_default().to_owned();
            ConnectError::NotGranted { user, why: said.message().to_owned() }
        }
        Some(said) if said.code().code() == "42501" => {
            let user = config.get_user().unwrap_or_default().to_owned();
            ConnectError::NotAllowed { user, database: database(config) }
        }
        Some(_) if refuses_writes(error) => ConnectError::ReadOnly { place },
        Some(_) if is_lock_refused(error) => {
            ConnectError::Held { database: database(config), why: spoken(error) }
        }
        Some(_) => ConnectError::unusable(error),
        None if takes_no_writes(error) => ConnectError::ReadOnly { place },
        None => ConnectError::Unreachable { place, why: root(error) },
    }
}

/// Whether a right that is missing is one on rows, and not the one to make tables.
fn is_about_rows(message: &str) -> bool {
    ["table", "relation", "sequence", "view"].iter().any(|what| message.contains(what))
}

/// The cause of all causes, which says what happened and not what it spoiled.
fn root(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map_or_else(String::new, |cause| cause.to_string().replace('\n', " "))
}

pub(crate) fn database(config: &Config) -> String {
    config.get_dbname().or(config.get_user()).unwrap_or_default().to_owned()
}

pub(crate) fn place(config: &Config) -> String {
    let places: Vec<String> = (0..hosts::count(config)).map(|host| hosts::place(config, host)).collect();
    places.join(", ")
}
