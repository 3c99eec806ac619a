//! The store of orders: the bus's, with the tables of orders beside it.

use std::ops::Deref;
use std::path::Path;

use application::ports::UnitOfWork;
use async_trait::async_trait;
use bus::{Fault, Store};
use bus_sqlite::{DatabaseOwner, OpenError, SqliteBus, SqliteOptions};

use super::SqliteUnit;
use super::rows::OrderRows;
use crate::forward::forward_bus;

/// Our mark in the file's header is "OWrt".
const OWNER: DatabaseOwner = DatabaseOwner {
    application_id: 0x4f57_7274,
    if_missing: "name one with --database, or make one: orderwright migrate, serve and demo make theirs",
    if_older: "bring them up to date with: orderwright migrate",
};

/// The embedded store. Clones share everything.
#[derive(Clone)]
pub struct SqliteStore(SqliteBus<OrderRows>);

impl SqliteStore {
    /// Opens the file; makes it if there is none and brings its tables up to date, if the options say so.
    ///
    /// # Errors
    /// [`OpenError`] says in one line what is wrong and what to do.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        SqliteBus::open(path, SqliteOptions { owner: OWNER, ..options }).map(Self)
    }

    /// A store that lives in memory only, for tests and simulation.
    ///
    /// # Errors
    /// [`OpenError::Unusable`] if SQLite cannot work at all.
    pub fn in_memory(options: SqliteOptions) -> Result<Self, OpenError> {
        SqliteBus::in_memory(options).map(Self)
    }

    /// The same rows seen by a process that has just started; see [`SqliteBus::restarted`].
    #[must_use]
    pub fn restarted(&self) -> Option<Self> {
        self.0.restarted().map(Self)
    }

    /// Begins a unit.
    pub(super) async fn unit(&self) -> Result<SqliteUnit, Fault> {
        self.0.unit().await.map(SqliteUnit)
    }
}

impl Deref for SqliteStore {
    type Target = SqliteBus<OrderRows>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[async_trait]
impl Store<dyn UnitOfWork> for SqliteStore {
    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, Fault> {
        Ok(Box::new(self.unit().await?))
    }
}

forward_bus!(SqliteStore);
