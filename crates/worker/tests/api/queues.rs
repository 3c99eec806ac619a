//! Consumers paused and resumed over HTTP: once, by whom, why, and who may.

use bus::Pauses;
use serde_json::{Value, json};

use crate::harness::{MORNING, Service, pairs, places};

/// The entry of a queue in the list.
async fn listed(service: &Service, name: &str) -> Value {
    let queues = service.get("/queues").await.expect(200);
    let items = queues["items"].as_array().expect("items");
    items.iter().find(|queue| queue["name"] == name).unwrap_or_else(|| panic!("{name} in {queues}")).clone()
}

#[tokio::test]
async fn a_consumer_is_paused_and_resumed_once_and_all_is_told_and_logged() {
    let service = Service::start().await;
    service.placed("one", 1).await;
    let open = json!({
        "name": "order-created", "waiting": 1, "paused_at": null, "paused_by": null, "pause_reason": null,
    });
    let without_nulls = |value: &Value| {
        let members = value.as_object().expect("an object").clone().into_iter();
        members.filter(|(_, value)| !value.is_null()).collect::<serde_json::Map<_, _>>()
    };
    assert_eq!(without_nulls(&listed(&service, "order-created").await), without_nulls(&open));
    let wish = json!({"actor": "eve", "reason": "the gateway is ill"});
    let paused = service.post("/queues/order-created/pause", &wish).await.expect(200);
    assert_eq!(paused, json!({"name": "order-created", "paused": true, "done": "now"}));
    assert!(service.api.commands.context().pauses.is_paused("order-created"), "here it is known at once");
    let again = json!({"actor": "ann", "reason": "me too"});
    let again = service.post("/queues/order-created/pause", &again).await.expect(200);
    assert_eq!(again["done"], "before");
    let queue = listed(&service, "order-created").await;
    assert_eq!(
        (&queue["paused_by"], &queue["pause_reason"], &queue["waiting"]),
        (&json!("eve"), &json!("the gateway is ill"), &json!(1))
    );
    assert!(queue["paused_at"].as_str().is_some_and(|at| at.starts_with(&MORNING[..16])), "{queue}");
    let wish = json!({"actor": "ann", "reason": "it is well"});
    let resumed = service.post("/queues/order-created/resume", &wish).await.expect(200);
    assert_eq!((&resumed["paused"], &resumed["done"]), (&json!(false), &json!("now")));
    assert!(service.store.paused_queues().await.expect("a store").is_empty());
    let log = service.get("/audit?subject=queue%20order-created").await.expect(200);
    let told: Vec<_> = log["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|entry| (entry["action"].as_str().expect("a text"), entry["actor"].as_str().expect("a text")))
        .collect();
    assert_eq!(told, [("queues resume", "ann"), ("queues pause", "eve")], "what changed nothing is not told");
}

#[tokio::test]
async fn a_wish_about_no_queue_or_without_a_reason_pauses_nothing() {
    let service = Service::start().await;
    let wish = json!({"actor": "eve", "reason": "why not"});
    for path in ["/queues/nothing/pause", "/queues/nothing/resume", "/queues/payment_error/pause"] {
        service.post(path, &wish).await.problem(404, "queue_not_found");
    }
    let problem = service.post("/queues/payment/pause", &json!({"actor": " ", "reason": ""})).await;
    let problem = problem.problem(422, "validation_failed");
    assert_eq!(places(&problem), pairs(&[("/actor", "empty"), ("/reason", "empty")]));
    assert!(service.store.paused_queues().await.expect("a store").is_empty());
}
