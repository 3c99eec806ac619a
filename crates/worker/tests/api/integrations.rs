//! The events of all orders for programs that follow them, and the endpoints that are sent them: what is asked, what is answered,
//! and who may.

use std::sync::Arc;
use std::time::Duration;

use application::ports::Scope;
use application::saga::EventKind;
use axum::body::Body;
use futures_util::StreamExt;
use futures_util::future::join;
use http::Method;
use orderwright::security::{GateSettings, KeyRing, Rate, Reach};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::harness::{JSON, Service, api_key, places, request};

const PAID: [EventKind; 3] =
    [EventKind::OrderValidated, EventKind::InventoryReserved, EventKind::PaymentStarted];

fn types(page: &Value) -> Vec<&str> {
    page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|event| event["type"].as_str().expect("a type"))
        .collect()
}

#[tokio::test]
async fn events_are_read_page_by_page_from_any_place() {
    let service = Service::start().await;
    let newest = service.get("/events?after=newest").await.expect(200);
    assert_eq!((types(&newest).len(), &newest["has_more"]), (0, &json!(false)));
    let begin = &newest["next"];
    let order = service.placed("k", 2).await;
    service.happen(&order, &PAID).await;
    let all = service.get(&format!("/events?after={begin}")).await.expect(200);
    assert_eq!(types(&all), ["OrderCreated", "OrderValidated", "InventoryReserved", "PaymentStarted"]);
    assert!(all["items"].as_array().expect("items").iter().all(|event| event["order_id"] == order));
    assert_eq!(service.get("/events").await.expect(200)["items"], all["items"], "it begins with the oldest");
    let mut paged = Vec::new();
    let mut after = begin.clone();
    loop {
        let page = service.get(&format!("/events?after={after}&limit=1")).await.expect(200);
        paged.extend(types(&page).into_iter().map(str::to_owned));
        after = page["next"].clone();
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(paged, types(&all));
    let some = service.get("/events?types=PaymentStarted,OrderCreated").await.expect(200);
    assert_eq!(types(&some), ["OrderCreated", "PaymentStarted"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_question_for_events_is_named() {
    let service = Service::start().await;
    for (query, wanted) in [
        ("after=-1", "after"),
        ("after=soon", "after"),
        ("types=OrderEaten", "types"),
        ("wait=31", "wait"),
        ("wait=-1", "wait"),
        ("limit=0", "limit"),
        ("since=7", "since"),
    ] {
        let problem = service.get(&format!("/events?{query}")).await.problem(400, "invalid_parameter");
        assert_eq!(places(&problem)[0].0, wanted, "{query}: {problem}");
    }
    let problem = service.get("/events?after=999999").await.problem(409, "position_unknown");
    assert!(problem["detail"].as_str().is_some_and(|told| told.contains("the newest event is")), "{problem}");
    let broken = request(Method::GET, "/events", &[("last-event-id", "seven")], Body::empty());
    service.send(broken).await.problem(400, "invalid_parameter");
}

#[tokio::test]
async fn a_program_that_waits_is_told_of_the_first_event_and_not_of_what_it_does_not_want() {
    let service = Service::start().await;
    let begun = tokio::time::Instant::now();
    let none = service.get("/events?after=newest&wait=1").await.expect(200);
    assert!(types(&none).is_empty() && begun.elapsed() >= Duration::from_millis(900));
    let order = service.placed("k", 2).await;
    let waits = service.get("/events?after=newest&wait=30&types=PaymentStarted");
    let (answer, ()) = join(waits, service.happen(&order, &PAID)).await;
    assert_eq!(types(&answer.expect(200)), ["PaymentStarted"]);
}

/// The lines of a stream until there are so many events.
async fn streamed(service: &Service, headers: &[(&str, &str)], path: &str, count: usize) -> String {
    let asked = request(Method::GET, path, headers, Body::empty());
    let response = service.router.clone().oneshot(asked).await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut lines = String::new();
    let mut body = response.into_body().into_data_stream();
    let reading = async {
        while lines.matches("\nevent: ").count() + usize::from(lines.starts_with("event: ")) < count {
            let bytes = body.next().await.expect("it goes on").expect("it is whole");
            lines.push_str(std::str::from_utf8(&bytes).expect("text"));
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading).await.expect("the events come");
    lines
}

#[tokio::test]
async fn a_stream_tells_each_event_and_goes_on_where_it_was_cut() {
    let service = Service::start().await;
    let sse = ("accept", "text/event-stream");
    let order = service.placed("k", 2).await;
    let (first, ()) = join(streamed(&service, &[sse], "/events", 4), service.happen(&order, &PAID)).await;
    let told = first.split("\n\n").filter(|lines| lines.contains("event: "));
    let ids: Vec<&str> =
        told.filter_map(|lines| lines.lines().find_map(|line| line.strip_prefix("id: "))).collect();
    let events: Vec<&str> = first.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(events, ["OrderCreated", "OrderValidated", "InventoryReserved", "PaymentStarted"]);
    let data = first.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    assert_eq!(serde_json::from_str::<Value>(data).expect("JSON")["order_id"], order);
    let headers = [sse, ("last-event-id", ids[1])];
    let rest = streamed(&service, &headers, "/events?after=0", 2).await;
    assert!(rest.contains("event: InventoryReserved") && !rest.contains("event: OrderValidated"), "{rest}");
    // A stream that had nothing to tell says where it stood, so that nothing is missed between it and the next.
    let quiet =
        service.router.clone().oneshot(request(Method::GET, "/events?after=newest", &[sse], Body::empty()));
    let mut quiet = quiet.await.expect("an answer").into_body().into_data_stream();
    let line = quiet.next().await.expect("a line").expect("it is whole");
    drop(quiet);
    let place =
        std::str::from_utf8(&line).expect("text").trim().strip_prefix("id: ").expect("a place").to_owned();
    service.placed("k-2", 1).await;
    let next = streamed(&service, &[sse, ("last-event-id", &place)], "/events?after=newest", 1).await;
    assert!(next.contains("event: OrderCreated"), "{next}");
    let beyond = request(Method::GET, "/events?after=999999", &[sse], Body::empty());
    service.send(beyond).await.problem(409, "position_unknown");
}

#[tokio::test]
async fn an_endpoint_is_made_changed_and_removed_and_its_secret_shown_once() {
    let service = Service::start().await;
    let wish =
        json!({"url": "http://localhost:9/hooks?key=s3cret", "types": ["OrderShipped"], "actor": "eve"});
    let made = service.post("/webhook-endpoints", &wish).await.expect(201);
    let secret = made["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("whsec_") && secret.len() > 40, "{made}");
    let path = format!("/webhook-endpoints/{}", made["id"].as_str().expect("an id"));
    let shown = service.get(&path).await.expect(200);
    assert_eq!(shown["secret"], Value::Null);
    assert!(!shown.to_string().contains("s3cret"), "an address may hold a secret: {shown}");
    assert_eq!(service.get("/webhook-endpoints").await.expect(200)["items"], json!([shown]));
    let change = json!({"state": "paused", "types": [], "actor": "eve", "reason": "it is rebuilt"});
    let patch = request(Method::PATCH, &path, &[JSON], Body::from(change.to_string()));
    let changed = service.send(patch).await.expect(200);
    assert_eq!((&changed["state"], &changed["types"]), (&json!("paused"), &json!([])));
    for state in ["closed", "x"] {
        let change = json!({"state": state, "actor": "eve"}).to_string();
        let patch = request(Method::PATCH, &path, &[JSON], Body::from(change));
        service.send(patch).await.problem(422, "validation_failed");
    }
    let who = json!({"actor": "eve"});
    let rotated = service.post(&format!("{path}/rotate-secret"), &who).await.expect(200);
    assert_ne!(rotated["secret"], made["secret"]);
    let none = service.get(&format!("{path}/deliveries?state=failed")).await.expect(200);
    assert_eq!(none["items"], json!([]));
    let all = service.post(&format!("{path}/redeliver"), &who).await.expect(202);
    assert_eq!(all["events"], 0);
    let one = json!({"position": 3, "actor": "eve"});
    service.post(&format!("{path}/redeliver"), &one).await.problem(404, "event_not_found");
    service.post(&format!("{path}/remove"), &who).await.expect(200);
    service.get(&path).await.problem(404, "webhook_endpoint_not_found");
    service.post(&format!("{path}/remove"), &who).await.problem(404, "webhook_endpoint_not_found");
    let audit = service.get("/audit").await.expect(200).to_string();
    assert!(
        !audit.contains("whsec") && !audit.contains("s3cret") && audit.contains("webhook-endpoints change"),
        "{audit}"
    );
}

#[tokio::test]
async fn what_is_wrong_with_an_endpoint_is_named_and_none_is_made() {
    let service = Service::start().await;
    for (change, wanted) in [
        (json!({"url": "ftp://shop.example/"}), "/url"),
        (json!({"url": "https://eve:word@shop.example/"}), "/url"),
        (json!({"types": ["OrderEaten"]}), "/types/0"),
        (json!({"types": ["OrderShipped", "OrderShipped"]}), "/types/1"),
        (json!({"after": -1}), "/after"),
        (json!({"actor": " "}), "/actor"),
    ] {
        let mut wish = json!({"url": "https://shop.example/", "actor": "eve"});
        wish.as_object_mut().expect("members").extend(change.as_object().expect("members").clone());
        let problem = service.post("/webhook-endpoints", &wish).await.problem(422, "validation_failed");
        assert_eq!(places(&problem)[0].0, wanted, "{problem}");
    }
    assert_eq!(service.get("/webhook-endpoints").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn events_are_for_readers_of_orders_and_endpoints_for_administrators() {
    let service = Service::start().await;
    let (reader, stored_reader) = api_key(1, "reader", &[Scope::OrdersRead]);
    let (operator, stored_operator) = api_key(2, "operator", &[Scope::Operate]);
    let ring = Arc::new(KeyRing::new(None));
    ring.refresh(&[stored_reader, stored_operator]);
    let rate = Rate { per_second: 10_000, burst: 10_000 };
    let service = service.behind(GateSettings { rate, public: Vec::new(), reach: Reach::Beyond }, &ring);
    let ask = async |key: &str, method: Method, path: &str| {
        let body = json!({"url": "https://shop.example/", "actor": "eve"}).to_string();
        let headers = [JSON, ("x-api-key", key)];
        service.send(request(method, path, &headers, Body::from(body))).await.status
    };
    let (reader, operator) = (reader.expose(), operator.expose());
    assert_eq!(ask(&reader, Method::GET, "/events").await, 200);
    assert_eq!(ask(&operator, Method::GET, "/events").await, 403);
    assert_eq!(ask(&reader, Method::GET, "/webhook-endpoints").await, 403);
    assert_eq!(ask(&operator, Method::GET, "/webhook-endpoints").await, 200);
    assert_eq!(ask(&operator, Method::POST, "/webhook-endpoints").await, 403);
}
