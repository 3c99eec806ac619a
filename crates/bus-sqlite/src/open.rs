//! Opening the file, and telling in one line what is wrong when it cannot be opened.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bus::{Routing, Tables, Topology};
use rusqlite::{Connection, ErrorCode, OpenFlags, Result};
use thiserror::Error;

use crate::held_file::{HeldFile, ServerLock};
use crate::ownership::{self, Owner};
use crate::rows::Rows;
use crate::schema;
use crate::watch::Watch;

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

/// A file that is open for a store.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) watch: Arc<Watch>,
    pub(crate) held: Arc<HeldFile>,
    pub(crate) lock: Option<ServerLock>,
}

/// Opens the file and its writing connection, with the tables as the options want them.
pub(crate) fn file<R: Rows>(path: &Path, options: &SqliteOptions) -> std::result::Result<Opened, OpenError> {
    let missing = || OpenError::Missing { path: path.to_owned(), advice: options.owner.if_missing };
    match options.tables {
        Tables::Migrated => make_file(path)?,
        Tables::Expected if !path.exists() => return Err(missing()),
        Tables::Expected => {}
    }
    let held = HeldFile::open(path).map_err(|source| unreadable(path, source))?;
    if ownership::owner(path, &held, options.owner.application_id)? == Owner::Nobody
        && options.tables == Tables::Expected
    {
        return Err(missing());
    }
    let lock = lock(path, &held, options.exclusive)?;
    one_name(path, &held, options.exclusive)?;
    let mut connection = connect(path, options).map_err(|error| explain(path, error))?;
    match options.tables {
        Tables::Migrated => schema::migrate::<R>(&mut connection, path).map(drop)?,
        Tables::Expected => schema::expect::<R>(&connection, path, options.owner)?,
    }
    let watch = Watch::new(path, Arc::clone(&held)).map_err(|source| unreadable(path, source))?;
    let watch = Arc::new(watch);
    watch.look().map_err(|gone| OpenError::Unusable { path: path.to_owned(), source: gone.into() })?;
    Ok(Opened { connection, watch, held, lock })
}

/// Takes the lock of a server, which is on the file and not on its name. It is given up however the process ends.
fn lock(
    path: &Path,
    held: &Arc<HeldFile>,
    exclusive: Exclusive,
) -> std::result::Result<Option<ServerLock>, OpenError> {
    if exclusive == Exclusive::No {
        return Ok(None);
    }
    match held.serve() {
        Ok(lock) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(unreadable(path, source)),
    }
}

/// `SQLite` keeps its log beside the name by which a file was opened. By another name it would not find what a server has
/// written last, and write beside it.
fn one_name(path: &Path, held: &HeldFile, exclusive: Exclusive) -> std::result::Result<(), OpenError> {
    let (_, names) = held.length_and_names().map_err(|source| unreadable(path, source))?;
    if names < 2 || exclusive == Exclusive::Yes || !held.is_served() {
        return Ok(());
    }
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match beside(&real, "-wal").exists() {
        true => Ok(()),
        false => Err(OpenError::AnotherName { path: path.to_owned() }),
    }
}

/// Makes an empty file where there is none. `SQLite` would say "unable to open database file" whatever keeps it from that; the
/// system knows better.
fn make_file(path: &Path) -> std::result::Result<(), OpenError> {
    if path.exists() {
        return Ok(());
    }
    let folder = folder(path);
    let made = std::fs::create_dir_all(&folder)
        .and_then(|()| File::options().create(true).append(true).open(path).map(drop));
    made.map_err(|source| OpenError::FolderNotWritable { folder, source })
}

fn unreadable(path: &Path, source: std::io::Error) -> OpenError {
    let path = path.to_owned();
    if source.kind() == std::io::ErrorKind::InvalidInput {
        return OpenError::NotADatabase { path };
    }
    OpenError::Unusable { path, source: source.into() }
}

/// The writing connection. Our mark is set before there is a log, so that it is in the file itself from the first moment.
fn connect(path: &Path, options: &SqliteOptions) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    if options.tables == Tables::Migrated {
        connection.execute_batch(&format!("pragma page_size = {};", options.page_bytes))?;
        mark(&connection, options.owner.application_id)?;
        connection.execute_batch("pragma journal_mode = wal;")?;
    }
    connection.execute_batch(&format!(
        "pragma synchronous = full;
         pragma foreign_keys = on;
         pragma temp_store = memory;
         pragma cache_size = -{};
         pragma wal_autocheckpoint = {};
         pragma journal_size_limit = 67108864;",
        options.cache_kib, options.checkpoint_pages
    ))?;
    Ok(connection)
}

/// Says in the file's header whose it is, if it does not say so yet.
fn mark(connection: &Connection, mark: u32) -> Result<()> {
    let marked: u32 = connection.query_row("pragma application_id", [], |row| row.get(0))?;
    if marked == mark {
        return Ok(());
    }
    connection.execute_batch(&format!("pragma application_id = {mark};"))
}

/// A store in memory, with its tables.
pub(crate) fn memory<R: Rows>() -> std::result::Result<Connection, OpenError> {
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
    schema::migrate::<R>(&mut connection, place)?;
    Ok(connection)
}

/// A connection that only reads.
pub(crate) fn reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.execute_batch("pragma temp_store = memory; pragma cache_size = -8192;")?;
    Ok(connection)
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

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}
