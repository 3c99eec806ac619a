//! The bus on SQLite at work on meter readings, each in a table of the user's own, and a meter that is noticed when it
//! falls silent. `cargo run -p orderwright-bus-sqlite --example meter_readings`

mod meters;

use std::{error::Error, sync::Arc};

use bus::{Fault, Host, Registry, Routing, Stop, Supervisor, Work};
use meters::{Meter, News, read_twice, tell};
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

/// Adds a reading to the table and tells its meter, in one transaction.
async fn take(unit: &mut SqliteUnit<Own>, work: &mut Work<News>) -> Result<(), Fault> {
    if let News::Taken(reading) = &work.message {
        let (insert, values) = ("insert into readings values (?, ?)", (reading.meter_id, reading.kwh));
        unit.connection().execute(insert, values).map_err(fault("readings.add"))?;
    }
    tell(unit, work).await
}

#[tokio::main]
async fn main() {
    println!("a meter and its kWh: {:?}", run().await);
}

/// Two readings and then silence; returns the meter and the sum of the table.
pub(crate) async fn run() -> Result<(Meter, i64), Box<dyn Error + Send + Sync>> {
    let consumers = Registry::new().handler("meter-readings", take);
    let bus = SqliteBus::<Own>::in_memory(SqliteOptions::new(consumers.topology(), Routing::Store))?;
    let host = Host::new(Arc::new(bus.clone()), Arc::new(bus.clone()));
    let mut supervisor = Supervisor::new(Stop::new());
    consumers.start(&(), &host, &mut supervisor);
    let meter = read_twice(&host).await?;
    let (sum, id) = ("select sum(kwh) from readings where meter_id = ?", meter.id);
    let kwh = bus.read("readings.sum", move |rows| rows.query_row(sum, [id], |row| row.get(0))).await?;
    Ok((meter, kwh))
}
