//! The laws of the bus hold on PostgreSQL, with no tables but its own: one server for all of them, one database for each.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bus::{Host, RandomIds, Routing, VirtualClock};
use bus_laws::stage::{NOW, topology};
use bus_laws::{Bus, BusHome, SagaHome, laws, laws_of_a_bus, laws_of_sagas};
use orderwright_bus_postgres::{PostgresBus, PostgresOptions, PostgresUnit};
use testkit::servers::{Durability, Postgres};

/// A database of its own.
struct Database {
    address: String,
    lease: Option<Duration>,
    processes: u64,
}

impl Default for Database {
    fn default() -> Self {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        let start = || Postgres::start(Durability::None).expect("PostgreSQL's programs are there");
        let address = SERVER.get_or_init(start).database().expect("the server makes databases");
        Self { address, lease: None, processes: 0 }
    }
}

impl Database {
    /// The same, with processes that are missed soon when they die.
    fn of_short_leases() -> Self {
        Self { lease: Some(Duration::from_millis(300)), ..Self::default() }
    }

    async fn connect(&mut self, routing: Routing) -> PostgresBus {
        self.processes += 1;
        let (clock, ids) = (VirtualClock::starting_at(NOW), RandomIds::seeded(self.processes));
        let usual = PostgresOptions::new(topology(), routing, &clock, &ids);
        let lease = self.lease.unwrap_or(usual.lease);
        let options = PostgresOptions { pool_max: 8, lease, ..usual };
        PostgresBus::connect(&self.address, options).await.expect("the server is there")
    }
}

#[async_trait]
impl BusHome for Database {
    async fn bus(&mut self, routing: Routing) -> Bus {
        Bus::over::<PostgresUnit, _>(&Arc::new(self.connect(routing).await), |unit| unit)
    }
}

#[async_trait]
impl SagaHome for Database {
    type Unit = PostgresUnit;

    async fn host(&mut self) -> Host<PostgresUnit> {
        let store = self.connect(Routing::Store).await;
        Host::new(Arc::new(store.clone()), Arc::new(store))
    }
}

laws_of_a_bus!(Database::default());

laws_of_sagas!(Database::default());

laws!(Database::default(), carriage: a_queue_that_nobody_knows_is_refused);

laws!(Database::default(), messages:
    what_is_set_aside_is_told_of_by_the_same_commit,
    what_comes_again_leaves_for_its_own_queue_alone,
    what_is_freed_and_taken_back_leaves_no_news,
);

laws!(Database::of_short_leases(), crashes: a_process_that_dies_at_any_step_and_any_message_that_comes_twice_change_nothing);
