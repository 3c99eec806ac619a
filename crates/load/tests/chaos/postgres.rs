//! The pipeline from the order to the parcel on a server: one worker, and two of which one after the other is killed under load.

use std::time::Duration;

use orderwright_load::chaos::{self, Carrier, Course, Engine, Mishap, Plan, Verdict};

use crate::PROGRAM;

/// Each is dealt once or twice, in any order.
const MISHAPS: &[Mishap] = &[
    Mishap::WorkerKilled,
    Mishap::WorkerKilled,
    Mishap::DatabaseKilled,
    Mishap::PoolFilled,
    Mishap::WorkerStopped,
];

async fn holds(workers: usize, mishaps: &'static [Mishap], orders: u32) -> Verdict {
    let plan = Plan {
        program: PROGRAM.into(),
        engine: Engine::Postgres { workers },
        carrier: Carrier::Store,
        course: Course::Chosen(mishaps),
        faults: u32::try_from(mishaps.len()).expect("few faults"),
        limit: Duration::from_secs(180),
        orders,
        seed: 7,
    };
    let verdict = chaos::run(&plan).await.expect("the plan can be run to its end");
    assert!(verdict.holds(), "{verdict}");
    verdict
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_are_posted_to_one_worker_are_delivered() {
    holds(1, &[], 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_of_which_each_is_killed_and_a_server_that_is_killed_lose_and_double_nothing() {
    let verdict = holds(2, MISHAPS, 300).await;
    let happened = verdict.happened();
    for worker in 0..2 {
        assert_eq!(happened.times_to(Mishap::WorkerKilled, worker), 1, "{verdict}");
    }
    for mishap in [Mishap::DatabaseKilled, Mishap::PoolFilled, Mishap::WorkerStopped] {
        assert_eq!(happened.times(mishap), 1, "{mishap:?}: {verdict}");
    }
}
