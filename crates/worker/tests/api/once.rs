//! Every route that writes is done once under a key, of its caller and for its operation: the routes are those of the document,
//! so that one which is added is tried here or fails here.

use std::sync::Arc;

use application::commands::TakeProviderNewsCommand;
use application::ports::{Delivery, DeliveryState, NewsKind, Progress, Provider, ProviderNews, Scope};
use application::saga::EventKind;
use axum::body::Body;
use domain::OrderId;
use futures_util::future::join_all;
use http::Method;
use jiff::Timestamp;
use orderwright::security::{GateSettings, KeyRing, Rate, Reach};
use serde_json::{Value, json};

use crate::conformance::DOCUMENT;
use crate::dead_letters::set_aside;
use crate::examples::{ERRORS, Example, error_queues, example};
use crate::harness::{Answer, JSON, Service, api_key, request};

/// Sent by the providers, who sign what they send and number it.
const NUMBERED_BY_THE_PROVIDER: [&str; 2] = ["/webhooks/payments", "/webhooks/shipping"];

/// Every operation that writes: its name, its method, its address.
fn writing() -> Vec<(String, Method, String)> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().expect("methods").clone();
        let path = path.clone();
        methods.into_iter().map(move |(method, operation)| {
            let name = operation["operationId"].as_str().expect("a name").to_owned();
            (name, method.to_uppercase().parse::<Method>().expect("a method"), path.clone())
        })
    };
    let all = paths.iter().flat_map(of_path);
    all.filter(|(_, method, path)| {
        *method != Method::GET && !NUMBERED_BY_THE_PROVIDER.contains(&path.as_str())
    })
    .collect()
}

/// Lets the gateway decline an order before it is asked for it, and asks it then.
pub(crate) async fn early(service: &Service, order_id: &str) {
    let kind = NewsKind::PaymentDeclined { code: "expired".to_owned() };
    let id = order_id.parse().expect("an id");
    let news = vec![ProviderNews::honest("evt-1", id, kind, Timestamp::UNIX_EPOCH)];
    let told = TakeProviderNewsCommand { provider: Provider::Payments, news };
    service.api.commands.run(&told).await.expect("it is kept");
    let way = [EventKind::OrderValidated, EventKind::InventoryReserved, EventKind::PaymentStarted];
    service.happen(order_id, &way).await;
}

/// A service with an order that needs a person, and whoever may ask there.
struct Stage {
    service: Service,
    order_id: String,
    hold: String,
    awaited: String,
    position: String,
    endpoint: String,
    callers: [String; 2],
}

/// An endpoint to which one event could not be sent.
pub(crate) async fn webhook_endpoint(service: &Service) -> String {
    let wish = json!({"url": "https://shop.example/", "after": 5, "actor": "ann"});
    let made = service.post("/webhook-endpoints", &wish).await.expect(201);
    let id = made["id"].as_str().expect("an id").to_owned();
    let failed = Delivery {
        position: 7,
        order_id: uuid::Uuid::nil(),
        event_type: "OrderShipped".to_owned(),
        state: DeliveryState::Failed,
        attempts: 7,
        last_at: Timestamp::UNIX_EPOCH,
        next_at: None,
        took_ms: 3,
        answer: "answered 500".to_owned(),
        revision: 0,
    };
    let progress = Progress {
        revision: 0,
        from: 5,
        to: 7,
        deliveries: vec![failed],
        trouble: String::new(),
        failures: 0,
        failing_since: None,
        next_attempt_at: None,
        closes: false,
    };
    let noted = service.api.integrations.endpoints.note_progress(id.parse().expect("an id"), &progress).await;
    assert!(noted.expect("the store"));
    id
}

/// A return that the operation is about, if it is about one.
async fn awaited_return(service: &Service, operation: &str, order_id: &str) -> String {
    if !matches!(operation, "receiveReturn" | "cancelReturn") {
        return String::new();
    }
    let wish = json!({"reason": "too small", "actor": "eve"});
    let asked = service.post(&format!("/orders/{order_id}/returns"), &wish).await.expect(201);
    asked["return_id"].as_str().expect("an id").to_owned()
}

