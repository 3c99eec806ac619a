//! The bus on SQLite at work on meter readings, each in a table of the user's own, and a meter that is noticed when it
//! falls silent. `cargo run -p orderwright-bus-sqlite --example meter_readings`

#[path = "../../bus/examples/meters/mod.rs"]
mod meters;

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Fault, Message, RandomIds, Routing, Stop, Supervisor, SystemClock, Topology};
use meters::worker::Worker;
use meters::{Meter, News, QUEUE, ReadingTaken, Readings};
use orderwright_bus_sqlite::{Rows, SqliteBus, SqliteOptions, SqliteUnit, fault};
use refinery::{Migration, Runner};

/// The user's own tables.
#[derive(Default)]
struct Own;

impl Rows for Own {
    type Memory = ();

    fn migrations() -> Option<Runner> {
        let table = "create table readings (meter_id blob not null, kwh integer not null)";
        Some(Runner::new(&[Migration::unapplied("V1__readings", table).expect("the name is right")]))
    }
}

#[async_trait]
impl Readings for SqliteUnit<Own> {
    async fn add(&mut self, taken: &[ReadingTaken]) -> Result<(), Fault> {
        let add = || {
            let mut insert = self.connection().prepare_cached("insert into readings values (?, ?)")?;
            taken.iter().try_for_each(|reading| insert.execute((reading.meter_id, reading.kwh)).map(drop))
        };
        add().map_err(fault("readings.add"))
    }
}

#[tokio::main]
async fn main() {
    let (meter, kwh) = run().await;
    println!("{meter:?} has used {kwh} kWh");
}

/// Two readings and then silence; returns the meter and the sum of the table.
pub(crate) async fn run() -> (Meter, i64) {
    let topology = Topology::default().subscribe(QUEUE, News::KINDS);
    let options = SqliteOptions::new(topology, Routing::Store);
    let bus = SqliteBus::<Own>::in_memory(options).expect("memory is there");
    let worker = Worker {
        store: Arc::new(bus.clone()),
        transport: Arc::new(bus.clone()),
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds::from_system()),
    };
    let mut supervisor = Supervisor::new(Stop::new());
    worker.start(&mut supervisor);
    let meter = worker.read_twice().await;
    let (sum, id) = ("select sum(kwh) from readings where meter_id = ?", meter.id);
    let kwh = bus.read("readings.sum", move |rows| rows.query_row(sum, [id], |row| row.get(0))).await;
    (meter, kwh.expect("the table is there"))
}
