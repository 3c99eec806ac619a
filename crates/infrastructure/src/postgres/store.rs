//! The store itself: connections, the queues of this process, and the keeper beside them. Opens units of work, carries
//! messages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use application::ports::UnitOfWork;
use async_trait::async_trait;
use bus::{Envelope, Fault, Feed, Routing, Stop, Store, Tables, Topology, Transport, Unit, Unsent};
use tokio::sync::{Notify, OnceCell};
use tokio::task::JoinHandle;
use tokio_postgres::Row;
use uuid::Uuid;

use super::connect::{self, ConnectError, PostgresOptions, Presence};
use super::fault::{Taken, away, fault};
use super::feed::PostgresFeed;
use super::keeper::{Keeper, server_now};
use super::lent::{Lender, Lent};
use super::outbox::NO_QUEUE;
use super::pace::Pace;
use super::pipeline::{Act, Ending, Opening, run};
use super::queue::Queue;
use super::readers::query;
use super::relay::Leases;
use super::server::Server;
use super::{PostgresUnit, schema};

/// The store on a PostgreSQL server. Clones share everything.
#[derive(Clone)]
pub struct PostgresStore {
    pub(super) shared: Arc<Shared>,
    keeper: Arc<Mutex<Option<JoinHandle<()>>>>,
    kept: Arc<OnceCell<()>>,
}

/// What every clone, unit and feed of a store shares.
pub(super) struct Shared {
    pub(super) units: Lender,
    pace: Pace,
    pub(super) readers: Lender,
    pub(super) server: Server,
    pub(super) instance: Uuid,
    pub(super) presence: Presence,
    pub(super) lease: std::time::Duration,
    pub(super) topology: Topology,
    pub(super) routing: Routing,
    pub(super) queues: BTreeMap<Arc<str>, Arc<Queue>>,
    pub(super) leases: Leases,
    pub(super) errands: Errands,
    pub(super) stop: Stop,
    /// Held by whoever looks at all there is.
    pub(super) audits: Arc<tokio::sync::Mutex<()>>,
    readers_met: AtomicU64,
}

/// What others ask of the keeper.
#[derive(Default)]
pub(super) struct Errands {
    /// Told when there is something to do.
    pub(super) waiting: Arc<Notify>,
    /// Whether something ended in doubt: rows may be claimed for this process without its knowing.
    pub(super) doubt: AtomicBool,
    lists: Mutex<Lists>,
}

/// What is to be given up, and what others are to be told of.
#[derive(Default)]
pub(super) struct Lists {
    /// Positions of rows that nobody here wants any more.
    pub(super) give_up: Vec<i64>,
    /// Queues in which rows were left for whoever is free.
    pub(super) announce: BTreeSet<Arc<str>>,
}

impl PostgresStore {
    /// Connects to `postgres://user:password@host:port/database`, brings its tables up to date if the options say so, and
    /// registers this process if it works there. A visitor writes nothing before it begins a transaction.
    ///
    /// # Errors
    /// [`ConnectError`] says in one line what is wrong and what to do.
    pub async fn connect(address: &str, options: PostgresOptions) -> Result<Self, ConnectError> {
        let mut server = connect::server(address, &options)?;
        connect::probe(&mut server, options.tables).await?;
        match options.tables {
            Tables::Migrated => schema::migrate(&server).await?,
            Tables::Expected => schema::expect(&server).await?,
        };
        let shared = Arc::new(Shared::new(server, options));
        let store = Self { shared, keeper: Arc::default(), kept: Arc::default() };
        match store.shared.presence {
            Presence::Worker => store.start_keeper().await?,
            Presence::Visitor => {}
        }
        Ok(store)
    }

    /// Starts the keeper, if it does not run yet.
    async fn start_keeper(&self) -> Result<(), ConnectError> {
        let starting = async || {
            let keeper = Keeper::start(&self.shared).await?;
            *lock(&self.keeper) = Some(keeper);
            Ok(())
        };
        self.kept.get_or_try_init(starting).await.copied()
    }

    /// Begins a transaction; its connection is taken now, the database hears of it with the first statement.
    ///
    /// # Errors
    /// [`bus::Verdict::Retry`] while the server is away or too many others wait for a turn or a connection.
    pub(super) async fn unit(&self) -> Result<PostgresUnit, Fault> {
        if self.shared.presence == Presence::Visitor {
            self.start_keeper().await.map_err(|error| Fault::retry("unit.begin", error))?;
        }
        self.shared.pace.turn().await.map_err(|crowded| Fault::retry("unit.begin", crowded))?;
        let connection = self.shared.units.get().await.map_err(away("unit.begin"))?;
        Ok(PostgresUnit::over(Arc::clone(&self.shared), connection))
    }

    /// Brings the tables up to date; returns the version that they have then.
    ///
    /// # Errors
    /// [`ConnectError::Newer`] for a database of a newer version, [`ConnectError::Unusable`] if a step fails.
    pub async fn migrate(&self) -> Result<u32, ConnectError> {
        schema::migrate(&self.shared.server).await
    }

