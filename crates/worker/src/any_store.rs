//! The configured store, behind the ports: its users need not know which engine it is. The only place that
//! distinguishes the engines; it decides nothing about orders.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use application::pipeline::{Telling, topology_telling};
use application::ports::{
    AnyUnit, ApiKeys, ClosedEndpoints, OrderEventLog, Readers, VitalSigns, WebhookEndpoints,
};
use async_trait::async_trait;
use bus::{
    CallSlots, Clock, DeadLetters, ErrorQueues, Fault, IdSource, LocalFirst, LocalSlots, OutboxStore, Pauses,
    RandomIds, Routing, Store, SystemClock, Tables, Transport, Verdict, WorkerRegister,
};
use bus_rabbitmq::{QueueDepth, RabbitMqTransport};
use infrastructure::postgres::{PostgresOptions, PostgresStore, Presence};
use infrastructure::sqlite::{Exclusive, SqliteOptions, SqliteStore};
use infrastructure::{Retention, Swept};
use jiff::Timestamp;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::config::{Config, Place};
use crate::health::{Broker, BrokerQueue};
use crate::operations::Operations;
use crate::workers::fresh_id;

/// What a process wants of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To work on what is in it, with everything that takes. A file can be worked on by one process only.
    Serve,
    /// To make it or bring it up to date, and nothing else.
    Migrate,
    /// To read, or to leave messages for the workers. Creates no database and no tables; reading writes nothing.
    Visit,
}

impl Purpose {
    const fn tables(self) -> Tables {
        match self {
            Self::Serve | Self::Migrate => Tables::Migrated,
            Self::Visit => Tables::Expected,
        }
    }

    const fn exclusive(self) -> Exclusive {
        match self {
            Self::Serve => Exclusive::Yes,
            Self::Migrate | Self::Visit => Exclusive::No,
        }
    }

    const fn presence(self) -> Presence {
        match self {
            Self::Serve => Presence::Worker,
            Self::Migrate | Self::Visit => Presence::Visitor,
        }
    }
}

/// A store of either engine. Clones share everything.
#[derive(Clone)]
pub struct AnyStore {
    /// Opens units of work.
    pub units: Arc<dyn Store<AnyUnit>>,
    /// Carries messages.
    pub transport: Arc<dyn Transport>,
    /// Shows what is there.
    pub readers: Arc<dyn Readers>,
    /// Tells whether it is well.
    pub vitals: Arc<dyn VitalSigns>,
    /// Dead letters.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// What operators do with queues, workers and error queues.
    pub operations: Operations,
    /// Keys that let callers in.
    pub keys: Arc<dyn ApiKeys>,
    /// Receivers of webhooks that want no more.
    pub endpoints: Arc<dyn ClosedEndpoints>,
    /// The events of all orders.
    pub events: Arc<dyn OrderEventLog>,
    /// Programs that are sent those events.
    pub webhook_endpoints: Arc<dyn WebhookEndpoints>,
    /// Keeps it in order.
    pub upkeep: Arc<dyn Upkeep>,
    /// Slots of the call budgets, shared by all workers of this store.
    pub slots: Arc<dyn CallSlots>,
    /// What leaves for the broker; none if the store carries messages itself.
    pub outgoing: Option<Outgoing>,
}

/// Messages on their way to a broker.
#[derive(Clone)]
pub struct Outgoing {
    /// Their rows.
    pub outbox: Arc<dyn OutboxStore>,
    /// Told whenever there may be more of them.
    pub woken: Arc<Notify>,
    /// The broker, to see whether it is well.
    pub broker: Arc<dyn Broker>,
}

/// What a store needs from time to time, beside what the use cases ask of it.
#[async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// Removes up to `max` rows of each kind that are past their time.
    ///
    /// # Errors
    /// Those of the store.
    async fn housekeeping_step(&self, now: Timestamp, kept: Retention, max: usize) -> Result<Swept, Fault>;

    /// Makes messages ready that were left for another carrier than the one that is configured; returns how many.
    ///
    /// # Errors
    /// Those of the store.
    async fn adopt_strays(&self) -> Result<usize, Fault>;

    /// The version of the tables.
    ///
    /// # Errors
    /// Those of the store.
    async fn schema_version(&self) -> Result<u32, Fault>;

    /// Other processes that work on the same rows at this moment.
    ///
    /// # Errors
    /// Those of the store.
    async fn other_workers(&self) -> Result<usize, Fault>;

    /// Whether what only one of the processes need do is this one's to do.
    ///
    /// # Errors
    /// Those of the store.
    async fn is_eldest(&self) -> Result<bool, Fault>;

    /// The id of the database, independent of its address.
    ///
    /// # Errors
    /// Those of the store.
    async fn database_id(&self) -> Result<Uuid, Fault>;

    /// Gives up what this process has claimed, so that no other waits for it. Nothing is done with the store afterwards.
    async fn close(&self);
}

