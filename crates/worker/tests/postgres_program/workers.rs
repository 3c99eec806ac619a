//! The pipeline from the order to the parcel on a server: one worker, two that share the work, and two of which one after the
//! other is killed under load.

use std::time::Duration;

use testkit::chaos::{self, Engine, Plan};

use crate::program::{PROGRAM, database, json};

fn plan(workers: usize, kills: u32, orders: u32) -> Plan {
    Plan {
        program: PROGRAM.into(),
        engine: Engine::Postgres { workers },
        kills,
        limit: Duration::from_secs(180),
        orders,
        seed: 7,
    }
}

async fn holds(plan: Plan) {
    let verdict = chaos::run(&plan).await.expect("the plan can be run to its end");
    assert!(verdict.holds(), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_are_posted_to_one_worker_are_delivered() {
    holds(plan(1, 0, 100)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_of_which_each_is_killed_and_a_server_that_is_killed_lose_and_double_nothing() {
    holds(plan(2, 5, 300)).await;
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
