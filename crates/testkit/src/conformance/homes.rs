//! The engines: where each keeps its rows, and how a process starts on them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use application::ports::{AnyUnit, ApiKeys, ClosedEndpoints, OrderEventLog, Readers, WebhookEndpoints};
use async_trait::async_trait;
use bus::{
    DeadLetters, Fault, OutboxStore, Pauses, RandomIds, Routing, Store, Transport, VirtualClock,
    WorkerRegister,
};
use infrastructure::postgres::{PostgresOptions, PostgresStore};
use infrastructure::sqlite::{SqliteOptions, SqliteStore};
use infrastructure::{Retention, Swept};
use jiff::Timestamp;
use tokio::sync::Notify;

use super::stage::{NOW, topology};
use super::{Bus, BusHome, Home, Process, Sweeper};
use crate::servers::{Durability, Postgres};

/// How long a process may be silent before others take it for dead.
const LEASE: Duration = Duration::from_secs(30);
const SHORT_LEASE: Duration = Duration::from_millis(300);

#[async_trait]
impl Sweeper for SqliteStore {
    async fn sweep(&self, now: Timestamp, kept: Retention, max: usize) -> Result<Swept, Fault> {
        self.housekeeping_step(now, kept, max).await
    }
}

#[async_trait]
impl Sweeper for PostgresStore {
    async fn sweep(&self, now: Timestamp, kept: Retention, max: usize) -> Result<Swept, Fault> {
        self.housekeeping_step(now, kept, max).await
    }
}

fn whole<S>(store: S, outgoing: Arc<Notify>) -> Process
where
    S: Store<AnyUnit>
        + Transport
        + Readers
        + DeadLetters
        + OutboxStore
        + Pauses
        + WorkerRegister
        + ApiKeys
        + ClosedEndpoints
        + OrderEventLog
        + WebhookEndpoints
        + Sweeper
        + 'static,
{
    let store = Arc::new(store);
    Process {
        bus: Bus::over::<AnyUnit, S>(&store, |unit| unit),
        units: Arc::<S>::clone(&store),
        readers: Arc::<S>::clone(&store),
        keys: Arc::<S>::clone(&store),
        endpoints: Arc::<S>::clone(&store),
        events: Arc::<S>::clone(&store),
        webhook_endpoints: Arc::<S>::clone(&store),
        outgoing,
        sweeper: store,
    }
}

/// The embedded store on memory.
#[derive(Default)]
pub struct SqliteMemoryHome(Option<SqliteStore>);

impl SqliteMemoryHome {
    fn open(&mut self, routing: Routing) -> Process {
        let process = match &self.0 {
            Some(earlier) => earlier.restarted().expect("a store on memory can be started again"),
            None => SqliteStore::in_memory(SqliteOptions::new(topology(), routing)).expect("memory is there"),
        };
        self.0 = Some(process.clone());
        let outgoing = process.outgoing();
        whole(process, outgoing)
    }
}

/// The embedded store in a file of its own, gone with it.
pub struct SqliteFileHome(PathBuf);

impl Default for SqliteFileHome {
    fn default() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("orderwright-conformance-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl SqliteFileHome {
    fn open(&mut self, routing: Routing) -> Process {
        let options = SqliteOptions::new(topology(), routing);
        let store = SqliteStore::open(&self.0.join("orders.db"), options).expect("the folder can be written");
        let outgoing = store.outgoing();
        whole(store, outgoing)
    }
}

impl Drop for SqliteFileHome {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A database of its own on a server that all of a test program share.
pub struct PostgresHome {
    address: String,
    processes: u64,
    clock: Arc<VirtualClock>,
    lease: Duration,
}

/// A database that nobody else uses, on the server of this test program.
pub(super) fn database() -> String {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    let start = || Postgres::start(Durability::None).expect("PostgreSQL's programs are there");
    SERVER.get_or_init(start).database().expect("the server makes databases")
}

impl Default for PostgresHome {
    fn default() -> Self {
        let clock = Arc::new(VirtualClock::starting_at(NOW));
        Self { address: database(), processes: 0, clock, lease: LEASE }
    }
}

impl PostgresHome {
    /// The same, with processes that are missed soon when they die: whoever is to find out need not wait long.
    #[must_use]
    pub fn of_short_leases() -> Self {
        Self { lease: SHORT_LEASE, ..Self::default() }
    }

    async fn open(&mut self, routing: Routing) -> Process {
        self.processes += 1;
        let ids = RandomIds::seeded(self.processes);
        let options = PostgresOptions {
            pool_max: 8,
            lease: self.lease,
            ..PostgresOptions::new(topology(), routing, self.clock.as_ref(), &ids)
        };
        let store = PostgresStore::connect(&self.address, options).await.expect("the server is there");
        let outgoing = store.outgoing();
        whole(store, outgoing)
    }
}

#[async_trait]
impl BusHome for SqliteMemoryHome {
    async fn bus(&mut self, routing: Routing) -> Bus {
        self.open(routing).bus
    }
}

#[async_trait]
impl BusHome for SqliteFileHome {
    async fn bus(&mut self, routing: Routing) -> Bus {
        self.open(routing).bus
    }
}

#[async_trait]
impl BusHome for PostgresHome {
    async fn bus(&mut self, routing: Routing) -> Bus {
        self.open(routing).await.bus
    }
}

#[async_trait]
impl Home for SqliteMemoryHome {
    async fn process_for(&mut self, routing: Routing) -> Process {
        self.open(routing)
    }
}

#[async_trait]
impl Home for SqliteFileHome {
    async fn process_for(&mut self, routing: Routing) -> Process {
        self.open(routing)
    }
}

#[async_trait]
impl Home for PostgresHome {
    async fn process_for(&mut self, routing: Routing) -> Process {
        self.open(routing).await
    }
}