    /// The version of the tables.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn schema_version(&self) -> Result<u32, Fault> {
        let connection = self.reader("schema.version").await?;
        schema::version(&connection, &connection.patience).await
    }

    /// Which database this is, wherever its server is: it was drawn when its tables were made.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn database_id(&self) -> Result<Uuid, Fault> {
        const OPERATION: &str = "identity.read";
        let connection = self.reader(OPERATION).await?;
        let rows = query(&connection, OPERATION, "select database_id from identity", &[]).await?;
        let id = rows.first().map(|row| row.try_get::<_, Uuid>(0));
        let id = id.ok_or_else(|| Fault::give_up(OPERATION, "the table 'identity' is empty"))?;
        id.map_err(fault(OPERATION, Taken::GiveUp))
    }

    /// Other processes that work on the same database at this moment.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn other_workers(&self) -> Result<usize, Fault> {
        const OPERATION: &str = "instances.count";
        let connection = self.reader(OPERATION).await?;
        let alive = concat!(
            "select count(*) from instances where instance_id <> $1 and alive_until >= ",
            server_now!()
        );
        let rows = query(&connection, OPERATION, alive, &[Box::new(self.shared.instance)]).await?;
        Ok(rows.first().map_or(0, |row| usize::try_from(row.get::<_, i64>(0)).unwrap_or(0)))
    }

    /// Whether no other living process has worked here for longer: what only one of them need do is this one's to do.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn is_eldest(&self) -> Result<bool, Fault> {
        const OPERATION: &str = "instances.eldest";
        let connection = self.reader(OPERATION).await?;
        let eldest = concat!(
            "select instance_id = $1 from instances where alive_until >= ",
            server_now!(),
            " order by started_at, instance_id limit 1"
        );
        let rows = query(&connection, OPERATION, eldest, &[Box::new(self.shared.instance)]).await?;
        Ok(rows.first().is_none_or(|row| row.get(0)))
    }

    /// Told whenever a message is on its way to a broker.
    #[must_use]
    pub fn outgoing(&self) -> Arc<Notify> {
        self.shared.queues.get(NO_QUEUE).map(|queue| Arc::clone(&queue.woken)).unwrap_or_default()
    }

    /// Gives up every claim of this process, so that others need not wait until it is missed. Dropping the last clone does
    /// the same in the background.
    pub async fn close(self) {
        self.shared.stop.stop();
        let keeper = lock(&self.keeper).take();
        if let Some(keeper) = keeper
            && let Err(error) = keeper.await
        {
            tracing::warn!(%error, "the claims of this process are left to end by themselves");
        }
    }

    /// A connection for reading.
    pub(super) async fn reader(&self, operation: &'static str) -> Result<Lent, Fault> {
        self.shared.readers.get().await.map_err(away(operation))
    }
}

impl Shared {
    fn new(server: Server, options: PostgresOptions) -> Self {
        let units = connect::pool(&server, connect::Use::Units, options.pool_max, &options);
        let readers = connect::pool(&server, connect::Use::Reads, options.readers_max, &options);
        let pace = Pace::new(options.unit_gap, options.connect_limit);
        let PostgresOptions { topology, routing, instance, presence, lease, queue_memory_max, .. } = options;
        let mut names = topology.all_queues();
        names.push(Arc::from(NO_QUEUE));
        let queue = |name: Arc<str>| (Arc::clone(&name), Arc::new(Queue::new(name, queue_memory_max)));
        let queues = names.into_iter().map(queue).collect();
        Self {
            units,
            pace,
            readers,
            server,
            instance,
            presence,
            lease,
            topology,
            routing,
            queues,
            leases: Leases::default(),
            errands: Errands::default(),
            stop: Stop::new(),
            audits: Arc::default(),
            readers_met: AtomicU64::new(0),
        }
    }

    /// A number that no other reader of this process has.
    pub(super) fn next_reader(&self) -> u64 {
        self.readers_met.fetch_add(1, Ordering::Relaxed)
    }

    /// Runs one statement that stands for itself.
    pub(super) async fn run_alone(&self, operation: &'static str, act: Act) -> Result<Vec<Row>, Fault> {
        let connection = self.units.get().await.map_err(away(operation))?;
        let mut answers = run(&connection, Opening::None, &[act], Ending::None).await?;
        Ok(answers.pop().unwrap_or_default())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

impl Errands {
    /// Something ended in doubt.
    pub(super) fn doubt(&self) {
        self.doubt.store(true, Ordering::Relaxed);
        self.waiting.notify_one();
    }

    /// These rows are for others.
    pub(super) fn give_up(&self, positions: Vec<i64>) {
        if !positions.is_empty() {
            self.lists().give_up.extend(positions);
            self.waiting.notify_one();
        }
    }

    /// There are rows for others in this queue.
    pub(super) fn announce(&self, queue: &Arc<str>) {
        self.lists().announce.insert(Arc::clone(queue));
        self.waiting.notify_one();
    }

    /// What is to be done now.
    pub(super) fn take(&self) -> Lists {
        std::mem::take(&mut *self.lists())
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        lock(&self.lists)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Store<dyn UnitOfWork> for PostgresStore {
    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, Fault> {
        Ok(Box::new(self.unit().await?))
    }
}

#[async_trait]
impl Transport for PostgresStore {
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault> {
        match self.shared.queues.get(queue).filter(|queue| *queue.name != *NO_QUEUE) {
            Some(queue) => Ok(Box::new(PostgresFeed::join(Arc::clone(&self.shared), Arc::clone(queue)))),
            None => Err(Fault::give_up("transport.subscribe", format!("no queue is called '{queue}'"))),
        }
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        let mut unit = self.unit().await?;
        unit.publish(envelopes.to_vec()).await?;
        Ok(Box::new(unit).commit().await?)
    }
}
