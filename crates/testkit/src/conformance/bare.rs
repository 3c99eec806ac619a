//! The bus alone on each engine, as a user has it who keeps no tables of its own beside it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bus::{RandomIds, Routing, VirtualClock};
use bus_postgres::{PostgresBus, PostgresOptions, PostgresUnit};
use bus_sqlite::{SqliteBus, SqliteOptions, SqliteUnit};

use super::homes::database;
use super::stage::{NOW, topology};
use super::{Bus, BusHome};

/// A file of its own, gone with it.
pub struct SqliteBusHome(PathBuf);

impl Default for SqliteBusHome {
    fn default() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("orderwright-bus-{}-{number}", std::process::id())))
    }
}

impl Drop for SqliteBusHome {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[async_trait]
impl BusHome for SqliteBusHome {
    async fn bus(&mut self, routing: Routing) -> Bus {
        let options = SqliteOptions::new(topology(), routing);
        let store: SqliteBus =
            SqliteBus::open(&self.0.join("bus.db"), options).expect("the folder can be written");
        Bus::over::<SqliteUnit, _>(&Arc::new(store), |unit| unit)
    }
}

/// A database of its own on a server that all of a test program share.
pub struct PostgresBusHome {
    address: String,
    processes: u64,
}

impl Default for PostgresBusHome {
    fn default() -> Self {
        Self { address: database(), processes: 0 }
    }
}

#[async_trait]
impl BusHome for PostgresBusHome {
    async fn bus(&mut self, routing: Routing) -> Bus {
        self.processes += 1;
        let (clock, ids) = (VirtualClock::starting_at(NOW), RandomIds::seeded(self.processes));
        let options =
            PostgresOptions { pool_max: 8, ..PostgresOptions::new(topology(), routing, &clock, &ids) };
        let store: PostgresBus =
            PostgresBus::connect(&self.address, options).await.expect("the server is there");
        Bus::over::<PostgresUnit, _>(&Arc::new(store), |unit| unit)
    }
}
