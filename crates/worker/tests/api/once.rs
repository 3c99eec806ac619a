//! Every route that writes is done once under a key, of its caller and for its operation: the routes are those of the document,
//! so that one which is added is tried here or fails here.

use std::sync::Arc;

use application::commands::TakeProviderNewsCommand;
use application::consumers::OrderCreatedConsumer;
use application::ports::{Delivery, DeliveryState, NewsKind, Progress, Provider, ProviderNews, Scope};
use application::saga::EventKind;
use axum::body::Body;
use bus::harness::MemoryErrorQueues;
use bus::{Consumer, ErrorQueues};
use domain::OrderId;
use futures_util::FutureExt;
use futures_util::future::join_all;
use http::Method;
use jiff::Timestamp;
use orderwright::security::{GateSettings, KeyRing, Rate, Reach};
use serde_json::{Value, json};

use crate::conformance::DOCUMENT;
use crate::dead_letters::set_aside;
use crate::harness::{Answer, JSON, Service, api_key, request};

/// Sent by the providers, who sign what they send and number it.
const NUMBERED_BY_THE_PROVIDER: [&str; 2] = ["/webhooks/payments", "/webhooks/shipping"];

/// A request that has an effect, the same in other words, and one that asks for something else.
struct Example {
    body: String,
    same: String,
    other: String,
    /// Each member with another value.
    changed: Vec<String>,
}

impl Example {
    /// Of a JSON body; the other request differs in this.
    fn json(body: &Value, pointer: &str, other: Value) -> Self {
        let mut changed = body.clone();
        *changed.pointer_mut(pointer).expect("it is there") = other;
        let other = changed.to_string();
        let changed = leaves(body, "").iter().map(|leaf| altered(body, leaf)).collect();
        Self { body: body.to_string(), same: respelled(body), other, changed }
    }
}

/// Pointers to everything in a value that holds nothing else.
fn leaves(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| leaves(value, &format!("{at}/{name}"))).collect()
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(index, value)| leaves(value, &format!("{at}/{index}")))
            .collect(),
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => vec![at.to_owned()],
    }
}

/// The value with something else in one place, of the same kind.
fn altered(body: &Value, leaf: &str) -> String {
    let mut altered = body.clone();
    let place = altered.pointer_mut(leaf).expect("it is there");
    *place = match &*place {
        // A time stays one.
        Value::String(text) if text.ends_with('Z') => json!(text.replace("09:00", "08:00")),
        // So does an id.
        Value::String(text) if text.parse::<uuid::Uuid>().is_ok() => json!(uuid::Uuid::nil()),
        Value::String(text) => json!(format!("{text}x")),
        Value::Bool(is_so) => json!(!is_so),
        number @ (Value::Number(_) | Value::Null | Value::Array(_) | Value::Object(_)) => {
            json!(number.as_i64().expect("a number") + 1)
        }
    };
    altered.to_string()
}

