//! The bus on PostgreSQL and RabbitMQ at work on meter readings, each in a table of the user's own, and a meter that is noticed
//! when it falls silent. `cargo run -p orderwright-bus-postgres --example meter_readings_postgres`

mod meters;

use std::{error::Error, sync::Arc};

use bus::{Fault, Host, Registry, Routing, Stop, Supervisor, Work};
use bus_rabbitmq::RabbitMqTransport;
use meters::{Meter, News, read_twice, tell};
use orderwright_bus_postgres::{Act, PostgresBus, PostgresOptions, PostgresUnit, Rows, query};
use refinery::{Migration, Runner};

/// The user's own tables.
#[derive(Default)]
struct Own;

impl Rows for Own {
    fn migrations() -> Option<Runner> {
        let table = "create table readings (meter_id uuid not null, kwh bigint not null)";
        Some(Runner::new(&[Migration::unapplied("V1__readings", table).expect("the name is right")]))
    }
}

/// Adds a reading to the table and tells its meter, in one transaction.
async fn take(unit: &mut PostgresUnit<Own>, work: &mut Work<News>) -> Result<(), Fault> {
    if let News::Taken(reading) = &work.message {
        let (insert, values) = ("insert into readings values ($1, $2)", (reading.meter_id, reading.kwh));
        unit.later(Act::new("readings.add", insert, vec![Box::new(values.0), Box::new(values.1)]));
    }
    tell(unit, work).await
}

#[tokio::main]
async fn main() {
    let address = |name| std::env::var(name).expect("DATABASE_URL and BROKER_URL say where the servers are");
    println!("a meter and its kWh: {:?}", run(&address("DATABASE_URL"), &address("BROKER_URL")).await);
}

/// Two readings over the broker and then silence; returns the meter and the sum of the table.
pub(crate) async fn run(database: &str, broker: &str) -> Result<(Meter, i64), Box<dyn Error + Send + Sync>> {
    let consumers = Registry::new().handler("meter-readings", take);
    let (clock, ids) = bus::system();
    let transport = RabbitMqTransport::connect(broker, consumers.topology()).await?;
    let options = PostgresOptions::new(consumers.topology(), Routing::Outbox, &*clock, &*ids);
    let bus = PostgresBus::<Own>::connect(database, options).await?;
    let host = Host::new(Arc::new(bus.clone()), Arc::new(transport));
    let mut supervisor = Supervisor::new(Stop::new());
    consumers.start(&(), &host, &mut supervisor);
    host.relay(Arc::new(bus.clone())).woken_by(bus.outgoing()).start("relay", &mut supervisor);
    let meter = read_twice(&host).await?;
    let sum = "select sum(kwh)::bigint from readings where meter_id = $1";
    let rows = query(&bus.reader("readings.sum").await?, "readings.sum", sum, &[Box::new(meter.id)]).await?;
    Ok((meter, rows[0].get(0)))
}
