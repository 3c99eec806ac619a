//! The register of workers over HTTP: who works there, with which versions, and who is gone.

use bus::{Clock, WorkerQueue, WorkerRegister, WorkerReport};
use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::Service;

async fn report(service: &Service, number: u128, version: &str) {
    let (now, queues) = (service.clock.now(), vec![WorkerQueue { queue: "payment".to_owned(), held: 3 }]);
    let report = WorkerReport {
        id: Uuid::from_u128(number),
        version: version.to_owned(),
        host: "here".to_owned(),
        process_id: 7,
        started_at: now,
        queues,
    };
    service.store.report_worker(&report, now).await.expect("a store");
}

fn states(workers: &Value) -> Vec<(&str, &str)> {
    let items = workers["items"].as_array().expect("items").iter();
    items
        .map(|it| (it["version"].as_str().expect("a version"), it["state"].as_str().expect("a state")))
        .collect()
}

#[tokio::test]
async fn workers_are_listed_with_version_and_state_and_what_they_hold() {
    let service = Service::start().await;
    assert_eq!(service.get("/workers").await.expect(200), json!({"items": [], "versions": []}));
    report(&service, 1, "1.0").await;
    service.clock.jump(SignedDuration::from_secs(20));
    report(&service, 2, "1.1").await;
    report(&service, 3, "1.1").await;
    let workers = service.get("/workers").await.expect(200);
    assert_eq!(workers["versions"], json!(["1.0", "1.1"]));
    assert_eq!(workers["items"][0]["queues"], json!([{"queue": "payment", "held": 3}]));
    service.store.worker_leaves(Uuid::from_u128(3), service.clock.now()).await.expect("a store");
    service.clock.jump(SignedDuration::from_secs(15));
    let workers = service.get("/workers").await.expect(200);
    assert_eq!(states(&workers), [("1.0", "silent"), ("1.1", "running"), ("1.1", "left")]);
    assert_eq!(workers["versions"], json!(["1.1"]), "a silent one does not count as running");
}