/// What has happened to the order that the operation is about.
fn way_of(operation: &str) -> &'static [EventKind] {
    const TO_THE_CUSTOMER: [EventKind; 6] = [
        EventKind::OrderValidated,
        EventKind::InventoryReserved,
        EventKind::PaymentStarted,
        EventKind::PaymentCaptured,
        EventKind::ShipmentBooked,
        EventKind::ParcelDelivered,
    ];
    match operation {
        "cancelLines" => &TO_THE_CUSTOMER[..2],
        _ if operation.ends_with("Saga") => &[
            EventKind::OrderValidated,
            EventKind::InventoryReserved,
            EventKind::PaymentStarted,
            EventKind::CancelRequested,
            EventKind::UndoFailed,
        ],
        "refundOrder" | "tellCustomerAgain" => &TO_THE_CUSTOMER,
        _ if operation.ends_with("Return") => &TO_THE_CUSTOMER,
        _ => &[],
    }
}

impl Stage {
    async fn open(operation: &str) -> Self {
        let service = Service::with_error_queues(&error_queues()).await;
        if operation == "resumeQueue" {
            let wish = json!({"actor": "ann", "reason": "too fast"});
            service.post("/queues/payment/pause", &wish).await.expect(200);
        }
        let holds = match operation {
            "releaseHold" | "cancelLines" => json!([{"before": "payment", "reason": "a check"}]),
            _ => json!([]),
        };
        let wish = json!({
            "customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}], "contact": {"name": "Ann"}, "holds": holds,
        });
        let placed = service.order("of the stage", &wish).await.expect(201);
        let order_id = placed["order_id"].as_str().expect("an id").to_owned();
        let shown = service.get(&format!("/orders/{order_id}")).await.expect(200);
        let hold = shown["holds"][0]["hold_id"].as_str().unwrap_or_default().to_owned();
        service.happen(&order_id, way_of(operation)).await;
        let awaited = awaited_return(&service, operation, &order_id).await;
        if operation.ends_with("DeadLetters") {
            set_aside(&service, &["it makes no sense"]).await;
        }
        if operation == "seeToUnmatchedEvent" {
            let strangers = OrderId(uuid::Uuid::from_u128(7));
            let kind = NewsKind::PaymentDeclined { code: "expired".to_owned() };
            let news = vec![ProviderNews::honest("evt-1", strangers, kind, Timestamp::UNIX_EPOCH)];
            let told = TakeProviderNewsCommand { provider: Provider::Payments, news };
            service.api.commands.run(&told).await.expect("it is kept");
        }
        if operation == "takeUnmatchedEventAgain" {
            early(&service, &order_id).await;
        }
        let endpoint = webhook_endpoint(&service).await;
        let unmatched = service.get("/provider-events/unmatched").await.expect(200);
        let position = unmatched["items"][0]["position"].to_string();
        let (ring, callers) = two_callers();
        let rate = Rate { per_second: 10_000, burst: 10_000 };
        let settings = GateSettings { rate, public: Vec::new(), reach: Reach::Beyond };
        Self {
            service: service.behind(settings, &ring),
            order_id,
            hold,
            awaited,
            position,
            endpoint,
            callers,
        }
    }

    async fn send(
        &self,
        (operation, method, path): &(String, Method, String),
        caller: usize,
        key: &str,
        body: &str,
    ) -> Answer {
        let path = path
            .replace("{order_id}", &self.order_id)
            .replace("{sku}", "TOFU")
            .replace("{hold_id}", &self.hold)
            .replace("{return_id}", &self.awaited)
            .replace("{position}", &self.position)
            .replace("{endpoint_id}", &self.endpoint)
            .replace("{name}", if operation.ends_with("Errors") { ERRORS } else { "payment" });
        let kind = if operation == "importOrders" { "application/x-ndjson" } else { JSON.1 };
        let headers =
            [("content-type", kind), ("idempotency-key", key), ("x-api-key", &self.callers[caller])];
        self.service.send(request(method.clone(), &path, &headers, Body::from(body.to_owned()))).await
    }

