//! Webhooks: believed by their signature only, each event once, in whatever order, and never an error for old news.

use application::saga::EventKind;
use axum::body::Body;
use bus::Clock;
use http::Method;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{JSON, PAYMENTS_SECRET, SHIPPING_SECRET, Service, request, signature};
use crate::once::early;

const PAYMENTS: &str = "/webhooks/payments";
const SHIPPING: &str = "/webhooks/shipping";

fn captured(event: &str, order: &str) -> Value {
    json!({"id": event, "type": "payment.captured", "created_at": 1_772_000_000_000_000_i64, "data": {
        "reference": order, "idempotency_key": format!("pay-{order}"), "charge_id": "ch_1",
        "amount_minor": 3600, "currency": "USD", "status": "captured"}})
}

fn delivered(event: &str, order: &str) -> Value {
    json!({"id": event, "type": "shipment.delivered", "created_at": 1_772_000_000_000_000_i64, "data": {
        "reference": order, "idempotency_key": format!("ship-{order}"), "shipment_id": "sh_1",
        "tracking_number": "T1", "status": "delivered"}})
}

async fn awaiting_payment(service: &Service, key: &str) -> String {
    let id = service.placed(key, 2).await;
    service
        .happen(&id, &[EventKind::OrderValidated, EventKind::InventoryReserved, EventKind::PaymentStarted])
        .await;
    id
}

async fn captured_minor(service: &Service, id: &str) -> Option<i64> {
    service.get(&format!("/orders/{id}")).await.expect(200)["payment"]["captured_minor"].as_i64()
}

#[tokio::test]
async fn a_payment_told_by_webhook_is_noted_once() {
    let service = Service::start().await;
    let id = awaiting_payment(&service, "k-1").await;
    let batch = json!({"events": [captured("e-1", &id)]});
    let taken = service.webhook(PAYMENTS, PAYMENTS_SECRET, "w-1", &batch).await.expect(200);
    assert_eq!(taken, json!({"received": 1, "applicable": 1}));
    assert_eq!(captured_minor(&service, &id).await, Some(3600));
    let queued = service.get("/overview").await.expect(200)["queues"].clone();
    for webhook in ["w-1", "w-2"] {
        service.webhook(PAYMENTS, PAYMENTS_SECRET, webhook, &batch).await.expect(200);
    }
    assert_eq!(
        service.get("/overview").await.expect(200)["queues"],
        queued,
        "a repeat tells nobody anything"
    );
}

#[tokio::test]
async fn news_that_means_nothing_here_is_taken_all_the_same() {
    let service = Service::start().await;
    let nobody = "00000000-0000-7000-8000-000000000000";
    let batch = json!({"events": [
        captured("e-1", "not an order of ours"),
        captured("e-2", nobody),
        delivered("e-3", nobody),
        {"id": "e-4", "type": "payment.disputed", "created_at": 1, "data": {"reference": nobody}},
        {"id": "e-5", "type": "payment.captured", "created_at": 1},
    ]});
    let taken = service.webhook(PAYMENTS, PAYMENTS_SECRET, "w-1", &batch).await.expect(200);
    assert_eq!(taken["received"], 5);
    service.webhook(SHIPPING, SHIPPING_SECRET, "w-1", &json!({"events": []})).await.expect(200);
}

#[tokio::test]
async fn what_belongs_to_no_order_is_listed_with_its_reason_until_a_person_has_seen_to_it() {
    let service = Service::start().await;
    let id = awaiting_payment(&service, "k-1").await;
    let nobody = "00000000-0000-7000-8000-000000000000";
    let batch = json!({"events": [captured("e-1", nobody), delivered("e-2", &id)]});
    service.webhook(PAYMENTS, PAYMENTS_SECRET, "w-1", &batch).await.expect(200);
    let listed = service.get("/provider-events/unmatched").await.expect(200);
    let seen: Vec<_> = listed["items"].as_array().expect("a list").iter().collect();
    assert_eq!(seen.len(), 2, "{listed}");
    assert_eq!((&seen[0]["reason"], &seen[1]["reason"]), (&json!("unknown_order"), &json!("wrong_provider")));
    assert!(seen[0]["detail"].as_str().is_some_and(|detail| detail.contains("ch_1")), "{listed}");
    let at = |event: &Value| format!("/provider-events/unmatched/{}/seen", event["position"]);
    let who = json!({"actor": "eve", "note": "another shop's"});
    assert_eq!(service.post(&at(seen[0]), &who).await.expect(200)["seen"], "now");
    assert_eq!(service.post(&at(seen[0]), &who).await.expect(200)["seen"], "before");
    let left = service.get("/provider-events/unmatched?provider=payments").await.expect(200);
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1));
    let all = service.get("/provider-events/unmatched?which=all").await.expect(200);
    assert_eq!(all["items"][0]["note"], "another shop's");
    service.post("/provider-events/unmatched/999999/seen", &who).await.problem(404, "event_not_found");
    service.get("/provider-events/unmatched?which=some").await.problem(400, "invalid_parameter");
}

