//! The example that is no order runs, and its saga, its timer and its own table agree.

#[path = "../examples/meter_readings_postgres.rs"]
#[allow(dead_code, reason = "the example also has a main")]
mod example;

use std::time::Duration;

use testkit::servers::rabbitmq::RabbitMq;
use testkit::servers::{Durability, Postgres};

#[tokio::test(flavor = "multi_thread")]
async fn readings_are_added_up_over_a_broker_and_a_meter_that_falls_silent_is_noticed() {
    let (server, node) = (Postgres::start(Durability::None).unwrap(), RabbitMq::start().unwrap());
    let (database, broker) = (server.database().unwrap(), node.vhost().unwrap());
    let run = tokio::time::timeout(Duration::from_secs(60), example::run(&database, &broker));
    let (meter, kwh) = run.await.expect("the timer fires").expect("nothing is away");
    assert_eq!((meter.readings, meter.is_silent, kwh), (2, true, 12));
}
