//! The store of orders: the bus's, with the tables of orders beside it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use application::ports::UnitOfWork;
use async_trait::async_trait;
use bus::{CallSlots, Fault, Store};
use bus_postgres::{ConnectError, DatabaseOwner, PostgresBus, PostgresOptions};

use super::PostgresUnit;
use super::rows::OrderRows;
use super::settled::Settled;
use crate::forward::forward_bus;

const OWNER: DatabaseOwner = DatabaseOwner {
    program: "orderwright",
    title: "Orderwright",
    if_missing: "make them with: orderwright migrate, or start the service",
    if_foreign: "give Orderwright one of its own: createdb orderwright",
    if_older: "bring them up to date with: orderwright migrate",
};

/// The store on a PostgreSQL server. Clones share everything.
#[derive(Clone)]
pub struct PostgresStore(PostgresBus<OrderRows>, Arc<Settled>);

impl PostgresStore {
    /// Connects to `postgres://user:password@host:port/database`, brings its tables up to date if the options say so, and
    /// registers this process if it works there. A visitor writes nothing before it begins a transaction.
    ///
    /// # Errors
    /// [`ConnectError`] says in one line what is wrong and what to do.
    pub async fn connect(address: &str, options: PostgresOptions) -> Result<Self, ConnectError> {
        PostgresBus::connect(address, PostgresOptions { owner: OWNER, ..options })
            .await
            .map(|bus| Self(bus, Arc::default()))
    }

    /// Gives up every claim of this process; see [`PostgresBus::close`].
    pub async fn close(self) {
        self.0.close().await;
    }

    /// Up to where events can be told of.
    pub(super) fn settled(&self) -> &Settled {
        &self.1
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

forward_bus!(PostgresStore);