#[tokio::test]
async fn an_event_that_came_too_early_is_taken_again_once_its_order_is_known() {
    let service = Service::start().await;
    let who = json!({"actor": "eve", "note": "the order is here now"});
    let again = async |position: &str| {
        service.post(&format!("/provider-events/unmatched/{position}/take-again"), &who).await
    };
    let stranger = json!({"events": [captured("e-1", "00000000-0000-0000-0000-000000000007")]});
    service.webhook(PAYMENTS, PAYMENTS_SECRET, "w-1", &stranger).await.expect(200);
    let order = service.placed("early", 2).await;
    early(&service, &order).await;
    let listed = service.get("/provider-events/unmatched").await.expect(200);
    let position = |at: usize| listed["items"][at]["position"].to_string();
    let refused = again(&position(0)).await.problem(409, "event_unmatched");
    assert!(refused["detail"].as_str().expect("why").contains("unknown_order"), "{refused}");
    assert_eq!(again(&position(1)).await.expect(200)["taken"], "now");
    assert_eq!(again(&position(1)).await.expect(200)["taken"], "before");
    again("77").await.problem(404, "event_not_found");
    let history = service.get(&format!("/orders/{order}/history")).await.expect(200);
    let told = history["items"].as_array().expect("items").iter();
    let told = told.filter(|entry| entry["event"] == "ProviderEvent").count();
    assert_eq!(told, 1, "it counts once: {history}");
    let left = service.get("/provider-events/unmatched").await.expect(200);
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1), "the stranger's stays: {left}");
    let audit = service.get("/audit").await.expect(200);
    assert_eq!(audit["items"][0]["action"], "provider-events take-again");
}

#[tokio::test]
async fn a_customer_is_told_again_what_holds_now_under_the_same_id() {
    let service = Service::start().await;
    let order = service.placed("told", 2).await;
    let who = json!({"actor": "eve", "note": "the mail was lost"});
    let path = format!("/orders/{order}/notifications");
    service.post(&path, &who).await.problem(409, "nothing_to_tell");
    let way = [
        EventKind::OrderValidated,
        EventKind::InventoryReserved,
        EventKind::PaymentStarted,
        EventKind::PaymentCaptured,
        EventKind::ShipmentBooked,
        EventKind::ParcelDelivered,
    ];
    service.happen(&order, &way).await;
    let asked = service.post(&path, &who).await.expect(202);
    assert_eq!((&asked["notification"], &asked["channels"]), (&json!("order.delivered"), &json!(2)));
    let audit = service.get("/audit").await.expect(200);
    assert_eq!(audit["items"][0]["action"], "orders tell-again order.delivered");
    service
        .post(&path.replace(&order, "00000000-0000-0000-0000-000000000007"), &who)
        .await
        .problem(404, "order_not_found");
}

#[tokio::test]
async fn nobody_without_the_secret_is_believed_and_nothing_is_read_before() {
    let service = Service::start().await;
    let now = service.clock.now().as_second();
    let send = async |id: &str, sent_at: &str, signed: &str, body: &str| {
        let headers =
            [JSON, ("webhook-id", id), ("webhook-timestamp", sent_at), ("webhook-signature", signed)];
        service.send(request(Method::POST, PAYMENTS, &headers, Body::from(body.to_owned()))).await
    };
    let sent_at = now.to_string();
    let good = signature(PAYMENTS_SECRET, "w-1", &sent_at, b"not json");
    send("w-1", &sent_at, &good, "not json").await.problem(400, "malformed_webhook");
    let problem = send("w-1", &sent_at, &good, "not json either").await.problem(401, "signature_refused");
    assert!(
        problem["detail"].as_str().is_some_and(|detail| detail.contains("no signature fits")),
        "{problem}"
    );
    send("w-2", &sent_at, &good, "not json").await.problem(401, "signature_refused");
    let other = signature(SHIPPING_SECRET, "w-1", &sent_at, b"not json");
    send("w-1", &sent_at, &other, "not json").await.problem(401, "signature_refused");
    let of_gateway = signature(PAYMENTS_SECRET, "w-1", &sent_at, b"not json");
    let headers =
        [JSON, ("webhook-id", "w-1"), ("webhook-timestamp", &sent_at), ("webhook-signature", &of_gateway)];
    let at_the_carriers = request(Method::POST, SHIPPING, &headers, Body::from("not json"));
    service.send(at_the_carriers).await.problem(401, "signature_refused");
    let old = (now - 3_600).to_string();
    let stale = signature(PAYMENTS_SECRET, "w-1", &old, b"{}");
    let problem = send("w-1", &old, &stale, "{}").await.problem(401, "signature_refused");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("too old")), "{problem}");
    let bare = request(Method::POST, PAYMENTS, &[JSON], Body::from("{}"));
    service.send(bare).await.problem(401, "signature_refused");
}

