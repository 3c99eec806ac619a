//! The store itself: one writer, some readers, the queues in memory. Opens units of work, carries messages.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bus::{Envelope, Fault, Feed, Store, Transport, Unit, Unsent};
use rusqlite::{Connection, Result};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::adoption::{adopt, free_leases};
use crate::fault::fault;
use crate::feed::StoreFeed;
use crate::open::{self, Opened};
use crate::options::{Exclusive, OpenError, SqliteOptions, beside, explain};
use crate::queue::Queue;
use crate::reader_pool::ReaderPool;
use crate::schema;
use crate::turns::{Shared, Turns};
use crate::unit::{Rows, SqliteUnit};
use crate::view::{Place, View};
use crate::writer::Writer;

/// The bus's own tables in SQLite, and the user's beside them. Clones share everything.
pub struct SqliteBus<R: Rows = ()> {
    pub(crate) shared: Arc<Shared<R::Memory>>,
}

impl<R: Rows> Clone for SqliteBus<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// Tells the memories of one process apart.
static VIEWERS: AtomicU64 = AtomicU64::new(1);

impl<R: Rows> SqliteBus<R> {
    /// Opens the file; makes it if there is none and brings its tables up to date, if the options say so.
    ///
    /// # Errors
    /// [`OpenError`] says in one line what is wrong and what to do.
    pub fn open(path: &Path, options: SqliteOptions) -> std::result::Result<Self, OpenError> {
        let Opened { connection, watch, held, lock } = open::file(path, &options, R::migrations())?;
        let mut writer = Writer::new(connection).over(held, Arc::clone(&watch));
        if options.exclusive == Exclusive::Yes {
            free_leases(&writer.connection)
                .and_then(|()| adopt(&mut writer, &options.topology, options.routing))
                .map_err(|error| explain(path, error))?;
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
        let connection = open::memory(R::migrations())?;
        Ok(Self::over(Turns::new(Writer::new(connection)), Place::Memory, options))
    }

    /// The same rows seen by a process that has just started: what the old memory knew is forgotten. Only for a store in
    /// memory, where a crash cannot be had otherwise. None for a file, which is simply opened again.
    #[must_use]
    pub fn restarted(&self) -> Option<Self> {
        let Shared { turns, view } = &*self.shared;
        let options = SqliteOptions {
            queue_memory_max: view.queue_memory_max,
            ..SqliteOptions::new(view.topology.clone(), view.routing)
        };
        match &view.place {
            Place::Memory => Some(Self::over(turns.clone(), Place::Memory, options)),
            Place::File { .. } => None,
        }
    }

    fn over(turns: Turns<R::Memory>, place: Place, options: SqliteOptions) -> Self {
        let SqliteOptions { topology, routing, queue_memory_max, .. } = options;
        let queues = topology
            .all_queues()
            .into_iter()
            .map(|name| (Arc::clone(&name), Arc::new(Queue::new(name, queue_memory_max))))
            .collect();
        let viewer = VIEWERS.fetch_add(1, Ordering::Relaxed);
        let outgoing = Arc::default();
        let view = View { place, topology, routing, queues, queue_memory_max, outgoing, viewer };
        Self { shared: Arc::new(Shared { turns, view: Arc::new(view) }) }
    }

    /// Looks for messages that another process has left for another carrier, if any has written since the last look, and
    /// makes them ready for our own; returns how many there were.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn adopt_strays(&self) -> std::result::Result<usize, Fault> {
        let Shared { turns, view } = &*self.shared;
        view.look_at_the_file()?;
        let mut turn = turns.next_alone().await;
        let writer = turn.writer_mut();
        let adopted = adopt(writer, &view.topology, view.routing).map_err(fault("outbox.adopt"))?;
        if adopted > 0 {
            // Positions were given, and rows added, behind memory's back.
            writer.seen = None;
            writer.notice_others(view).map_err(fault("outbox.adopt"))?;
            view.outgoing.notify_one();
        }
        Ok(adopted)
    }

    /// Told whenever a message is on its way to a broker.
    #[must_use]
    pub fn outgoing(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.view.outgoing)
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
        let path = self.path().unwrap_or_else(|| Path::new(":memory:"));
        schema::migrate(&mut turn.writer_mut().connection, path, R::migrations())
    }

    /// The version of the tables.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn schema_version(&self) -> std::result::Result<u32, Fault> {
        self.shared.view.look_at_the_file()?;
        let turn = self.shared.turns.next_alone().await;
        schema::version(&turn.writer().connection, R::migrations()).map_err(fault("schema.version"))
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
        match &self.shared.view.place {
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
        ["", "-wal", "-shm"].map(|suffix| size(beside(path, suffix))).into()
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
        match &self.shared.view.place {
            Place::File { readers, .. } => readers.read(operation, query).await,
            Place::Memory => {
                let turn = self.shared.turns.next_alone().await;
                query(&turn.writer().connection).map_err(fault(operation))
            }
        }
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
        match self.shared.view.queues.get(queue) {
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