    /// Everything that an effect leaves.
    async fn picture(&self) -> Value {
        let mut seen = Vec::new();
        let order = format!("/orders/{}", self.order_id);
        for path in [
            "/orders",
            "/products",
            "/inventory",
            "/inventory/TOFU/movements",
            "/provider-events/unmatched?which=all",
            "/dead-letters",
            "/dead-letters?archived=true",
            "/audit",
            "/queues",
            "/error-queues",
            "/webhook-endpoints",
            &order,
            &format!("{order}/history"),
        ] {
            let headers = [("x-api-key", self.callers[0].as_str())];
            seen.push(
                self.service.send(request(Method::GET, path, &headers, Body::empty())).await.expect(200),
            );
        }
        Value::Array(seen)
    }
}

fn two_callers() -> (Arc<KeyRing>, [String; 2]) {
    let made = [1_u8, 2].map(|number| {
        let (text, stored) = api_key(number, &format!("shop {number}"), &[Scope::Admin]);
        (text.expose(), stored)
    });
    let ring = Arc::new(KeyRing::new(None));
    ring.refresh(&made.iter().map(|(_, stored)| stored.clone()).collect::<Vec<_>>());
    (ring, made.map(|(text, _)| text))
}

#[test]
fn every_route_that_writes_takes_a_key_and_says_so() {
    for (operation, method, path) in writing() {
        let described = &DOCUMENT["paths"][&path][method.as_str().to_lowercase()];
        let named = |parameter: &Value| parameter["name"] == "Idempotency-Key" && parameter["in"] == "header";
        assert!(described["parameters"].as_array().is_some_and(|all| all.iter().any(named)), "{operation}");
        let codes = described["responses"]["422"]["x-problem-codes"].to_string();
        assert!(codes.contains("idempotency_key_reused"), "{operation}: {codes}");
    }
}

#[tokio::test]
async fn what_is_asked_for_twice_under_a_key_is_done_once_and_answered_the_same_however_it_is_spelled() {
    for route in writing() {
        let stage = Stage::open(&route.0).await;
        let before = stage.picture().await;
        let Example { body, same, .. } = example(&route.0);
        let first = stage.send(&route, 0, "k", &body).await;
        assert!(first.status.is_success(), "{route:?}: {:?}", first.body);
        assert_eq!(first.header("idempotent-replayed"), None, "{route:?}");
        let after = stage.picture().await;
        assert_ne!(after, before, "{route:?} does nothing");
        for spelled in [&body, &same] {
            let again = stage.send(&route, 0, "k", spelled).await;
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{route:?}: {spelled}");
            assert_eq!(again.header("content-type"), first.header("content-type"), "{route:?}");
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{route:?}");
        }
        assert_eq!(stage.picture().await, after, "{route:?} was done again");
    }
}

#[tokio::test]
async fn a_key_that_comes_with_another_request_is_refused_by_name_and_changes_nothing() {
    for route in writing() {
        let stage = Stage::open(&route.0).await;
        let Example { body, other, changed, .. } = example(&route.0);
        assert!(stage.send(&route, 0, "k-77", &body).await.status.is_success(), "{route:?}");
        let after = stage.picture().await;
        let problem = stage.send(&route, 0, "k-77", &other).await.problem(422, "idempotency_key_reused");
        assert!(problem["detail"].as_str().is_some_and(|told| told.contains("'k-77'")), "{problem}");
        for changed in changed {
            let refused = stage.send(&route, 0, "k-77", &changed).await;
            let code = refused.expect(422)["code"].clone();
            assert!(code == "idempotency_key_reused" || code == "validation_failed", "{route:?}: {changed}");
        }
        assert_eq!(stage.picture().await, after, "{route:?}");
    }
}

