//! Real processes over a real broker: orders that are posted to either of two workers are delivered, whatever happens.

use std::time::Duration;

use testkit::chaos::{self, Carrier, Course, Engine, Plan};

use crate::servers::PROGRAM;

async fn holds(engine: Engine, course: Course, faults: u32, orders: u32) {
    let plan = Plan {
        program: PROGRAM.into(),
        engine,
        carrier: Carrier::RabbitMq,
        course,
        faults,
        limit: Duration::from_secs(180),
        orders,
        seed: 5,
    };
    let verdict = chaos::run(&plan).await.expect("the plan can be run to its end");
    assert!(verdict.holds(), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_on_postgresql_that_are_stopped_in_turn_deliver_every_order() {
    holds(Engine::Postgres { workers: 2 }, Course::RollingRestarts, 2, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_on_a_file_that_is_killed_and_cut_off_delivers_every_order() {
    holds(Engine::Sqlite, Course::Mishaps, 4, 100).await;
}
