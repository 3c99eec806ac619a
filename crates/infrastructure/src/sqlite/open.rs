//! Opening the file, and telling in one line what is wrong when it cannot be opened.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bus::Topology;
use rusqlite::{Connection, ErrorCode, OpenFlags, Result};
use thiserror::Error;

use super::{Routing, schema};

/// How long a statement waits for another process to finish writing before the fault is handed up.
const BUSY_WAIT: Duration = Duration::from_millis(1_000);

/// Statements kept prepared; more than there are.
const STATEMENTS_MAX: usize = 256;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// Which queues want which messages.
    pub topology: Topology,
    /// Who carries messages from here.
    pub routing: Routing,
    /// Whether no other server may have the same file.
    pub exclusive: Exclusive,
    /// Page cache of the writer, in KiB.
    pub cache_kib: u32,
    /// Bytes of a page of a new file: a power of two from 512 to 65,536. A file that is there keeps its own.
    pub page_bytes: u32,
    /// Pages in the write-ahead log before they are moved to the file. A page that changed often in between is moved once.
    pub checkpoint_pages: u32,
    /// Messages of one queue kept in memory ahead of their turn; the rest waits in the file.
    pub queue_memory_max: usize,
}

impl SqliteOptions {
    /// Shared, with a cache of 64 MiB.
    #[must_use]
    pub const fn new(topology: Topology, routing: Routing) -> Self {
        Self {
            topology,
            routing,
            exclusive: Exclusive::No,
            cache_kib: 64 * 1024,
            page_bytes: 8_192,
            checkpoint_pages: 2_000,
            queue_memory_max: bus::limits::QUEUE_MEMORY_MAX,
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
    /// The file is something else.
    #[error("{path} is not an Orderwright database; move it away or choose another file")]
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

/// Takes the lock of a server. It is given up by dropping the file, however the process ends.
pub(super) fn lock(path: &Path, exclusive: Exclusive) -> std::result::Result<Option<File>, OpenError> {
    probe_folder(path)?;
    if exclusive == Exclusive::No {
        return Ok(None);
    }
    let not_writable = |source| OpenError::FolderNotWritable { folder: folder(path), source };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(beside(path, ".lock"))
        .map_err(not_writable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(not_writable(source)),
    }
}

/// SQLite would say "unable to open database file" whatever the reason; the system knows better.
fn probe_folder(path: &Path) -> std::result::Result<(), OpenError> {
    let folder = folder(path);
    let made = std::fs::create_dir_all(&folder)
        .and_then(|()| File::options().create(true).append(true).open(path).map(drop));
    made.map_err(|source| OpenError::FolderNotWritable { folder, source })
}

/// Opens the writing connection and brings the tables up to date.
pub(super) fn file(path: &Path, options: &SqliteOptions) -> std::result::Result<Connection, OpenError> {
    let mut connection = configured(path, options).map_err(|error| explain(path, error))?;
    schema::migrate(&mut connection, path)?;
    Ok(connection)
}

fn configured(path: &Path, options: &SqliteOptions) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.execute_batch(&format!(
        "pragma page_size = {};
         pragma journal_mode = wal;
         pragma synchronous = full;
         pragma foreign_keys = on;
         pragma temp_store = memory;
         pragma cache_size = -{};
         pragma wal_autocheckpoint = {};
         pragma journal_size_limit = 67108864;",
        options.page_bytes, options.cache_kib, options.checkpoint_pages
    ))?;
    Ok(connection)
}

/// A store in memory, with its tables.
pub(super) fn memory() -> std::result::Result<Connection, OpenError> {
    let place = Path::new(":memory:");
    let open = || {
        let connection = Connection::open_in_memory()?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        connection.execute_batch(
            "pragma journal_mode = memory; pragma synchronous = off; pragma foreign_keys = on; pragma temp_store = memory;",
        )?;
        Ok(connection)
    };
    let mut connection = open().map_err(|error| explain(place, error))?;
    schema::migrate(&mut connection, place)?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.execute_batch("pragma temp_store = memory; pragma cache_size = -8192;")?;
    Ok(connection)
}

/// The file of the same name with a suffix.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Which of the known mistakes an error is.
pub(super) fn explain(path: &Path, error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase { path: path.to_owned() },
        Some(_) | None => OpenError::Unusable { path: path.to_owned(), source: error.into() },
    }
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}
