//! Charging, looking up, capturing, refunding and cancelling over the wire.

use std::collections::HashSet;

use http::Method;
use serde_json::json;

use crate::client::{Client, charge_of, charge_with, perfect};

#[tokio::test]
async fn a_hundred_concurrent_twins_are_one_charge_with_one_answer() {
    let (running, client) = perfect().await;
    let twins: Vec<_> = (0..100)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.charge("pay-1", charge_of("order-1")).await })
        })
        .collect();
    let mut answers = HashSet::new();
    for twin in twins {
        let answer = twin.await.expect("a twin");
        assert_eq!(answer.status, 201);
        answers.insert(answer.body.to_string());
    }
    let stats = running.stats().payments;
    assert_eq!((answers.len(), stats.charges, stats.captured, stats.charges_per_key_max), (1, 1, 1, 1));
    assert_eq!((stats.keys_charged_twice, stats.references_charged_twice), (0, 0));
    assert_eq!(stats.money["USD"].captured_minor, 1250);
}

#[tokio::test]
async fn both_http_versions_are_spoken_on_one_port() {
    let (running, http1) = perfect().await;
    let http2 = Client::http2(&format!("http://{}", running.addr));
    assert_eq!(http1.charge("pay-1", charge_of("order-1")).await.brief(), (201, "captured"));
    assert_eq!(http2.charge("pay-2", charge_of("order-2")).await.brief(), (201, "captured"));
    assert_eq!(http2.charge_by_key("pay-1").await.brief(), (200, "captured"));
    running.stop().await;
}

#[tokio::test]
async fn a_charge_can_be_looked_up_by_its_key_and_an_unknown_key_is_not_found() {
    let (_running, client) = perfect().await;
    let made = client.charge("pay:1/a", charge_of("order-1")).await;
    let found = client.charge_by_key("pay%3A1%2Fa").await;
    assert_eq!((found.status, &found.body["id"]), (200, &made.body["id"]));
    assert_eq!(found.body["captured_minor"], 1250);
    assert_eq!(client.charge_by_key("pay-2").await.brief(), (404, "unknown_key"));
}

#[tokio::test]
async fn a_declined_charge_stays_declined_under_its_key() {
    let (running, client) = perfect().await;
    for _ in 0..2 {
        assert_eq!(
            client.charge("pay-1", charge_with("order-1", "tok_decline")).await.brief(),
            (402, "card_declined")
        );
    }
    assert_eq!(client.charge_by_key("pay-1").await.brief(), (200, "declined"));
    assert_eq!((running.stats().payments.declined, running.stats().payments.captured), (1, 0));
}

#[tokio::test]
async fn a_key_cannot_be_used_for_another_charge() {
    let (_running, client) = perfect().await;
    client.charge("pay-1", charge_of("order-1")).await;
    assert_eq!(client.charge("pay-1", charge_of("order-2")).await.brief(), (422, "key_reused"));
}

#[tokio::test]
async fn cancelling_an_unknown_key_closes_it_against_the_charge_that_comes_late() {
    let (running, client) = perfect().await;
    for _ in 0..2 {
        assert_eq!(client.cancel_charge("pay-1").await.brief(), (200, "voided"));
    }
    assert_eq!(client.charge("pay-1", charge_of("order-1")).await.brief(), (409, "key_closed"));
    assert_eq!(client.charge_by_key("pay-1").await.brief(), (404, "unknown_key"));
    assert_eq!(running.stats().payments.captured, 0);
}

#[tokio::test]
async fn cancelling_a_captured_charge_gives_everything_back_once() {
    let (running, client) = perfect().await;
    client.charge("pay-1", charge_of("order-1")).await;
    for _ in 0..2 {
        let answer = client.cancel_charge("pay-1").await;
        assert_eq!(answer.brief(), (200, "refunded"));
        assert_eq!(answer.body["refunded_minor"], 1250);
    }
    assert_eq!(client.charge("pay-1", charge_of("order-1")).await.brief(), (409, "key_closed"));
    let stats = running.stats().payments;
    assert_eq!((stats.refunded, stats.money["USD"].refunded_minor), (1, 1250));
}

#[tokio::test]
async fn an_authorised_charge_is_captured_or_voided() {
    let (running, client) = perfect().await;
    for key in ["pay-1", "pay-2"] {
        let mut later = charge_of(key);
        later["capture"] = false.into();
        assert_eq!(client.charge(key, later).await.brief(), (201, "authorised"));
    }
    for _ in 0..2 {
        let captured = client.post("/payments/charges/by-key/pay-1/capture", "cap-1", json!({})).await;
        assert_eq!(captured.brief(), (200, "captured"));
    }
    assert_eq!(client.cancel_charge("pay-2").await.brief(), (200, "voided"));
    let late = client.post("/payments/charges/by-key/pay-2/capture", "cap-2", json!({})).await;
    assert_eq!(late.brief(), (409, "not_capturable"));
    let stats = running.stats().payments;
    assert_eq!((stats.charges, stats.captured, stats.voided), (2, 1, 1));
}

#[tokio::test]
async fn refunds_are_idempotent_and_never_exceed_what_was_captured() {
    let (running, client) = perfect().await;
    client.charge("pay-1", charge_of("order-1")).await;
    let path = "/payments/charges/by-key/pay-1/refund";
    for _ in 0..2 {
        let answer = client.post(path, "ref-1", json!({"amount_minor": 1000})).await;
        assert_eq!((answer.status, &answer.body["refunded_minor"]), (200, &json!(1000)));
    }
    assert_eq!(client.post(path, "ref-1", json!({"amount_minor": 1})).await.brief(), (422, "key_reused"));
    assert_eq!(
        client.post(path, "ref-2", json!({"amount_minor": 251})).await.brief(),
        (422, "refund_too_large")
    );
    assert_eq!(client.post(path, "ref-3", json!({"amount_minor": 250})).await.brief(), (200, "refunded"));
    assert_eq!(running.stats().payments.money["USD"].refunded_minor, 1250);
}

#[tokio::test]
async fn a_call_without_a_key_or_with_a_broken_body_changes_nothing() {
    let (running, client) = perfect().await;
    let charges = "/payments/charges";
    let body = charge_of("order-1").to_string();
    let keyless = client.send(Method::POST, charges, None, body).await.expect("an answer");
    assert_eq!(keyless.brief(), (400, "key_missing"));
    let broken = client.send(Method::POST, charges, Some("pay-1"), "{".into()).await.expect("an answer");
    assert_eq!(broken.brief(), (400, "invalid_request"));
    let huge =
        client.send(Method::POST, charges, Some("pay-1"), " ".repeat(70_000)).await.expect("an answer");
    assert_eq!(huge.brief(), (413, "too_large"));
    assert_eq!(client.get("/nowhere").await.brief(), (404, "unknown_route"));
    assert_eq!(client.get("/pause").await.brief(), (405, "method_not_allowed"));
    assert_eq!(running.stats().payments.charges, 0);
}
