//! One rule for every text from outside: what no store could keep, or what moves a terminal, is refused by name wherever it
//! comes in, and never comes back as it was sent.

use axum::body::Body;
use domain::text::{Lines, refuse};
use http::Method;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Answer, JSON, Service, places, request};

const HOSTILE: [&str; 7] = ["\0", "\u{1b}[2J", "\u{7f}", "\u{9b}31m", "\u{202e}evil", "\u{2028}", "\u{85}"];

const ORDER: &str = "00000000-0000-0000-0000-000000000000";

/// A place for a text: what is sent with it, where it stands there, and how many lines it may have.
type Entrance = (Method, String, fn(&str) -> Value, &'static str, Lines);

fn entrances() -> Vec<Entrance> {
    let order = |member: fn(&str) -> Value, pointer| {
        (Method::POST, "/orders".to_owned(), member, pointer, Lines::One)
    };
    let operation: fn(&str) -> Value = |text| json!({"actor": text, "note": "n"});
    let note: fn(&str) -> Value = |text| json!({"actor": "a", "note": text});
    let mut all: Vec<Entrance> = vec![
        order(|text| json!({"customer_id": text, "lines": [{"sku": "CHAI", "quantity": 1}]}), "/customer_id"),
        order(|text| json!({"customer_id": "A", "lines": [{"sku": text, "quantity": 1}]}), "/lines/0/sku"),
        order(
            |text| json!({"customer_id": "A", "lines": [{"sku": "CHAI", "quantity": 1}], "payment_token": text}),
            "/payment_token",
        ),
        order(
            |text| json!({"customer_id": "A", "lines": [{"sku": "CHAI", "quantity": 1}], "external_reference": text}),
            "/external_reference",
        ),
    ];
    let product = |member: fn(&str) -> Value, pointer, lines| {
        (Method::PUT, "/products".to_owned(), member, pointer, lines)
    };
    all.extend([
        product(
            |text| json!({"products": [{"sku": "N", "name": text, "price": {"minor": 1, "currency": "USD"}}]}),
            "/products/0/name",
            Lines::One,
        ),
        product(
            |text| json!({"products": [{"sku": "N", "name": "n", "description": text, "price": {"minor": 1, "currency": "USD"}}]}),
            "/products/0/description",
            Lines::Many,
        ),
        product(
            |text| json!({"products": [{"sku": text, "name": "n", "price": {"minor": 1, "currency": "USD"}}]}),
            "/products/0/sku",
            Lines::One,
        ),
        product(|text| json!({"products": [], "import": text}), "/import", Lines::One),
    ]);
    let post = |path: &str, body, pointer, lines| (Method::POST, path.to_owned(), body, pointer, lines);
    all.extend([
        post(&format!("/orders/{ORDER}/cancel"), operation, "/actor", Lines::One),
        post(&format!("/orders/{ORDER}/cancel"), note, "/note", Lines::Many),
        post("/dead-letters/discard", operation, "/actor", Lines::One),
        post("/dead-letters/redrive", note, "/note", Lines::Many),
        post(&format!("/sagas/{ORDER}/retry"), operation, "/actor", Lines::One),
        post(&format!("/sagas/{ORDER}/retry"), note, "/note", Lines::Many),
        post(
            "/inventory/CHAI/receive",
            |text| json!({"quantity": 1, "reason": text, "actor": "a"}),
            "/reason",
            Lines::One,
        ),
        post(
            "/inventory/CHAI/adjust",
            |text| json!({"quantity": 1, "reason": "r", "actor": text}),
            "/actor",
            Lines::One,
        ),
    ]);
    all
}

async fn sent(service: &Service, entrance: &Entrance, text: &str) -> Answer {
    let (method, path, body, ..) = entrance;
    service.send(request(method.clone(), path, &[JSON], Body::from(body(text).to_string()))).await
}

/// Nothing in an answer moves a terminal.
#[track_caller]
fn assert_harmless(answer: &Answer) {
    let text = String::from_utf8(answer.body.to_vec()).expect("answers are text");
    assert_eq!(refuse(&text, Lines::Many), Ok(()), "{text:?}");
}

#[tokio::test]
async fn what_no_text_may_hold_is_refused_everywhere_by_its_field_and_its_code_point() {
    let service = Service::start().await;
    for entrance in entrances() {
        let (_, path, _, pointer, lines) = &entrance;
        let two_lines: &[&str] = if *lines == Lines::One { &["a\nb"] } else { &[] };
        for hostile in HOSTILE.iter().chain(two_lines) {
            let answer = sent(&service, &entrance, &format!("a{hostile}")).await;
            assert_harmless(&answer);
            let problem = answer.problem(422, "validation_failed");
            let found = places(&problem);
            assert_eq!(
                found.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>(),
                [*pointer],
                "{path}"
            );
            let told = problem["errors"][0]["detail"].as_str().unwrap_or_default();
            assert!(told.contains("U+"), "{path} {pointer}: {told}");
        }
    }
}

#[tokio::test]
async fn a_query_holds_no_controls_and_no_text_without_end() {
    let service = Service::start().await;
    for path in
        ["/dead-letters?queue=a%00", "/dead-letters?reason_contains=%1B%5B2J", "/orders?status=%C2%9B"]
    {
        let answer = service.get(path).await;
        assert_harmless(&answer);
        answer.problem(400, "invalid_parameter");
    }
    let long = format!("/dead-letters?kind={}", "x".repeat(1_001));
    service.get(&long).await.problem(400, "invalid_parameter");
    let strange = service.get("/orders?%1B%5B2J%E2%80%AE=1").await;
    assert_harmless(&strange);
    strange.problem(400, "invalid_parameter");
}

#[test]
fn no_text_wherever_it_comes_in_is_the_service_s_fault_or_comes_back_raw() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let service = runtime.block_on(Service::start());
    let entrances = entrances();
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(300) });
    let texts = "(.|[\\x00-\\x1f\\x7f-\\x9f\u{2028}-\u{202e}\u{feff}]){0,80}";
    runner
        .run(&(0..entrances.len(), texts), |(index, text)| {
            let answer = runtime.block_on(sent(&service, &entrances[index], &text));
            prop_assert!(answer.status.as_u16() < 500, "{:?} {text:?}", answer.status);
            let answered = String::from_utf8(answer.body.to_vec()).expect("answers are text");
            prop_assert_eq!(refuse(&answered, Lines::Many), Ok(()));
            Ok(())
        })
        .expect("it holds");
}
