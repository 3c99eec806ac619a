//! The pipeline from the order to the parcel on a server: one worker, two that share the work, and two of which one after the
//! other is killed under load.

use std::time::Duration;

use orderwright::any_store::{AnyStore, Purpose};
use orderwright::config::Config;
use testkit::chaos::{self, Carrier, Course, Engine, Mishap, Plan, Verdict};

use crate::program::{PROGRAM, database, json, json_of_a_failure, refusal, server};

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

#[test]
fn every_command_works_on_a_server() {
    let database = database();
    let demo = std::env::temp_dir().join(format!("orderwright-demo-{}", std::process::id()));
    let folder = demo.display().to_string();
    let first = json(&database, &["demo", "--data", &folder]);
    assert_eq!((&first["orders"], &first["orders_new"]), (&830.into(), &830.into()), "{first}");
    let again = json(&database, &["demo", "--data", &folder]);
    assert_eq!((&again["orders_new"], &again["changed_nothing"]), (&0.into(), &true.into()), "{again}");
    assert_eq!(json(&database, &["check"]), serde_json::json!([]));
    let orders = json(&database, &["orders", "list", "--limit", "3"]);
    assert_eq!(orders["items"].as_array().map(Vec::len), Some(3));
    let id = orders["items"][0]["order_id"].as_str().expect("an order has an id").to_owned();
    assert_eq!(json(&database, &["orders", "show", &id])["order"]["order_id"], id);
    assert_eq!(json(&database, &["sagas", "show", &id])["order_id"], id);
    assert!(json(&database, &["stock", "list"])["items"].as_array().is_some_and(|items| !items.is_empty()));
    json(&database, &["dead-letters", "list"]);
    std::fs::remove_dir_all(demo).expect("the demo's folder is ours");
}

#[test]
fn a_file_of_orders_is_brought_in_once() {
    let database = database();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalogue/northwind/orders.csv");
    let report = std::env::temp_dir().join(format!("orderwright-report-{}", std::process::id()));
    let report_name = report.display().to_string();
    json(&database, &["migrate"]);
    let import = ["import", file, "--mapping", "northwind", "--report", &report_name];
    let first = json_of_a_failure(&database, &import);
    assert_eq!(
        (&first["orders_new"], &first["orders_refused"], &first["processed"]["on_the_way"]),
        (&623.into(), &207.into(), &0.into()),
        "what the catalogue does not sell any more is refused: {first}"
    );
    let again = json_of_a_failure(&database, &import);
    assert_eq!(
        (&again["orders_new"], &again["orders_replayed"], &again["orders_refused"]),
        (&0.into(), &623.into(), &207.into()),
        "{again}"
    );
    std::fs::remove_file(report).expect("the report is ours");
}

#[test]
fn a_measurement_wants_an_empty_database_and_counts_the_servers_share() {
    let database = database();
    let folder = std::env::temp_dir().join(format!("orderwright-bench-{}", std::process::id()));
    let (data, pid) = (folder.display().to_string(), server().pid().expect("it runs").to_string());
    let small = ["--orders", "300", "--connections", "8", "--data", &data];
    let bench = [&["bench", "--server-pid", &pid], &small[..]].concat();
    let report = json(&database, &bench);
    assert!(report["delivered_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{report}");
    let shares = report["cpu_ms_per_order"].as_array().expect("a list");
    assert!(shares.iter().any(|share| share[0] == "database"), "{report}");
    let told = refusal(&database, &bench);
    assert!(told.contains("300 orders are in it") && told.contains("createdb"), "{told}");
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_of_our_own_never_answers_for_the_providers_of_a_service_that_runs() {
    let database = database();
    let config = Config { database: database.as_str().into(), ..Config::default() };
    let service = AnyStore::open(&config, Purpose::Serve).await.expect("the server is there");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalogue/northwind/orders.csv");
    let folder = std::env::temp_dir().join(format!("orderwright-beside-{}", std::process::id()));
    let data = folder.display().to_string();
    for command in [&["demo", "--data", &data][..], &["import", file, "--mapping", "northwind"]] {
        let told = tokio::task::block_in_place(|| refusal(&database, command));
        assert!(told.contains("a service works on"), "{told}");
    }
    service.upkeep.close().await;
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}