impl AnyStore {
    /// Opens the configured store, and migrates its tables if the purpose says so. With a broker, a worker also
    /// declares the queues there; a command only leaves messages in the outbox and needs no broker.
    ///
    /// # Errors
    /// One line that says what is wrong with the place, the file, the server or the broker, and what to do.
    pub async fn open(config: &Config, purpose: Purpose) -> Result<Self> {
        let store = Self::open_unclaimed(config, purpose).await?;
        if let (Some(outgoing), Purpose::Serve) = (&store.outgoing, purpose) {
            let database = store.upkeep.database_id().await?;
            outgoing.broker.claim(database).await.map_err(|fault| unusable(&fault))?;
            tracing::info!(%database, "the broker's virtual host is this database's");
        }
        Ok(store)
    }

    async fn open_unclaimed(config: &Config, purpose: Purpose) -> Result<Self> {
        let topology = topology_telling(telling(config));
        let queues: Arc<[Arc<str>]> = topology.all_queues().into();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn IdSource> = Arc::new(RandomIds::from_system());
        let broker = match config.rabbitmq.settings(config.pipeline.batch_max) {
            Some(settings) => {
                Some(RabbitMqTransport::new(&settings, topology.clone(), Arc::clone(&clock), &ids)?)
            }
            None => None,
        };
        if let (Some(broker), Purpose::Serve) = (&broker, purpose) {
            broker.declare().await.map_err(|fault| unusable(&fault))?;
        }
        let routing = if broker.is_some() { Routing::Outbox } else { Routing::Store };
        match config.database.place().context("the configuration was checked and names a database")? {
            Place::File(path) => {
                let (exclusive, tables) = (purpose.exclusive(), purpose.tables());
                let options = SqliteOptions { exclusive, tables, ..SqliteOptions::new(topology, routing) };
                let store = SqliteStore::open(&path, options)?;
                let woken = store.outgoing();
                // A file is worked on by one process only.
                Ok(Self::over_any(
                    store,
                    broker,
                    woken,
                    Arc::new(LocalSlots::default()),
                    (queues, fresh_id()),
                ))
            }
            Place::Postgres(address) => {
                let options = PostgresOptions::new(topology, routing, clock.as_ref(), ids.as_ref());
                let worker_id = options.instance;
                let is_local_first = broker.is_some() && config.rabbitmq.local_first;
                let (presence, tables) = (purpose.presence(), purpose.tables());
                let options = PostgresOptions { presence, tables, ..config.postgres.applied_to(options) };
                let store = PostgresStore::connect(&address, options).await?;
                let woken = store.outgoing();
                let any = Self::over_any(
                    store.clone(),
                    broker,
                    woken,
                    Arc::new(store.clone()),
                    (queues, worker_id),
                );
                if !is_local_first {
                    return Ok(any);
                }
                let transport = LocalFirst::new(Arc::new(store), Arc::clone(&any.transport), ids);
                Ok(Self { transport: Arc::new(transport), ..any })
            }
        }
    }

    /// The same store behind every port, and a broker as the transport if there is one.
    fn over_any<S>(
        store: S,
        broker: Option<RabbitMqTransport>,
        woken: Arc<Notify>,
        slots: Arc<dyn CallSlots>,
        (queues, worker_id): (Arc<[Arc<str>]>, Uuid),
    ) -> Self
    where
        S: Store<AnyUnit>
            + Transport
            + OutboxStore
            + Readers
            + VitalSigns
            + DeadLetters
            + Pauses
            + WorkerRegister
            + ApiKeys
            + ClosedEndpoints
            + OrderEventLog
            + WebhookEndpoints
            + Upkeep,
    {
        let store = Arc::new(store);
        let error_queues = broker.clone().map(|broker| Arc::new(broker) as Arc<dyn ErrorQueues>);
        let (transport, outgoing): (Arc<dyn Transport>, _) = match broker {
            Some(broker) => {
                let outbox = Arc::<S>::clone(&store);
                let upkeep = Arc::<S>::clone(&store);
                let seen = SeenBroker { transport: broker.clone(), upkeep };
                let outgoing = Outgoing { outbox, woken, broker: Arc::new(seen) };
                (Arc::new(broker), Some(outgoing))
            }
            None => (Arc::<S>::clone(&store), None),
        };
        Self {
            units: Arc::<S>::clone(&store),
            transport,
            readers: Arc::<S>::clone(&store),
            vitals: Arc::<S>::clone(&store),
            dead_letters: Arc::<S>::clone(&store),
            operations: Operations {
                queues,
                pauses: Arc::<S>::clone(&store),
                workers: Arc::<S>::clone(&store),
                worker_id,
                error_queues,
            },
            keys: Arc::<S>::clone(&store),
            endpoints: Arc::<S>::clone(&store),
            events: Arc::<S>::clone(&store),
            webhook_endpoints: Arc::<S>::clone(&store),
            upkeep: store,
            slots,
            outgoing,
        }
    }
}

