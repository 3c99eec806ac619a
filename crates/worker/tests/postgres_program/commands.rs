//! The commands on a server, and beside a service that works on the same rows.

use orderwright::any_store::{AnyStore, Purpose};
use orderwright::config::Config;

use crate::program::{database, json, json_of_a_failure, refusal};

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