#[tokio::test]
async fn the_key_of_one_caller_says_nothing_about_anothers() {
    for route in writing() {
        let stage = Stage::open(&route.0).await;
        let Example { body, other, .. } = example(&route.0);
        assert!(stage.send(&route, 0, "1", &body).await.status.is_success(), "{route:?}");
        // What can be done only once is refused for what it is, and not for its key.
        let theirs = stage.send(&route, 1, "1", &other).await;
        assert_eq!(theirs.header("idempotent-replayed"), None, "{route:?}");
        let is_refused = theirs.status == 409 || theirs.status == 404;
        assert!(theirs.status.is_success() || is_refused, "{route:?}: {:?}", theirs.body);
        if theirs.status.is_success() {
            let again = stage.send(&route, 1, "1", &other).await;
            assert_eq!((again.status, &again.body), (theirs.status, &theirs.body), "{route:?}");
        }
    }
}

#[tokio::test]
async fn five_at_once_under_one_key_are_one() {
    for route in writing() {
        let (alone, together) = (Stage::open(&route.0).await, Stage::open(&route.0).await);
        let Example { body, .. } = example(&route.0);
        alone.send(&route, 0, "k", &body).await;
        let answers = join_all((0..5).map(|_| together.send(&route, 0, "k", &body))).await;
        let done: Vec<&Answer> = answers.iter().filter(|answer| answer.status.is_success()).collect();
        assert!(!done.is_empty() && done.iter().all(|answer| answer.body == done[0].body), "{route:?}");
        assert!(answers.iter().all(|answer| answer.status.is_success() || answer.status == 409), "{route:?}");
        let stock = |level: &Value| (level["sku"].to_string(), level["available"].to_string());
        let seen = async |stage: &Stage| -> Vec<_> {
            stage.picture().await[2]["items"].as_array().expect("levels").iter().map(stock).collect()
        };
        assert_eq!(seen(&together).await, seen(&alone).await, "{route:?}");
        let count = async |stage: &Stage| stage.picture().await[0]["items"].as_array().map(Vec::len);
        assert_eq!(count(&together).await, count(&alone).await, "{route:?}");
    }
}

#[tokio::test]
async fn one_key_serves_one_caller_for_each_of_two_operations_and_a_refusal_leaves_it_free() {
    let service = Service::start().await;
    let change = json!({"quantity": 10, "reason": "delivery note 77", "actor": "anna"}).to_string();
    let send = async |path: &str, body: &str| {
        let headers = [JSON, ("idempotency-key", "note 77")];
        service.send(request(Method::POST, path, &headers, Body::from(body.to_owned()))).await
    };
    let gone = json!({"quantity": -50, "reason": "all gone", "actor": "anna"}).to_string();
    send("/inventory/TOFU/adjust", &gone).await.problem(409, "insufficient_stock");
    assert_eq!(send("/inventory/TOFU/receive", &change).await.expect(200)["available"], 15);
    assert_eq!(send("/inventory/TOFU/adjust", &change).await.expect(200)["available"], 25);
    send("/inventory/CHAI/adjust", &change).await.problem(422, "idempotency_key_reused");
    assert_eq!(service.get("/inventory/TOFU").await.expect(200)["available"], 25);
    assert_eq!(service.get("/inventory/CHAI").await.expect(200)["available"], 100);
}

#[tokio::test]
async fn a_member_that_stands_twice_is_refused_and_not_guessed() {
    let service = Service::start().await;
    let twice = r#"{"quantity":1,"quantity":10,"reason":"a","actor":"b"}"#;
    let headers = [JSON, ("idempotency-key", "k")];
    let path = "/inventory/TOFU/receive";
    let refused = service.send(request(Method::POST, path, &headers, Body::from(twice))).await;
    let problem = refused.problem(422, "validation_failed");
    assert!(problem["detail"].as_str().is_some_and(|told| told.contains("quantity")), "{problem}");
}
