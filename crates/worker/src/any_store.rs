//! The store that the configuration names, behind the ports: who works with it need not know which one it is. The only place
//! that tells the engines apart; never decides anything about orders.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use application::pipeline::topology_telling;
use application::ports::{AnyUnit, ApiKeys, ClosedEndpoints, Readers, VitalSigns};
use async_trait::async_trait;
use bus::{Clock, DeadLetters, Fault, RandomIds, Store, SystemClock, Transport};
use infrastructure::postgres::{PostgresOptions, PostgresStore, Presence};
use infrastructure::sqlite::{Exclusive, Retention, Routing, SqliteOptions, SqliteStore, Swept};
use jiff::Timestamp;

use crate::config::{Config, Place};
use crate::notifying;

/// What a process wants of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To work on what is in it, with everything that takes. A file can be worked on by one process only.
    Serve,
    /// To look, or to leave something for whoever works there.
    Visit,
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
    /// What was set aside.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Keys that let callers in.
    pub keys: Arc<dyn ApiKeys>,
    /// Receivers of webhooks that want no more.
    pub endpoints: Arc<dyn ClosedEndpoints>,
    /// Keeps it in order.
    pub upkeep: Arc<dyn Upkeep>,
}

/// What a store needs from time to time, beside what the use cases ask of it.
#[async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// Removes up to `max` rows of each kind that are past their time.
    ///
    /// # Errors
    /// Those of the store.
    async fn housekeeping_step(&self, now: Timestamp, kept: Retention, max: usize) -> Result<Swept, Fault>;

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

    /// Gives up what this process has claimed, so that no other waits for it. Nothing is done with the store afterwards.
    async fn close(&self);
}

impl AnyStore {
    /// Opens the store that the configuration names and brings its tables up to date.
    ///
    /// # Errors
    /// One line that says what is wrong with the place, the file or the server, and what to do.
    pub async fn open(config: &Config, purpose: Purpose) -> Result<Self> {
        let topology = topology_telling(notifying::telling(config));
        match config.database.place().context("the configuration was checked and names a database")? {
            Place::File(path) => {
                let exclusive = match purpose {
                    Purpose::Serve => Exclusive::Yes,
                    Purpose::Visit => Exclusive::No,
                };
                let options = SqliteOptions { exclusive, ..SqliteOptions::new(topology, Routing::Store) };
                Ok(Self::over(SqliteStore::open(&path, options)?))
            }
            Place::Postgres(address) => {
                let clock: Arc<dyn Clock> = Arc::new(SystemClock);
                let ids = RandomIds::from_system();
                let options = PostgresOptions::new(topology, Routing::Store, clock, &ids);
                let presence = match purpose {
                    Purpose::Serve => Presence::Worker,
                    Purpose::Visit => Presence::Visitor,
                };
                let options = PostgresOptions { presence, ..config.postgres.applied_to(options) };
                Ok(Self::over(PostgresStore::connect(&address, options).await?))
            }
        }
    }

    /// The same store behind every port.
    pub fn over<S>(store: S) -> Self
    where
        S: Store<AnyUnit>
            + Transport
            + Readers
            + VitalSigns
            + DeadLetters
            + ApiKeys
            + ClosedEndpoints
            + Upkeep,
    {
        let store = Arc::new(store);
        Self {
            units: Arc::<S>::clone(&store),
            transport: Arc::<S>::clone(&store),
            readers: Arc::<S>::clone(&store),
            vitals: Arc::<S>::clone(&store),
            dead_letters: Arc::<S>::clone(&store),
            keys: Arc::<S>::clone(&store),
            endpoints: Arc::<S>::clone(&store),
            upkeep: store,
        }
    }
}

#[async_trait]
impl Upkeep for SqliteStore {
    async fn housekeeping_step(&self, now: Timestamp, kept: Retention, max: usize) -> Result<Swept, Fault> {
        Self::housekeeping_step(self, now, kept, max).await
    }

    async fn schema_version(&self) -> Result<u32, Fault> {
        Self::schema_version(self).await
    }

    /// A file is worked on by one process only.
    async fn other_workers(&self) -> Result<usize, Fault> {
        Ok(0)
    }

    async fn is_eldest(&self) -> Result<bool, Fault> {
        Ok(true)
    }

    async fn close(&self) {}
}

#[async_trait]
impl Upkeep for PostgresStore {
    async fn housekeeping_step(&self, now: Timestamp, kept: Retention, max: usize) -> Result<Swept, Fault> {
        Self::housekeeping_step(self, now, kept, max).await
    }

    async fn schema_version(&self) -> Result<u32, Fault> {
        Self::schema_version(self).await
    }

    async fn other_workers(&self) -> Result<usize, Fault> {
        Self::other_workers(self).await
    }

    async fn is_eldest(&self) -> Result<bool, Fault> {
        Self::is_eldest(self).await
    }

    async fn close(&self) {
        Self::close(self.clone()).await;
    }
}
