//! Whatever is sent, wherever: no panic, no answer that blames the service, and every "no" is a whole problem.

use axum::body::Body;
use http::Method;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Service, request};

/// JSON of any kind, with the words that orders are made of.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("customer_id"),
        Just("lines"),
        Just("sku"),
        Just("quantity"),
        Just("unit_price"),
        Just("minor"),
        Just("currency"),
        Just("ordered_at"),
        Just("external_reference"),
        Just("actor"),
        Just("note"),
        Just("reason"),
        Just("products"),
        Just("events"),
        Just("~/"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop_oneof![Just("CHAI"), Just("USD"), Just("2026-01-01T00:00:00Z"), Just("-9999-12-31T23:59:59Z")]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((word.clone(), inner), 0..6).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

/// Orders that are nearly right.
fn nearly_an_order() -> impl Strategy<Value = Value> {
    (any_json(), any_json(), any_json(), 0..5_u8).prop_map(|(one, two, three, spoilt)| {
        let mut order = json!({"customer_id": "A", "lines": [{"sku": "CHAI", "quantity": 1}]});
        match spoilt {
            0 => order["customer_id"] = one,
            1 => order["lines"] = two,
            2 => order["lines"][0]["quantity"] = three,
            3 => order["lines"][0]["unit_price"] = json!({"minor": one, "currency": two}),
            _ => order["ordered_at"] = one,
        }
        order
    })
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any_json().prop_map(|value| value.to_string().into_bytes()),
        nearly_an_order().prop_map(|value| value.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..64),
        "(order_ref|customer_id|sku|quantity|[\"\n, a1]){0,24}".prop_map(String::into_bytes),
        (1..2_000_usize).prop_map(|depth| "[".repeat(depth).into_bytes()),
    ]
}

fn any_path() -> impl Strategy<Value = String> {
    let id = "00000000-0000-7000-8000-000000000000";
    let fixed = [
        "/orders".to_owned(),
        "/imports".to_owned(),
        "/products".to_owned(),
        "/webhooks/payments".to_owned(),
        format!("/orders/{id}/cancel"),
        format!("/sagas/{id}/force"),
        "/dead-letters/redrive".to_owned(),
        "/dead-letters/discard".to_owned(),
        "/inventory/CHAI/adjust".to_owned(),
        "/inventory/CHAI/receive".to_owned(),
        "/inventory/%00/adjust".to_owned(),
        "/orders/%F0%9F/cancel".to_owned(),
    ];
    let query = "(\\?[a-z_]{1,8}=[a-zA-Z0-9%]{0,12}(&limit=[0-9-]{1,20})?)?";
    (proptest::sample::select(fixed.to_vec()), query).prop_map(|(path, query)| path + &query)
}

#[test]
fn nothing_that_is_sent_makes_the_service_fail() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let service = runtime.block_on(Service::start());
    let method = prop_oneof![Just(Method::POST), Just(Method::POST), Just(Method::PUT), Just(Method::GET)];
    let kind =
        prop_oneof![Just("application/json"), Just("text/csv"), Just("application/x-ndjson"), Just("\u{1}")];
    let kind = kind.prop_filter("a header", |kind| http::HeaderValue::from_str(kind).is_ok());
    let cases = Config { cases: 1_500, failure_persistence: None, ..Config::default() };
    TestRunner::new(cases)
        .run(&(method, any_path(), kind, "[ -~]{0,12}", any_body()), |(method, path, kind, key, body)| {
            let headers = [("content-type", kind), ("idempotency-key", key.as_str())];
            let sent = request(method, &path, &headers, Body::from(body));
            let answer = runtime.block_on(service.send(sent));
            prop_assert!(
                !answer.status.is_server_error(),
                "{path}: {}",
                String::from_utf8_lossy(&answer.body)
            );
            if answer.status.is_client_error() {
                let status = answer.status.as_u16();
                let code = answer.json()["code"].as_str().expect("a code").to_owned();
                answer.problem(status, &code);
            }
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}
