//! The store itself: one writer, some readers, the queues in memory. Opens units of work, carries messages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bus::{Envelope, Fault, Feed, Routing, Store, Topology, Transport, Unit, Unsent};
use rusqlite::{Connection, Result};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::adoption;
use crate::fault::fault;
use crate::feed::StoreFeed;
use crate::held_file::ServerLock;
use crate::open::{self, Exclusive, OpenError, Opened, SqliteOptions};
use crate::queue::Queue;
use crate::reader_pool::ReaderPool;
use crate::rows::Rows;
use crate::turns::Turns;
use crate::watch::Watch;
use crate::writer::{Seen, Writer, stored_position};
use crate::{SqliteUnit, schema};

/// The bus's own tables in SQLite, and the user's beside them. Clones share everything.
pub struct SqliteBus<R: Rows = ()> {
    pub(crate) shared: Arc<Shared<R>>,
}

impl<R: Rows> Clone for SqliteBus<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// What every clone, unit and feed of a store shares.
pub(crate) struct Shared<R: Rows> {
    pub(crate) turns: Turns<R>,
    pub(crate) place: Place,
    pub(crate) topology: Topology,
    pub(crate) routing: Routing,
    pub(crate) queues: BTreeMap<Arc<str>, Arc<Queue>>,
    pub(crate) queue_memory_max: usize,
    /// Told whenever a message is on its way to a broker.
    pub(crate) outgoing: Arc<Notify>,
    /// Tells this memory from others that share the writer.
    pub(crate) viewer: u64,
}

/// Where the rows are.
pub(crate) enum Place {
    /// In a file; the lock, if any, is held as long as the store lives.
    File { path: PathBuf, readers: ReaderPool, watch: Arc<Watch>, _lock: Option<ServerLock> },
    /// In memory, gone with the last clone.
    Memory,
}

/// Tells the memories of one process apart.
static VIEWERS: AtomicU64 = AtomicU64::new(1);

impl<R: Rows> SqliteBus<R> {
    /// Opens the file; makes it if there is none and brings its tables up to date, if the options say so.
    ///
    /// # Errors
    /// [`OpenError`] says in one line what is wrong and what to do.
    pub fn open(path: &Path, options: SqliteOptions) -> std::result::Result<Self, OpenError> {
        let Opened { connection, watch, held, lock } = open::file::<R>(path, &options)?;
        let mut writer = Writer::new(connection).over(held, Arc::clone(&watch));
        if options.exclusive == Exclusive::Yes {
            adoption::free_leases(&writer.connection)
                .and_then(|()| adoption::adopt(&mut writer, &options.topology, options.routing))
                .map_err(|error| open::explain(path, error))?;
        }
        let readers = ReaderPool::new(path.to_owned(), Arc::clone(&watch));
        let place = Place::File { path: path.to_owned(), readers, watch, _lock: lock };
        Ok(Self::over(Turns::new(writer), place, options))
    }

    /// A store that lives in memory only, for tests and simulation.
    ///
    /// # Errors
    /// [`OpenError::Unusable`] if SQLite cannot work at all.
    pub fn in_memory(options: SqliteOptions) -> std::result::Result<Self, OpenError> {
        let connection = open::memory::<R>()?;
        Ok(Self::over(Turns::new(Writer::new(connection)), Place::Memory, options))
    }

    /// The same rows seen by a process that has just started: what the old memory knew is forgotten. Only for a store in
    /// memory, where a crash cannot be had otherwise. None for a file, which is simply opened again.
    #[must_use]
    pub fn restarted(&self) -> Option<Self> {
        let shared = &self.shared;
        let options = SqliteOptions {
            queue_memory_max: shared.queue_memory_max,
            ..SqliteOptions::new(shared.topology.clone(), shared.routing)
        };
        match &shared.place {
            Place::Memory => Some(Self::over(shared.turns.clone(), Place::Memory, options)),
            Place::File { .. } => None,
        }
    }

