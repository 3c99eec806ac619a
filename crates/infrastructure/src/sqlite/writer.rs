//! The one connection that writes. Whoever holds it is alone with the file, but for other processes.

use rusqlite::{Connection, Result};

use super::memory::Memories;

/// The writing connection and what it knows of the file.
pub(super) struct Writer {
    /// The connection.
    pub(super) connection: Connection,
    /// The last position that was given and committed.
    pub(super) last_position: i64,
    /// Rows read or written last.
    pub(super) memories: Memories,
    /// SQLite's mark of what others wrote, as last seen; none if what is known may not be true any more.
    pub(super) seen: Option<Seen>,
}

/// What was last seen, and by whom: memory that was not there to see it has to look for itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Changes whenever another connection commits.
    pub(super) version: i64,
    /// Whose memory has seen it.
    pub(super) viewer: u64,
}

impl Writer {
    /// A writer that knows nothing yet.
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, last_position: 0, memories: Memories::default(), seen: None }
    }

    /// The mark as it is now.
    pub(super) fn version(&self) -> Result<i64> {
        self.connection.prepare_cached("pragma data_version")?.query_row([], |row| row.get(0))
    }

    /// The last position that was given, as stored.
    pub(super) fn stored_position(connection: &Connection) -> Result<i64> {
        connection.prepare_cached("select last_position from positions")?.query_row([], |row| row.get(0))
    }

    /// Runs a statement without parameters.
    pub(super) fn run(&self, sql: &str) -> Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}
