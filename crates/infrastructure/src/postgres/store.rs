//! The store of orders: the bus's, with the tables of orders beside it.

use std::ops::Deref;
use std::time::Duration;

use application::ports::UnitOfWork;
use async_trait::async_trait;
use bus::{
    CallSlots, DeadLetter, DeadLetterFilter, DeadLetters, Envelope, Fault, Feed, Leased, OutboxStore, Store,
    Transport, Unsent,
};
use bus_postgres::{ConnectError, DatabaseOwner, PostgresBus, PostgresOptions};
use jiff::Timestamp;
use uuid::Uuid;

use super::PostgresUnit;
use super::rows::OrderRows;

const OWNER: DatabaseOwner = DatabaseOwner {
    program: "orderwright",
    title: "Orderwright",
    if_missing: "make them with: orderwright migrate, or start the service",
    if_foreign: "give Orderwright one of its own: createdb orderwright",
    if_older: "bring them up to date with: orderwright migrate",
};

/// The store on a PostgreSQL server. Clones share everything.
#[derive(Clone)]
pub struct PostgresStore(PostgresBus<OrderRows>);

impl PostgresStore {
    /// Connects to `postgres://user:password@host:port/database`, brings its tables up to date if the options say so, and
    /// registers this process if it works there. A visitor writes nothing before it begins a transaction.
    ///
    /// # Errors
    /// [`ConnectError`] says in one line what is wrong and what to do.
    pub async fn connect(address: &str, options: PostgresOptions) -> Result<Self, ConnectError> {
        PostgresBus::connect(address, PostgresOptions { owner: OWNER, ..options }).await.map(Self)
    }

    /// Gives up every claim of this process; see [`PostgresBus::close`].
    pub async fn close(self) {
        self.0.close().await;
    }

    /// Begins a unit.
    pub(super) async fn unit(&self) -> Result<PostgresUnit, Fault> {
        self.0.unit().await.map(PostgresUnit)
    }
}

impl Deref for PostgresStore {
    type Target = PostgresBus<OrderRows>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[async_trait]
impl CallSlots for PostgresStore {
    async fn take(&self, name: &'static str, interval: Duration, count: u32) -> Result<Duration, Fault> {
        self.0.take(name, interval, count).await
    }
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
        self.0.subscribe(queue).await
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        self.0.send(envelopes).await
    }
}

#[async_trait]
impl OutboxStore for PostgresStore {
    async fn lease(
        &self,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<Vec<Leased>, Fault> {
        self.0.lease(holder, now, until, max).await
    }

    async fn remove(&self, holder: Uuid, positions: &[i64]) -> Result<usize, Fault> {
        self.0.remove(holder, positions).await
    }
}

#[async_trait]
impl DeadLetters for PostgresStore {
    async fn list_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        max: usize,
    ) -> Result<Vec<DeadLetter>, Fault> {
        self.0.list_dead_letters(filter, max).await
    }

    async fn count_dead_letters(&self, filter: &DeadLetterFilter) -> Result<u64, Fault> {
        self.0.count_dead_letters(filter).await
    }

    async fn redrive(&self, positions: &[i64], actor: &str, now: Timestamp) -> Result<usize, Fault> {
        self.0.redrive(positions, actor, now).await
    }
}
