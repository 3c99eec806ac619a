//! The laws of the bus hold on SQLite, in a file and in memory, with no tables but its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bus::{Host, Routing};
use bus_laws::stage::topology;
use bus_laws::{Bus, BusHome, SagaHome, laws, laws_of_a_bus, laws_of_sagas};
use orderwright_bus_sqlite::{SqliteBus, SqliteOptions, SqliteUnit};

/// A file of its own, gone with it.
struct FileHome(PathBuf);

impl Default for FileHome {
    fn default() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("orderwright-bus-{}-{number}", std::process::id())))
    }
}

impl Drop for FileHome {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl FileHome {
    fn open(&self, routing: Routing) -> SqliteBus {
        let options = SqliteOptions::new(topology(), routing);
        SqliteBus::open(&self.0.join("bus.db"), options).expect("the folder can be written")
    }
}

#[async_trait]
impl BusHome for FileHome {
    async fn bus(&mut self, routing: Routing) -> Bus {
        Bus::over::<SqliteUnit, _>(&Arc::new(self.open(routing)), |unit| unit)
    }
}

#[async_trait]
impl SagaHome for FileHome {
    type Unit = SqliteUnit;

    async fn host(&mut self) -> Host<SqliteUnit> {
        let store = self.open(Routing::Store);
        Host::new(Arc::new(store.clone()), Arc::new(store))
    }
}

/// Rows in memory, which outlive the processes on them.
#[derive(Default)]
struct MemoryHome(Option<SqliteBus>);

impl MemoryHome {
    fn open(&mut self, routing: Routing) -> SqliteBus {
        let process = match &self.0 {
            Some(earlier) => earlier.restarted().expect("a store in memory can be started again"),
            None => SqliteBus::in_memory(SqliteOptions::new(topology(), routing)).expect("memory is there"),
        };
        self.0 = Some(process.clone());
        process
    }
}

#[async_trait]
impl BusHome for MemoryHome {
    async fn bus(&mut self, routing: Routing) -> Bus {
        Bus::over::<SqliteUnit, _>(&Arc::new(self.open(routing)), |unit| unit)
    }
}

#[async_trait]
impl SagaHome for MemoryHome {
    type Unit = SqliteUnit;

    async fn host(&mut self) -> Host<SqliteUnit> {
        let store = self.open(Routing::Store);
        Host::new(Arc::new(store.clone()), Arc::new(store))
    }
}

mod in_a_file {
    use super::*;

    laws_of_a_bus!(FileHome::default());
    laws_of_sagas!(FileHome::default());
    laws!(FileHome::default(), crashes: a_process_that_dies_at_any_step_and_any_message_that_comes_twice_change_nothing);
    laws!(FileHome::default(), carriage: a_queue_that_nobody_knows_is_refused);
    laws!(FileHome::default(), messages:
        what_is_set_aside_is_told_of_by_the_same_commit,
        what_comes_again_leaves_for_its_own_queue_alone,
        what_is_freed_and_taken_back_leaves_no_news,
    );
}

mod in_memory {
    use super::*;

    laws_of_a_bus!(MemoryHome::default());
    laws_of_sagas!(MemoryHome::default());
    laws!(MemoryHome::default(), crashes: a_process_that_dies_at_any_step_and_any_message_that_comes_twice_change_nothing);
    laws!(MemoryHome::default(), carriage: a_queue_that_nobody_knows_is_refused);
    laws!(MemoryHome::default(), messages:
        what_is_set_aside_is_told_of_by_the_same_commit,
        what_comes_again_leaves_for_its_own_queue_alone,
        what_is_freed_and_taken_back_leaves_no_news,
    );
}