/// An absent broker may only be late; a refusal needs a person.
fn unusable(fault: &Fault) -> anyhow::Error {
    let why = std::error::Error::source(fault).map_or_else(|| fault.to_string(), ToString::to_string);
    match fault.verdict {
        Verdict::Retry | Verdict::Conflict | Verdict::Stale | Verdict::LeaveToOthers => {
            anyhow!("{why}; start it or correct the address")
        }
        Verdict::GiveUp => anyhow!("{why}"),
    }
}

#[async_trait]
impl Upkeep for SqliteStore {
    async fn housekeeping_step(&self, now: Timestamp, kept: Retention, max: usize) -> Result<Swept, Fault> {
        Self::housekeeping_step(self, now, kept, max).await
    }

    async fn adopt_strays(&self) -> Result<usize, Fault> {
        (**self).adopt_strays().await
    }

    async fn schema_version(&self) -> Result<u32, Fault> {
        (**self).schema_version().await
    }

    /// A file is worked on by one process only.
    async fn other_workers(&self) -> Result<usize, Fault> {
        Ok(0)
    }

    async fn is_eldest(&self) -> Result<bool, Fault> {
        Ok(true)
    }

    async fn database_id(&self) -> Result<Uuid, Fault> {
        (**self).database_id().await
    }

    async fn close(&self) {}
}

#[async_trait]
impl Upkeep for PostgresStore {
    async fn housekeeping_step(&self, now: Timestamp, kept: Retention, max: usize) -> Result<Swept, Fault> {
        Self::housekeeping_step(self, now, kept, max).await
    }

    async fn adopt_strays(&self) -> Result<usize, Fault> {
        (**self).adopt_strays().await
    }

    async fn schema_version(&self) -> Result<u32, Fault> {
        (**self).schema_version().await
    }

    async fn other_workers(&self) -> Result<usize, Fault> {
        (**self).other_workers().await
    }

    async fn is_eldest(&self) -> Result<bool, Fault> {
        (**self).is_eldest().await
    }

    async fn database_id(&self) -> Result<Uuid, Fault> {
        (**self).database_id().await
    }

    async fn close(&self) {
        Self::close(self.clone()).await;
    }
}

/// The broker's health, with the store's knowledge of who should read there.
struct SeenBroker {
    transport: RabbitMqTransport,
    upkeep: Arc<dyn Upkeep>,
}

#[async_trait]
impl Broker for SeenBroker {
    async fn queues(&self) -> Result<Vec<BrokerQueue>, String> {
        let queues = self.transport.queues().await?;
        // Another check reports a store that is away.
        let readers = self.upkeep.other_workers().await.map_or(u64::MAX, |others| others as u64 + 1);
        Ok(queues.into_iter().map(|queue| BrokerQueue { readers, ..queue }).collect())
    }

    fn unfit(&self) -> Vec<String> {
        Broker::unfit(&self.transport)
    }

    async fn claim(&self, database: Uuid) -> Result<(), Fault> {
        self.transport.claim(database).await
    }
}

#[async_trait]
impl Broker for RabbitMqTransport {
    async fn queues(&self) -> Result<Vec<BrokerQueue>, String> {
        let depths = self.queue_depths().await.map_err(|fault| fault.to_string())?;
        let seen = |depth: QueueDepth| BrokerQueue {
            name: depth.queue,
            messages: depth.messages.into(),
            consumers: depth.consumers.into(),
            readers: u64::MAX,
            error_queue: depth.error_queue,
            set_aside: depth.set_aside.into(),
            held: depth.held as u64,
            held_for: depth.held_for,
        };
        Ok(depths.into_iter().map(seen).collect())
    }

    fn unfit(&self) -> Vec<String> {
        Self::unfit(self)
    }
}

/// Whether notifications are on.
fn telling(config: &Config) -> Telling {
    if config.notifications.ways.is_empty() { Telling::Nobody } else { Telling::Somebody }
}
