//! Opening the file, and telling in one line what is wrong when it cannot be opened.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bus::Tables;
use refinery::Runner;
use rusqlite::{Connection, OpenFlags, Result};

use crate::held_file::{HeldFile, ServerLock};
use crate::options::{Exclusive, OpenError, SqliteOptions, beside, explain};
use crate::ownership::{self, Owner};
use crate::schema;
use crate::watch::Watch;

/// How long a statement waits for another process to finish writing before the fault is handed up.
const BUSY_WAIT: Duration = Duration::from_millis(1_000);

/// Statements kept prepared; more than there are.
const STATEMENTS_MAX: usize = 256;

/// A file that is open for a store.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) watch: Arc<Watch>,
    pub(crate) held: Arc<HeldFile>,
    pub(crate) lock: Option<ServerLock>,
}

/// Opens the file and its writing connection, with the tables as the options want them; `own` makes the user's.
pub(crate) fn file(
    path: &Path,
    options: &SqliteOptions,
    own: Option<Runner>,
) -> std::result::Result<Opened, OpenError> {
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
        Tables::Migrated => {
            schema::migrate(&mut connection, path, own)?;
            identify(&connection).map_err(|error| explain(path, error))?;
        }
        Tables::Expected => schema::expect(&connection, path, options.owner, own)?,
    }
    if options.exclusive == Exclusive::Yes {
        write_back(&connection).map_err(|error| explain(path, error))?;
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

/// Moves what a process that died has left in the log. Until then the log's index does not say how far pages were moved, by which
/// the watch knows that nobody else has written into the file.
fn write_back(connection: &Connection) -> Result<()> {
    connection.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))
}

/// Says in the file's header which database it is, so that another one that is copied over it is told from it.
fn identify(connection: &Connection) -> Result<()> {
    let sql = "select database_id from identity";
    let id: [u8; 16] = connection.query_row(sql, [], |row| row.get(0))?;
    let word = (i32::from_be_bytes([id[12], id[13], id[14], id[15]]) & i32::MAX).max(1);
    let said: i32 = connection.query_row("pragma user_version", [], |row| row.get(0))?;
    if said == word {
        return Ok(());
    }
    connection.execute_batch(&format!("pragma user_version = {word};"))
}

/// A store in memory, with its tables.
pub(crate) fn memory(own: Option<Runner>) -> std::result::Result<Connection, OpenError> {
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
    schema::migrate(&mut connection, place, own)?;
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

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}