/// The same value with its members the other way round, spaces between, and its letters escaped.
fn respelled(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .rev()
                .map(|(name, value)| format!("{} :\n {}", respelled(&json!(name)), respelled(value)))
                .collect();
            format!("{{ {} }}", members.join(" ,\t"))
        }
        Value::Array(items) => {
            format!("[ {} ]", items.iter().map(respelled).collect::<Vec<_>>().join(" , "))
        }
        Value::String(text) => {
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            format!("\"{escaped}\"")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// The error queue that is acted on.
const ERRORS: &str = "payment_error";

fn error_queues() -> MemoryErrorQueues {
    let queues = MemoryErrorQueues::beside(&["payment"]);
    queues.set_aside("payment", "{}", "it makes no sense");
    queues.set_aside("payment", "[]", "nor does this");
    queues
}

fn of_errors() -> Example {
    let look = error_queues().look_at_errors(ERRORS, 1).now_or_never().expect("it is in memory");
    let mark = look.expect("a message")[0].mark;
    let wish = json!({"count": 1, "mark": mark, "actor": "eve", "reason": "mended"});
    Example::json(&wish, "/count", json!(2))
}

fn of_order() -> Example {
    let price = json!({"minor": 1800, "currency": "USD"});
    let order = json!({
        "customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 1, "unit_price": price}],
        "payment_token": "tok_visa", "ordered_at": "2026-03-04T09:00:00Z", "external_reference": "PO-1",
        "total": {"minor": 2300, "currency": "USD"},
        "money_lines": [{"kind": "shipping", "label": "post", "amount": {"minor": 500, "currency": "USD"}}],
        "contact": {"name": "Ann", "email": "ann@example.org", "phone": "1"},
        "shipping_address": {"name": "Ann", "lines": ["1 Road"], "city": "Cork", "country": "IE"},
        "billing_address": {"company": "Ann Ltd", "country": "IE"},
        "tags": ["gift"], "order_note": "ring twice", "metadata": {"basket": "7"},
        "holds": [{"before": "payment", "reason": "a check"}],
    });
    Example::json(&order, "/order_note", json!("ring once"))
}

fn of_change() -> Example {
    let address = json!({"name": "Ann", "lines": ["2 Strand"], "city": "Galway", "country": "IE"});
    let wish = json!({
        "shipping_address": address, "billing_address": address, "contact": {"name": "Ann"}, "actor": "eve", "note": "moved",
    });
    Example::json(&wish, "/contact/name", json!("Bea"))
}

fn of_hold() -> Example {
    let wish = json!({"before": "shipping", "reason": "a check", "actor": "eve"});
    Example::json(&wish, "/reason", json!("another check"))
}

fn of_return(operation: &str) -> Example {
    match operation {
        "requestReturn" => {
            let line = json!({"sku": "CHAI", "quantity": 1});
            let wish = json!({"lines": [line], "reason": "too small", "actor": "eve"});
            Example::json(&wish, "/reason", json!("too large"))
        }
        _ => {
            let line = json!({"sku": "CHAI", "received": 2, "restocked": 1});
            let refund = json!({"minor": 100, "currency": "USD"});
            let wish = json!({
                "lines": [line], "restock": true, "refund": refund, "actor": "eve", "note": "opened",
            });
            Example::json(&wish, "/lines/0/restocked", json!(2))
        }
    }
}

fn of_refund() -> Example {
    let amount = json!({"minor": 100, "currency": "USD"});
    let wish = json!({"amount": amount, "actor": "eve", "reason": "broken"});
    Example::json(&wish, "/amount/minor", json!(200))
}

/// An example of what is done to webhook endpoints.
fn of_webhooks(operation: &str) -> Example {
    match operation {
        "addWebhookEndpoint" => {
            let wish = json!({
                "url": "https://shop.example/hooks", "types": ["OrderShipped"], "note": "the shop", "after": 3,
                "actor": "eve", "reason": "as agreed",
            });
            Example::json(&wish, "/url", json!("https://other.example/hooks"))
        }
        "changeWebhookEndpoint" => {
            let wish = json!({
                "url": "https://shop.example/hooks", "types": ["OrderShipped"], "note": "the shop", "state": "paused",
                "after": 3, "actor": "eve", "reason": "as agreed",
            });
            Example::json(&wish, "/state", json!("active"))
        }
        "rotateWebhookSecret" | "removeWebhookEndpoint" => {
            Example::json(&json!({"actor": "eve", "reason": "as agreed"}), "/reason", json!("a test"))
        }
        "redeliverEvents" => {
            let wish = json!({"position": 7, "actor": "eve", "reason": "it was mended"});
            Example::json(&wish, "/reason", json!("a test"))
        }
        unknown => panic!("{unknown} is nothing that is done to webhook endpoints"),
    }
}

/// An example for each operation that writes. A new one needs its own.
fn example(operation: &str) -> Example {
    let who = json!({"actor": "eve", "note": "looked into it"});
    match operation {
        "createOrder" => of_order(),
        "cancelOrder" => {
            let wish = json!({"reason": "customer", "actor": "eve", "note": "no more"});
            let changed = Example::json(&wish, "/note", json!("none"));
            // What is not said is said by leaving it out.
            Example { same: json!({"note": "no more", "actor": "eve"}).to_string(), ..changed }
        }
        "refundOrder" => of_refund(),
        "changeOrder" => of_change(),
        "holdOrder" => of_hold(),
        "requestReturn" | "receiveReturn" => of_return(operation),
        "retrySaga"
        | "skipSaga"
        | "forceSaga"
        | "seeToUnmatchedEvent"
        | "takeUnmatchedEventAgain"
        | "tellCustomerAgain"
        | "eraseContact"
        | "cancelReturn"
        | "releaseHold" => Example::json(&who, "/note", json!("closer")),
        "redriveDeadLetters" => {
            let wish = json!({
                "queue": OrderCreatedConsumer::QUEUE, "kind": "OrderCreatedEvent", "reason_contains": "no sense",
                "max": 7, "per_second": 1_000, "actor": "eve", "note": "mended",
            });
            Example::json(&wish, "/max", json!(8))
        }
        "discardDeadLetters" => {
            let wish = json!({"reason_contains": "sense", "max": 7, "actor": "eve", "note": "of no use"});
            Example::json(&wish, "/note", json!("a test"))
        }
        "pauseQueue" | "resumeQueue" => {
            let wish = json!({"actor": "eve", "reason": "the carrier asked for it"});
            Example::json(&wish, "/reason", json!("a test"))
        }
        "putBackErrors" | "discardErrors" => of_errors(),
        "addWebhookEndpoint"
        | "changeWebhookEndpoint"
        | "rotateWebhookSecret"
        | "removeWebhookEndpoint"
        | "redeliverEvents" => of_webhooks(operation),
        "receiveStock" | "adjustStock" | "countStock" => {
            let change = json!({"quantity": 10, "reason": "delivery note 77", "actor": "anna"});
            Example::json(&change, "/quantity", json!(11))
        }
        "importProducts" => {
            let product = json!({"sku": "NEW", "name": "N", "price": {"minor": 1, "currency": "USD"}, "stock": 3, "description": "", "reorder_level": 1, "availability": "active"});
            Example::json(
                &json!({"import": "spring", "products": [product]}),
                "/products/0/price/minor",
                json!(2),
            )
        }
        "changeProduct" => {
            let change = json!({
                "name": "Tofu, firm", "description": "It is firm.", "price": {"minor": 2400, "currency": "USD"},
                "reorder_level": 12, "availability": "active", "actor": "eve", "note": "firmer",
            });
            Example::json(&change, "/reorder_level", json!(13))
        }
        "importOrders" => {
            let order = json!({"external_reference": "R", "customer_id": "A", "lines": [{"sku": "CHAI", "quantity": 1}]});
            let mut changed = Example::json(&order, "/external_reference", json!("S"));
            changed.same = changed.same.replace(['\n', '\t'], " ");
            changed
        }
        unknown => panic!("{unknown} writes; say here what it takes, so that it is tried"),
    }
}

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

impl Stage {
    async fn open(operation: &str) -> Self {
        let service = Service::with_error_queues(&error_queues()).await;
        if operation == "resumeQueue" {
            let wish = json!({"actor": "ann", "reason": "too fast"});
            service.post("/queues/payment/pause", &wish).await.expect(200);
        }
        let holds = match operation {
            "releaseHold" => json!([{"before": "payment", "reason": "a check"}]),
            _ => json!([]),
        };
        let wish = json!({
            "customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}], "contact": {"name": "Ann"}, "holds": holds,
        });
        let placed = service.order("of the stage", &wish).await.expect(201);
        let order_id = placed["order_id"].as_str().expect("an id").to_owned();
        let shown = service.get(&format!("/orders/{order_id}")).await.expect(200);
        let hold = shown["holds"][0]["hold_id"].as_str().unwrap_or_default().to_owned();
        if operation.ends_with("Saga") {
            let way = [
                EventKind::OrderValidated,
                EventKind::InventoryReserved,
                EventKind::PaymentStarted,
                EventKind::CancelRequested,
                EventKind::UndoFailed,
            ];
            service.happen(&order_id, &way).await;
        }
        if operation == "refundOrder" || operation == "tellCustomerAgain" || operation.ends_with("Return") {
            let way = [
                EventKind::OrderValidated,
                EventKind::InventoryReserved,
                EventKind::PaymentStarted,
                EventKind::PaymentCaptured,
                EventKind::ShipmentBooked,
                EventKind::ParcelDelivered,
            ];
            service.happen(&order_id, &way).await;
        }
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