#[tokio::test]
async fn a_batch_larger_than_any_is_refused() {
    let service = Service::start().await;
    let events: Vec<Value> = (0..1_001).map(|number| captured(&format!("e-{number}"), "x")).collect();
    let answer = service.webhook(PAYMENTS, PAYMENTS_SECRET, "w-1", &json!({"events": events})).await;
    answer.problem(400, "malformed_webhook");
}

#[tokio::test]
async fn what_was_received_lately_is_told_with_what_came_of_it_and_nothing_that_it_said() {
    let service = Service::start().await;
    let id = awaiting_payment(&service, "k-1").await;
    let nobody = "00000000-0000-7000-8000-000000000000";
    let batch = json!({"events": [captured("e-1", &id), captured("e-2", nobody), captured("e-1", &id)]});
    service.webhook(PAYMENTS, PAYMENTS_SECRET, "w-1", &batch).await.expect(200);
    service.clock.jump(jiff::SignedDuration::from_secs(1));
    service.webhook(SHIPPING, PAYMENTS_SECRET, "w-2", &batch).await.problem(401, "signature_refused");
    let secret = json!("4111 1111 1111 1111");
    service.webhook(PAYMENTS, PAYMENTS_SECRET, "w-3", &secret).await.problem(400, "malformed_webhook");
    let told = service.get("/provider-events/received").await.expect(200);
    let items = told["items"].as_array().expect("a list");
    let of =
        |outcome: &str| -> Vec<&Value> { items.iter().filter(|item| item["outcome"] == outcome).collect() };
    assert_eq!(items.len(), 5, "{told}");
    assert!(items[..2].iter().all(|item| item["outcome"] == "refused"), "the latest first: {told}");
    let taken = of("taken");
    assert_eq!((&taken[0]["event_id"], &taken[0]["order_id"]), (&json!("e-1"), &json!(id)));
    assert_eq!((&taken[0]["provider"], &taken[0]["kind"]), (&json!("payments"), &json!("payment.captured")));
    assert_eq!(of("repeat")[0]["event_id"], "e-1");
    assert_eq!(of("unmatched")[0]["reason"], "unknown_order");
    let why: Vec<&Value> = of("refused").into_iter().map(|item| &item["reason"]).collect();
    assert!(why.contains(&&json!("no signature fits")), "{told}");
    assert!(why.contains(&&json!("the body is no batch of events")), "{told}");
    assert!(!told.to_string().contains("4111") && !told.to_string().contains("3600"), "{told}");
}

/// The law of webhooks: whatever is repeated, and in whatever order it comes, the books are the same in the end.
#[test]
fn events_shuffled_and_repeated_leave_the_same_books() {
    let cases = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let shuffles = proptest::collection::vec((0..4_usize, 0..3_usize), 1..24);
    TestRunner::new(cases)
        .run(&shuffles, |posts| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(books_after(&posts));
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

/// Posts pairs of (event, companion) in the given order, then each once more, and looks at the books.
async fn books_after(posts: &[(usize, usize)]) {
    let service = Service::start().await;
    let mut orders = Vec::new();
    for number in 0..3 {
        orders.push(awaiting_payment(&service, &format!("k-{number}")).await);
    }
    let event = |number: usize| match number {
        3 => delivered("d-0", &orders[0]),
        number => captured(&format!("e-{number}"), &orders[number]),
    };
    let all = (0..4).map(|number| (number, number % 3));
    for (at, (number, companion)) in posts.iter().copied().chain(all).enumerate() {
        let batch = json!({"events": [event(number), event(companion), event(number)]});
        let (path, secret) =
            if number == 3 { (SHIPPING, SHIPPING_SECRET) } else { (PAYMENTS, PAYMENTS_SECRET) };
        service.webhook(path, secret, &format!("w-{at}"), &batch).await.expect(200);
    }
    for order in &orders {
        assert_eq!(captured_minor(&service, order).await, Some(3600));
    }
    assert_eq!(service.get("/overview").await.expect(200)["money"][0]["captured_minor"], 3 * 3600);
}
