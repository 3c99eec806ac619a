//! Whose database a file is, found out without changing a byte of it: nobody's yet, ours, another program's, or none at all.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Result, params};

use crate::held_file::HeldFile;
use crate::options::{OpenError, beside, explain};
use crate::schema::{self, HISTORIES};

/// Bytes of the header, how they begin, and where the mark and the count of changes are.
pub(crate) const HEADER_BYTES: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
const APPLICATION_ID_AT: usize = 68;
const CHANGES_AT: usize = 24;
const IDENTITY_AT: usize = 60;

/// Tables of another program that are named at most.
const NAMED_MAX: usize = 5;

/// Whose a file is, if not another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// There is nothing in it.
    Nobody,
    /// It has our tables.
    Us,
}

/// What the header of a database says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The mark of the program whose it is.
    pub(crate) application_id: u32,
    /// Grows with every change of the first page.
    pub(crate) changes: u32,
    /// Which of its databases it is; 0 until it says so.
    pub(crate) identity: u32,
}

impl Header {
    /// None for what is no database.
    pub(crate) fn of(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let number = |at: usize| bytes[at..at + 4].try_into().map(u32::from_be_bytes).unwrap_or(0);
        let header = Self {
            application_id: number(APPLICATION_ID_AT),
            changes: number(CHANGES_AT),
            identity: number(IDENTITY_AT),
        };
        bytes.starts_with(MAGIC).then_some(header)
    }

    /// Whether it can have become the later one by work on the same database.
    pub(crate) const fn leads_to(self, later: Self) -> bool {
        let marked = later.application_id == self.application_id || self.application_id == 0;
        let same = later.identity == self.identity || self.identity == 0;
        marked && same && later.changes.wrapping_sub(self.changes) < u32::MAX / 2
    }
}

/// Whose the file is.
pub(crate) fn owner(path: &Path, held: &HeldFile, mark: u32) -> std::result::Result<Owner, OpenError> {
    let unusable =
        |source: std::io::Error| OpenError::Unusable { path: path.to_owned(), source: source.into() };
    let (length, _) = held.length_and_names().map_err(unusable)?;
    if length == 0 {
        return Ok(Owner::Nobody);
    }
    let header = held.beginning().map_err(unusable)?.and_then(|bytes| Header::of(&bytes));
    match header.map(|header| header.application_id) {
        None => Err(OpenError::NotADatabase { path: path.to_owned() }),
        Some(id) if id == mark => Ok(Owner::Us),
        // As it is before it has a mark.
        Some(0) => of_tables(path),
        Some(id) => Err(foreign(path, &format!("its application_id is {id:#010x}"))),
    }
}

fn of_tables(path: &Path) -> std::result::Result<Owner, OpenError> {
    let tables = look(path, tables).map_err(|error| explain(path, error))?;
    if tables.is_empty() {
        return Ok(Owner::Nobody);
    }
    match look(path, steps).unwrap_or(Steps::Others) {
        Steps::Ours => return Ok(Owner::Us),
        // Somebody began to make the tables and did not get far.
        Steps::None if tables.iter().all(|table| HISTORIES.contains(&table.as_str())) => {
            return Ok(Owner::Nobody);
        }
        Steps::None | Steps::Others => {}
    }
    let named: Vec<&str> = tables.iter().take(NAMED_MAX).map(String::as_str).collect();
    Err(foreign(path, &format!("it has the tables {}", named.join(", "))))
}

fn foreign(path: &Path, mark: &str) -> OpenError {
    // Names are somebody else's words.
    OpenError::Foreign { path: path.to_owned(), mark: mark.replace(char::is_control, " ") }
}

fn tables(connection: &Connection) -> Result<Vec<String>> {
    let sql = "select name from sqlite_schema where type in ('table', 'view') and name not like 'sqlite_%' order by name";
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// By which steps the tables were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Steps {
    None,
    Ours,
    Others,
}

fn steps(connection: &Connection) -> Result<Steps> {
    let (name, checksum) = schema::first_step();
    let sql = "select count(*), count(*) filter (where version = 1 and name = ? and checksum = ?) from bus_schema_history";
    let told = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    Ok(match connection.query_row(sql, params![name, checksum], told)? {
        (0, _) => Steps::None,
        (_, 0) => Steps::Others,
        (_, _) => Steps::Ours,
    })
}

/// Reads with a connection that changes nothing. What is only in the log is read if there is one; without a log the file is
/// read as if it lay on a disk that takes no writes, so that nothing is made beside it either.
fn look<T>(path: &Path, query: impl Fn(&Connection) -> Result<T>) -> Result<T> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let logged = std::fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let connection = match logged {
        true => Connection::open_with_flags(path, flags)?,
        false => Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_URI)?,
    };
    query(&connection)
}

/// The file's name as an address that says that nobody changes it.
fn immutable(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    PathBuf::from(format!("file:{escaped}?immutable=1"))
}
