//! Real processes over a real broker: orders that are posted to any of one, two or four workers are delivered, whatever happens.

use std::time::Duration;

use orderwright_load::chaos::{self, Carrier, Course, Engine, Mishap, Plan, Verdict};

use crate::PROGRAM;

/// What happens to however many workers there are.
const SOME: &[Mishap] = &[
    Mishap::WorkerKilled,
    Mishap::WorkerKilled,
    Mishap::BrokerReset,
    Mishap::DatabaseLost,
    Mishap::PoolFilled,
];

/// What happens to one that has its orders in a file.
const SOME_TO_A_FILE: &[Mishap] =
    &[Mishap::WorkerKilled, Mishap::WorkerKilled, Mishap::BrokerReset, Mishap::BrokerLost];

/// What the broker loses, or is given by mistake.
const LOSSES: &[Mishap] =
    &[Mishap::MessagesLost, Mishap::QuorumLost, Mishap::QueuesDeleted, Mishap::SecondDatabase];

/// The same, and what happens to a file.
const LOSSES_BESIDE_A_FILE: &[Mishap] =
    &[Mishap::MessagesLost, Mishap::QueuesDeleted, Mishap::SecondDatabase, Mishap::FileReplaced];

async fn holds(engine: Engine, course: Course, faults: usize) -> Verdict {
    let plan = Plan {
        program: PROGRAM.into(),
        engine,
        carrier: Carrier::RabbitMq,
        course,
        faults: u32::try_from(faults).expect("few faults"),
        limit: Duration::from_secs(180),
        orders: 100,
        seed: 6,
    };
    let verdict = chaos::run(&plan).await.expect("the plan can be run to its end");
    assert!(verdict.holds(), "{verdict}");
    verdict
}

/// All of these happen, each as often as it is named.
async fn holds_under(engine: Engine, mishaps: &'static [Mishap]) -> Verdict {
    let verdict = holds(engine, Course::Chosen(mishaps), mishaps.len()).await;
    for mishap in mishaps {
        let named = mishaps.iter().filter(|other| *other == mishap).count();
        assert_eq!(verdict.happened().times(*mishap) as usize, named, "{mishap:?}: {verdict}");
    }
    verdict
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_worker_delivers_every_order_whatever_happens_to_it() {
    let verdict = holds_under(Engine::Postgres { workers: 1 }, SOME).await;
    assert_eq!(verdict.happened().times_to(Mishap::WorkerKilled, 0), 2, "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_of_which_each_is_killed_deliver_every_order() {
    let verdict = holds_under(Engine::Postgres { workers: 2 }, SOME).await;
    for worker in 0..2 {
        assert_eq!(verdict.happened().times_to(Mishap::WorkerKilled, worker), 1, "{verdict}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_of_which_two_are_killed_deliver_every_order() {
    let verdict = holds_under(Engine::Postgres { workers: 4 }, SOME).await;
    let killed = (0..4).filter(|worker| verdict.happened().times_to(Mishap::WorkerKilled, *worker) == 1);
    assert_eq!(killed.count(), 2, "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_on_postgresql_that_are_stopped_in_turn_deliver_every_order() {
    let verdict = holds(Engine::Postgres { workers: 2 }, Course::RollingRestarts, 2).await;
    for worker in 0..2 {
        assert_eq!(verdict.happened().times_to(Mishap::WorkerStopped, worker), 1, "{verdict}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_on_a_file_that_is_killed_and_cut_off_delivers_every_order() {
    holds_under(Engine::Sqlite, SOME_TO_A_FILE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_broker_loses_two_workers_deliver_every_order() {
    holds_under(Engine::Postgres { workers: 2 }, LOSSES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_broker_loses_and_wherever_its_file_goes_a_worker_delivers_every_order() {
    holds_under(Engine::Sqlite, LOSSES_BESIDE_A_FILE).await;
}
