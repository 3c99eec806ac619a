//! The engines: where each keeps its rows, and how a process starts on them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use application::ports::{AnyUnit, ApiKeys, ClosedEndpoints, Readers};
use async_trait::async_trait;
use bus::harness::{MemoryStore, MemoryUnit, Routing as MemoryRouting};
use bus::{Clock, DeadLetters, Fault, OutboxStore, RandomIds, Store, Transport, VirtualClock};
use infrastructure::postgres::{PostgresOptions, PostgresStore};
use infrastructure::sqlite::{Retention, Routing, SqliteOptions, SqliteStore, Swept};
use jiff::Timestamp;

use super::stage::{NOW, topology};
use super::{Bus, BusHome, Home, Process, Sweeper};
use crate::servers::{Durability, Postgres};

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

fn whole<S>(store: S) -> Process
where
    S: Store<AnyUnit>
        + Transport
        + Readers
        + DeadLetters
        + OutboxStore
        + ApiKeys
        + ClosedEndpoints
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
        sweeper: store,
    }
}

/// The bus's own store on memory: no repositories, only what the bus needs.
#[derive(Default)]
pub struct MemoryHome(Option<MemoryStore<()>>);

#[async_trait]
impl BusHome for MemoryHome {
    async fn bus(&mut self, routing: Routing) -> Bus {
        let store = self.0.get_or_insert_with(|| match routing {
            Routing::Store => MemoryStore::new(topology()),
            Routing::Outbox => MemoryStore::with_routing(topology(), MemoryRouting::Outbox),
        });
        Bus::over::<MemoryUnit<()>, _>(&Arc::new(store.clone()), |unit| unit)
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
        whole(process)
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
        whole(SqliteStore::open(&self.0.join("orders.db"), options).expect("the folder can be written"))
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
}

impl Default for PostgresHome {
    fn default() -> Self {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        let server = SERVER
            .get_or_init(|| Postgres::start(Durability::None).expect("PostgreSQL's programs are there"));
        let address = server.database().expect("the server makes databases");
        Self { address, processes: 0, clock: Arc::new(VirtualClock::starting_at(NOW)) }
    }
}

impl PostgresHome {
    async fn open(&mut self, routing: Routing) -> Process {
        self.processes += 1;
        let clock: Arc<dyn Clock> = Arc::<VirtualClock>::clone(&self.clock);
        let ids = RandomIds::seeded(self.processes);
        let options =
            PostgresOptions { pool_max: 8, ..PostgresOptions::new(topology(), routing, clock, &ids) };
        whole(PostgresStore::connect(&self.address, options).await.expect("the server is there"))
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
    async fn process(&mut self) -> Process {
        self.open(Routing::Store)
    }
}

#[async_trait]
impl Home for SqliteFileHome {
    async fn process(&mut self) -> Process {
        self.open(Routing::Store)
    }
}

#[async_trait]
impl Home for PostgresHome {
    async fn process(&mut self) -> Process {
        self.open(Routing::Store).await
    }
}
