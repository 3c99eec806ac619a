//! How a store is opened, and what can be wrong with its file.

use std::path::{Path, PathBuf};

use bus::{Routing, Tables, Topology};
use rusqlite::ErrorCode;
use thiserror::Error;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// Which queues want which messages.
    pub topology: Topology,
    /// Who carries messages from here.
    pub routing: Routing,
    /// Whether no other server may have the same file.
    pub exclusive: Exclusive,
    /// Whether file and tables are made where there are none.
    pub tables: Tables,
    /// Page cache of the writer, in KiB.
    pub cache_kib: u32,
    /// Bytes of a page of a new file: a power of two from 512 to 65,536. A file that is there keeps its own.
    pub page_bytes: u32,
    /// Pages in the write-ahead log before they are moved to the file. A page that changed often in between is moved once.
    pub checkpoint_pages: u32,
    /// Messages of one queue kept in memory ahead of their turn; the rest waits in the file.
    pub queue_memory_max: usize,
    /// Whose database it is.
    pub owner: DatabaseOwner,
}

/// The program whose database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseOwner {
    /// Its mark in the file's header (`pragma application_id`), which keeps it out of the files of others and others out of its
    /// own. Never 0.
    pub application_id: u32,
    /// What somebody does who names a database that is not there.
    pub if_missing: &'static str,
    /// What somebody does whose database is of an earlier release.
    pub if_older: &'static str,
}

impl Default for DatabaseOwner {
    /// Nobody in particular: the bus alone.
    fn default() -> Self {
        Self {
            application_id: 0x4275_7331,
            if_missing: "name one that is there, or let the program make it",
            if_older: "let the program bring them up to date",
        }
    }
}

impl SqliteOptions {
    /// Shared, with a cache of 64 MiB.
    #[must_use]
    pub fn new(topology: Topology, routing: Routing) -> Self {
        Self {
            topology,
            routing,
            exclusive: Exclusive::No,
            tables: Tables::Migrated,
            cache_kib: 64 * 1024,
            page_bytes: 8_192,
            checkpoint_pages: 2_000,
            queue_memory_max: bus::limits::QUEUE_MEMORY_MAX,
            owner: DatabaseOwner::default(),
        }
    }
}

/// Whether a process wants to be the only server on its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exclusive {
    /// A command that does its work beside the server, if there is one.
    #[default]
    No,
    /// A server: it keeps messages in memory and must be the only one to do so.
    Yes,
}

/// Why a store could not be opened. Each says in one line what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file cannot be made or written where it is wanted.
    #[error(
        "cannot write in {folder}: {source}; make the folder writable or choose another place for the database"
    )]
    FolderNotWritable {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is nothing.
    #[error("there is no database at {path}; {advice}")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What to do.
        advice: &'static str,
    },
    /// The file is a database, and not ours.
    #[error("{path} is a database of another program ({mark}) and was left as it is; choose another file")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How that is known.
        mark: String,
    },
    /// The tables are from an earlier release.
    #[error("{path} has tables of version {found}, this program works with version {known}; {advice}")]
    Older {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this program works with.
        known: u32,
        /// What to do.
        advice: &'static str,
    },
    /// A server works on the file by another of its names.
    #[error(
        "a server works on {path} by another of its names (hard links), beside which lies what was written last; use that name"
    )]
    AnotherName {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path} is not a database of this program; move it away or choose another file")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The tables are from a later release.
    #[error(
        "{path} has tables of version {found}, this program knows versions up to {known}; use the newer program that wrote it"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The latest version known here.
        known: u32,
    },
    /// Another server has it.
    #[error("{path} is in use by another server; stop that one first or choose another file")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot open {path}: {source}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The file of the same name with a suffix.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Which of the known mistakes an error is.
pub(crate) fn explain(path: &Path, error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase { path: path.to_owned() },
        Some(_) | None => OpenError::Unusable { path: path.to_owned(), source: error.into() },
    }
}
