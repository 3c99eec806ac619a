//! A client that would rather wait for its order's money than ask again: `Prefer: wait=N`.

use std::time::{Duration, Instant};

use application::saga::EventKind;
use axum::body::Body;
use futures_util::future::join;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::harness::{Answer, JSON, Service, request};

const PAID: &[EventKind] =
    &[EventKind::OrderValidated, EventKind::InventoryReserved, EventKind::PaymentCaptured];

fn waiting(key: &str, wait: &str) -> Request<Body> {
    let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]});
    let headers = [JSON, ("idempotency-key", key), ("prefer", wait)];
    request(Method::POST, "/orders", &headers, Body::from(order.to_string()))
}

/// The only order that there is, once a caller waits for it.
async fn awaited(service: &Service) -> String {
    while service.api.awaited.count() == 0 {
        tokio::task::yield_now().await;
    }
    let orders = service.get("/orders").await.expect(200);
    orders["items"][0]["order_id"].as_str().expect("an id").to_owned()
}

/// What an order that was waited for is told to be.
#[track_caller]
fn standing(answer: Answer) -> Value {
    let (location, wait) = (
        answer.header("location").map(str::to_owned),
        answer.header("preference-applied").map(str::to_owned),
    );
    let accepted = answer.expect(201);
    assert_eq!(location, Some(format!("/orders/{}", accepted["order_id"].as_str().expect("an id"))));
    assert_eq!(wait.as_deref(), Some("wait=20"));
    assert_eq!(accepted["order"]["order_id"], accepted["order_id"]);
    assert_eq!(
        (&accepted["order"]["status"], &accepted["order"]["total"]),
        (&accepted["status"], &accepted["total"])
    );
    accepted
}

#[tokio::test]
async fn an_answer_waits_until_the_order_is_paid_and_holds_it_as_it_stands() {
    let service = Service::start().await;
    let pay = async {
        let id = awaited(&service).await;
        // As another worker would do it: past the service that is asked.
        service.happen(&id, PAID).await;
    };
    let (answer, ()) = join(service.send(waiting("k-1", "respond-async, wait=20")), pay).await;
    assert_eq!(answer.header("idempotent-replayed"), None);
    let accepted = standing(answer);
    assert_eq!(accepted["status"], "paid");
    assert_eq!(accepted["order"]["payment"]["captured_minor"], 3600);
    assert_eq!(accepted["order"]["lines"].as_array().map(Vec::len), Some(1));
    assert_eq!(service.api.awaited.count(), 0);

    let again = service.send(waiting("k-1", "wait=20")).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(standing(again), accepted, "a repeat is told how it stands");
    let plain = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]});
    let plain = service.order("k-1", &plain).await;
    assert_eq!(plain.header("preference-applied"), None);
    assert_eq!(plain.expect(201)["status"], "pending", "without the wish it is the answer of always");
}

#[tokio::test]
async fn an_answer_waits_until_the_order_has_ended_without_money() {
    let service = Service::start().await;
    let cancel = async {
        let id = awaited(&service).await;
        service.post(&format!("/orders/{id}/cancel"), &json!({"actor": "eve"})).await.expect(202);
    };
    let (answer, ()) = join(service.send(waiting("k-1", "wait=20")), cancel).await;
    let accepted = standing(answer);
    assert_eq!(
        (&accepted["status"], &accepted["order"]["cancel_reason"]),
        (&json!("cancelled"), &json!("customer"))
    );
}

#[tokio::test]
async fn while_one_answer_waits_a_repeat_gets_its_own_at_once() {
    let service = Service::start().await;
    let repeat = async {
        let id = awaited(&service).await;
        let plain = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]});
        let again = service.order("k-1", &plain).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.expect(201)["order_id"], id.as_str());
        service.happen(&id, PAID).await;
    };
    let (answer, ()) = join(service.send(waiting("k-1", "wait=20")), repeat).await;
    assert_eq!(standing(answer)["status"], "paid");
}

#[tokio::test]
async fn after_the_time_the_answer_says_what_is_known_and_a_wish_that_cannot_be_read_is_ignored() {
    let service = Service::start().await;
    let answer = service.send(waiting("k-1", "wait=1")).await;
    assert_eq!(answer.header("preference-applied"), Some("wait=1"));
    let accepted = answer.expect(201);
    assert_eq!(
        (&accepted["status"], &accepted["order"]["saga_state"]),
        (&json!("pending"), &json!("created"))
    );
    let answer = service.send(waiting("k-2", "wait=0")).await;
    assert_eq!(answer.header("preference-applied"), Some("wait=0"));
    assert_eq!(answer.expect(201)["order"]["status"], "pending");
    for wish in ["wait=soon", "wait=-1", "handling=strict"] {
        let answer = service.send(waiting(wish, wish)).await;
        assert_eq!(answer.header("preference-applied"), None, "{wish}");
        assert_eq!(answer.expect(201)["order"], Value::Null, "{wish}");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_waits_no_longer_and_its_order_goes_on() {
    let service = Service::start().await;
    {
        let mut gone = Box::pin(service.send(waiting("k-1", "wait=20")));
        tokio::select! {
            _ = &mut gone => panic!("it is not paid"),
            _ = awaited(&service) => {}
        }
        assert_eq!(service.api.awaited.count(), 1);
    }
    assert_eq!(service.api.awaited.count(), 0);
    assert_eq!(service.get("/orders").await.expect(200)["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_service_that_stops_answers_those_that_wait_with_what_is_known() {
    let service = Service::start().await;
    let began_at = Instant::now();
    let stop = async {
        awaited(&service).await;
        service.stop.stop();
    };
    let (answer, ()) = join(service.send(waiting("k-1", "wait=20")), stop).await;
    assert_eq!(standing(answer)["status"], "pending");
    assert!(began_at.elapsed() < Duration::from_secs(10), "it did not wait to the end");
    let answer = service.send(waiting("k-2", "wait=20")).await;
    assert_eq!(
        (answer.header("preference-applied"), answer.status.as_u16()),
        (None, 201),
        "it waits no more"
    );
}

#[tokio::test]
async fn what_a_client_wished_to_wait_is_no_part_of_what_its_answer_took() {
    let service = Service::start().await;
    service.send(waiting("k-1", "wait=2")).await.expect(201);
    let metrics = service.get("/metrics").await;
    let text = String::from_utf8(metrics.body.to_vec()).expect("a text");
    let sum = text
        .lines()
        .find(|line| {
            line.contains("http_server_request_duration_seconds_sum")
                && line.contains("POST")
                && line.contains("/orders\"")
        })
        .and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .unwrap_or_else(|| panic!("{text}"));
    assert!(sum < 1.5, "{sum}");
}
