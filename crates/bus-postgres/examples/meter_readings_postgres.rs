//! The bus on PostgreSQL and RabbitMQ at work on meter readings, each in a table of the user's own, and a meter that is
//! noticed when it falls silent.
//! `cargo run -p orderwright-bus-postgres --example meter_readings -- postgres://… amqp://…`

#[path = "../../bus/examples/meters/mod.rs"]
mod meters;

use std::sync::Arc;

use async_trait::async_trait;
use bus::{
    Clock, Fault, IdSource, Message, RandomIds, Relay, Routing, Stop, Supervisor, SystemClock, Topology,
};
use bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use meters::worker::Worker;
use meters::{Meter, News, QUEUE, ReadingTaken, Readings};
use orderwright_bus_postgres::{Act, Array, PostgresBus, PostgresOptions, PostgresUnit, Rows, query};
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

#[async_trait]
impl Readings for PostgresUnit<Own> {
    async fn add(&mut self, taken: &[ReadingTaken]) -> Result<(), Fault> {
        let sql = "insert into readings select * from unnest($1::uuid[], $2::bigint[])";
        let ids = Array::uuids(taken.iter().map(|reading| reading.meter_id));
        let kwh = Array::numbers(taken.iter().map(|reading| reading.kwh));
        self.later(Act::new("readings.add", sql, vec![Box::new(ids), Box::new(kwh)]));
        Ok(())
    }
}

#[tokio::main]
async fn main() {
    let mut addresses = std::env::args().skip(1);
    let (Some(database), Some(broker)) = (addresses.next(), addresses.next()) else {
        return eprintln!("name a database and a broker: postgres://… amqp://…");
    };
    let (meter, kwh) = run(&database, &broker).await;
    println!("{meter:?} has used {kwh} kWh");
}

/// Two readings over the broker and then silence; returns the meter and the sum of the table.
pub(crate) async fn run(database: &str, broker: &str) -> (Meter, i64) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::from_system());
    let topology = Topology::default().subscribe(QUEUE, News::KINDS);
    let settings = RabbitMqSettings::at(vec![broker.to_owned()]);
    let transport = RabbitMqTransport::new(&settings, topology.clone(), Arc::clone(&clock), &ids);
    let transport = Arc::new(transport.expect("the settings are right"));
    transport.declare().await.expect("the broker is there");
    let options = PostgresOptions::new(topology, Routing::Outbox, clock.as_ref(), ids.as_ref());
    let bus = PostgresBus::<Own>::connect(database, options).await.expect("the server is there");
    let outbox = Arc::new(bus.clone());
    let relay =
        Relay::new(outbox, Arc::<RabbitMqTransport>::clone(&transport), Arc::clone(&clock), Arc::clone(&ids));
    let relay = Arc::new(relay.woken_by(bus.outgoing()));
    let worker = Worker { store: Arc::new(bus.clone()), transport, clock, ids };
    let mut supervisor = Supervisor::new(Stop::new());
    worker.start(&mut supervisor);
    supervisor.run("relay", move |stop| {
        let relay = Arc::clone(&relay);
        async move { relay.run(stop).await }
    });
    let meter = worker.read_twice().await;
    let reader = bus.reader("readings.sum").await.expect("the server is there");
    let sum = "select sum(kwh)::bigint from readings where meter_id = $1";
    let rows = query(&reader, "readings.sum", sum, &[Box::new(meter.id)]).await.expect("the table is there");
    (meter, rows[0].get(0))
}