    fn over(turns: Turns<R>, place: Place, options: SqliteOptions) -> Self {
        let SqliteOptions { topology, routing, queue_memory_max, .. } = options;
        let queues = topology
            .all_queues()
            .into_iter()
            .map(|name| (Arc::clone(&name), Arc::new(Queue::new(name, queue_memory_max))))
            .collect();
        let viewer = VIEWERS.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::new(Shared {
                turns,
                place,
                topology,
                routing,
                queues,
                queue_memory_max,
                outgoing: Arc::default(),
                viewer,
            }),
        }
    }

    /// Told whenever a message is on its way to a broker.
    #[must_use]
    pub fn outgoing(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.outgoing)
    }

    /// Begins a unit.
    ///
    /// # Errors
    /// [`bus::Verdict::Retry`] while another process writes.
    pub async fn unit(&self) -> std::result::Result<SqliteUnit<R>, Fault> {
        let turn = self.shared.turns.next().await;
        SqliteUnit::begin(Arc::clone(&self.shared), turn)
    }

    /// Brings the tables up to date; returns the version that they have then.
    ///
    /// # Errors
    /// [`OpenError::Newer`] for a database of a newer version, [`OpenError::Unusable`] if a step fails.
    pub async fn migrate(&self) -> std::result::Result<u32, OpenError> {
        let mut turn = self.shared.turns.next_alone().await;
        schema::migrate::<R>(
            &mut turn.writer_mut().connection,
            self.path().unwrap_or_else(|| Path::new(":memory:")),
        )
    }

    /// The version of the tables.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn schema_version(&self) -> std::result::Result<u32, Fault> {
        self.shared.look_at_the_file()?;
        let turn = self.shared.turns.next_alone().await;
        schema::version::<R>(&turn.writer().connection).map_err(fault("schema.version"))
    }

    /// Which database this is, whatever its place: it was drawn when its tables were made.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn database_id(&self) -> std::result::Result<Uuid, Fault> {
        let ask = |connection: &Connection| {
            connection.query_row("select database_id from identity", [], |row| row.get::<_, Uuid>(0))
        };
        self.read("identity.read", ask).await
    }

    /// The file, unless the store is in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.shared.place {
            Place::File { path, .. } => Some(path),
            Place::Memory => None,
        }
    }

    /// The files that make up the store and their sizes in bytes; those that do not exist have none.
    #[must_use]
    pub fn file_sizes(&self) -> Vec<(PathBuf, Option<u64>)> {
        let Some(path) = self.path() else { return Vec::new() };
        let size = |path: PathBuf| {
            let bytes = std::fs::metadata(&path).ok().map(|metadata| metadata.len());
            (path, bytes)
        };
        ["", "-wal", "-shm"].map(|suffix| size(open::beside(path, suffix))).into()
    }

    /// Reads with `query`: on a reader's own connection for a file, on the writer's for a store in memory.
    ///
    /// # Errors
    /// Those of the store, under the name of this operation.
    pub async fn read<T, Q>(&self, operation: &'static str, query: Q) -> std::result::Result<T, Fault>
    where
        T: Send + 'static,
        Q: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        match &self.shared.place {
            Place::File { readers, .. } => readers.read(operation, query).await,
            Place::Memory => {
                let turn = self.shared.turns.next_alone().await;
                query(&turn.writer().connection).map_err(fault(operation))
            }
        }
    }
}

impl<R: Rows> Shared<R> {
    /// Whether somebody else may write to the same rows without this memory being told.
    pub(crate) const fn has_neighbours(&self) -> bool {
        matches!(self.place, Place::File { .. })
    }

    /// Looks whether the files are still those that were opened.
    pub(crate) fn look_at_the_file(&self) -> std::result::Result<(), Fault> {
        match &self.place {
            Place::File { watch, .. } => watch.look(),
            Place::Memory => Ok(()),
        }
    }

    /// If others wrote, memory no longer knows all of any queue, nor any row. The writer is held, and no unit waits to be durable.
    pub(crate) fn notice_others(&self, writer: &mut Writer<R>) -> Result<()> {
        let version = if self.has_neighbours() { writer.version()? } else { 0 };
        let seen = Seen { version, viewer: self.viewer };
        if writer.seen == Some(seen) {
            return Ok(());
        }
        writer.last_position = stored_position(&writer.connection)?;
        writer.memory = R::Memory::default();
        writer.seen = Some(seen);
        for queue in self.queues.values() {
            queue.spill();
        }
        Ok(())
    }
}

#[async_trait]
impl<R: Rows> Store<SqliteUnit<R>> for SqliteBus<R> {
    async fn begin(&self) -> std::result::Result<Box<SqliteUnit<R>>, Fault> {
        Ok(Box::new(self.unit().await?))
    }
}

#[async_trait]
impl<R: Rows> Transport for SqliteBus<R> {
    async fn subscribe(&self, queue: &str) -> std::result::Result<Box<dyn Feed>, Fault> {
        match self.shared.queues.get(queue) {
            Some(queue) => Ok(Box::new(StoreFeed::new(Arc::clone(&self.shared), Arc::clone(queue)))),
            None => Err(Fault::give_up("transport.subscribe", format!("no queue is called '{queue}'"))),
        }
    }

    async fn send(&self, envelopes: &[Envelope]) -> std::result::Result<(), Unsent> {
        let mut unit = self.unit().await?;
        unit.publish(envelopes.to_vec()).await?;
        Ok(Box::new(unit).commit().await?)
    }
}
