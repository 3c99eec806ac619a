//! Orders: accepted once, shown, cancelled, and every mistake told at once.

use application::saga::EventKind;
use axum::body::Body;
use bus::Consumer;
use futures_util::FutureExt;
use http::Method;
use serde_json::json;

use crate::harness::{JSON, MORNING, Service, order_request, pairs, places, request};

#[tokio::test]
async fn an_accepted_order_has_an_answer_with_its_address() {
    let service = Service::start().await;
    let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}, {"sku": "TOFU", "quantity": 1}]});
    let answer = service.order("k-1", &order).await;
    let location = answer.header("location").expect("an address").to_owned();
    assert_eq!(answer.header("idempotent-replayed"), None);
    let accepted = answer.expect(201);
    assert_eq!(accepted["status"], "pending");
    assert_eq!(accepted["total"], json!({"minor": 5925, "currency": "USD"}));
    assert!(
        accepted["created_at"].as_str().is_some_and(|at| at.starts_with("2026-03-04T09:00:0")),
        "{MORNING}"
    );
    let shown = service.get(&location).await.expect(200);
    assert_eq!(shown["order_id"], accepted["order_id"]);
    assert_eq!(shown["created_at"], accepted["created_at"]);
    assert_eq!(shown["lines"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_repeated_order_gets_the_same_bytes_and_is_marked() {
    let service = Service::start().await;
    let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]});
    let first = service.order("k-1", &order).await;
    service.happen(first.json()["order_id"].as_str().expect("an id"), &[EventKind::OrderValidated]).await;
    let again = service.order("k-1", &order).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let orders = service.get("/orders").await.expect(200);
    assert_eq!(orders["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_key_is_needed_and_belongs_to_one_content() {
    let service = Service::start().await;
    let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]});
    service.post("/orders", &order).await.problem(400, "idempotency_key_missing");
    service.order("", &order).await.problem(400, "idempotency_key_invalid");
    service.order("k-1", &order).await.expect(201);
    let other = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 3}]});
    let problem = service.order("k-1", &other).await.problem(422, "idempotency_key_reused");
    assert_eq!(problem["retryable"], false);
    assert_eq!(problem["instance"], "/orders");
}

#[tokio::test]
async fn a_twin_of_a_request_under_way_is_told_to_come_again_and_then_gets_the_answer() {
    let mut service = Service::without_acceptance().await;
    service
        .put_products(&json!({"products": [
        {"sku": "CHAI", "name": "Chai", "price": {"minor": 1800, "currency": "USD"}}]}))
        .await
        .expect(200);
    let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]}).to_string();
    {
        let mut gone = Box::pin(service.send(order_request("k-1", order.clone())));
        assert!((&mut gone).now_or_never().is_none(), "it waits at the door");
        let twin = service.send(order_request("k-1", order.clone()));
        let twin = Box::pin(twin).now_or_never().expect("the twin does not wait");
        assert_eq!(twin.header("retry-after"), Some("1"));
        assert_eq!(twin.problem(409, "request_in_progress")["retryable"], true);
    }
    // The first client has left, with its order in the queue; the key is free again.
    service.accept();
    let first = service.send(order_request("k-1", order.clone())).await;
    let second = service.send(order_request("k-1", order)).await;
    assert_eq!((first.status.as_u16(), first.body), (201, second.body));
    assert_eq!(service.get("/orders").await.expect(200)["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_reference_of_another_system_makes_one_order() {
    let service = Service::start().await;
    let order = |quantity| json!({"customer_id": "ALFKI", "external_reference": "PO-7", "lines": [{"sku": "CHAI", "quantity": quantity}]});
    let first = service.order("k-1", &order(2)).await;
    let again = service.order("k-2", &order(2)).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(201), first.expect(201));
    let problem = service.order("k-3", &order(3)).await.problem(422, "external_reference_reused");
    assert_eq!(places(&problem), pairs(&[("/lines/0/quantity", "differs")]));
    let told = problem["detail"].as_str().unwrap_or_default();
    assert!(told.contains("line 1: quantity 3, was 2") && !told.contains("key"), "{told}");
    let other = json!({"customer_id": "TOMSP", "external_reference": "PO-7", "lines": [{"sku": "CHAI", "quantity": 2}]});
    let problem = service.post("/orders", &other).await.problem(422, "external_reference_reused");
    assert_eq!(places(&problem), pairs(&[("/customer_id", "differs")]));
    assert_eq!(service.get("/orders").await.expect(200)["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn an_order_with_a_reference_needs_no_key() {
    let service = Service::start().await;
    let order = json!({"customer_id": "ALFKI", "external_reference": "PO-8", "lines": [{"sku": "CHAI", "quantity": 2}]});
    let first = service.post("/orders", &order).await;
    let again = service.post("/orders", &order).await;
    let under_a_key = service.order("k-1", &order).await;
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert_eq!((first.status, &first.body), (under_a_key.status, &under_a_key.body));
    assert_eq!(first.status.as_u16(), 201);
    assert_eq!(service.get("/orders").await.expect(200)["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_price_that_has_changed_since_does_not_make_another_order_of_a_reference() {
    let service = Service::start().await;
    let order = json!({"customer_id": "ALFKI", "external_reference": "PO-9", "lines": [{"sku": "CHAI", "quantity": 2}]});
    let first = service.post("/orders", &order).await.expect(201);
    let dearer =
        json!({"products": [{"sku": "CHAI", "name": "Chai", "price": {"minor": 1900, "currency": "USD"}}]});
    service.put_products(&dearer).await.expect(200);
    assert_eq!(service.post("/orders", &order).await.expect(201), first);
}

#[tokio::test]
async fn everything_wrong_with_the_form_and_the_sense_of_an_order_is_told_at_once() {
    let service = Service::start().await;
    let order = json!({
        "lines": [
            {"sku": 7, "quantity": 0},
            {"sku": "CHAI", "quantity": "2", "colour": "red"},
            {"sku": " ", "quantity": 1, "unit_price": {"minor": -1, "currency": "dollars"}},
            3,
        ],
        "payment_token": "",
        "ordered_at": "yesterday",
        "coupon/code": true,
    });
    let problem = service.order("k-1", &order).await.problem(422, "validation_failed");
    let mut found = places(&problem);
    let mut expected = pairs(&[
        ("/customer_id", "missing"),
        ("/lines/0/sku", "wrong_type"),
        ("/lines/1/quantity", "wrong_type"),
        ("/lines/1/colour", "unknown_member"),
        ("/lines/3", "wrong_type"),
        ("/ordered_at", "invalid_time"),
        ("/coupon~1code", "unknown_member"),
        ("/lines/0/quantity", "invalid_quantity"),
        ("/lines/2/sku", "invalid_sku"),
        ("/lines/2/unit_price/minor", "negative_price"),
        ("/lines/2/unit_price/currency", "invalid_currency"),
        ("/payment_token", "empty"),
    ]);
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{problem:#}");
}

#[tokio::test]
async fn what_only_the_catalogue_knows_is_told_line_by_line() {
    let service = Service::start().await;
    let order = json!({"customer_id": "ALFKI", "lines": [
        {"sku": "NONE", "quantity": 1},
        {"sku": "CHAI", "quantity": 1, "unit_price": {"minor": 5, "currency": "EUR"}},
    ]});
    let problem = service.order("k-1", &order).await.problem(422, "validation_failed");
    let expected =
        pairs(&[("/lines/0/sku", "unknown_sku"), ("/lines/1/unit_price/currency", "wrong_currency")]);
    assert_eq!(places(&problem), expected);
    // A refused order leaves its key free for a better one.
    service.placed("k-1", 1).await;
}

#[tokio::test]
async fn a_body_that_is_no_json_is_told_where_it_stops_being_json() {
    let service = Service::start().await;
    let broken = "{\n  \"customer_id\": \"A\",\n  oops\n}";
    let problem = service.send(order_request("k-1", broken)).await.problem(400, "malformed_json");
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(detail.contains("line 3 column 3"), "{detail}");
    let doubled = r#"{"customer_id": "A", "customer_id": "B", "lines": [{"sku": "CHAI", "quantity": 1}]}"#;
    let problem = service.send(order_request("k-1", doubled)).await.problem(422, "validation_failed");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("duplicate")), "{problem}");
}

#[tokio::test]
async fn an_order_has_a_history_and_a_saga() {
    let service = Service::start().await;
    let id = service.placed("k-1", 2).await;
    service.happen(&id, &[EventKind::OrderValidated, EventKind::InventoryReserved]).await;
    let history = service.get(&format!("/orders/{id}/history")).await.expect(200);
    assert_eq!(history["items"][0]["event"], "OrderCreated");
    assert!(history["items"].as_array().is_some_and(|items| items.len() >= 2));
    let saga = service.get(&format!("/orders/{id}/saga")).await.expect(200);
    assert_eq!(saga["state"], "inventory_reserved");
    assert_eq!(saga["order_id"], id.as_str());
}

#[tokio::test]
async fn an_order_is_cancelled_once_and_then_is_cancelled_already() {
    let service = Service::start().await;
    let id = service.placed("k-1", 2).await;
    let wish = json!({"reason": "customer", "actor": "shop", "note": "changed their mind"});
    let path = format!("/orders/{id}/cancel");
    assert_eq!(service.post(&path, &wish).await.expect(202)["outcome"], "accepted");
    assert_eq!(service.post(&path, &wish).await.expect(200)["outcome"], "already");
    let shown = service.get(&format!("/orders/{id}")).await.expect(200);
    assert_eq!((&shown["status"], &shown["cancel_reason"]), (&json!("cancelled"), &json!("customer")));
    assert_eq!(shown["cancel_note"], "changed their mind");
}

#[tokio::test]
async fn an_order_on_its_way_is_not_cancelled_and_the_answer_says_why() {
    let service = Service::start().await;
    let id = service.placed("k-1", 2).await;
    let way = [
        EventKind::OrderValidated,
        EventKind::InventoryReserved,
        EventKind::PaymentStarted,
        EventKind::PaymentCaptured,
        EventKind::ShipmentBooked,
    ];
    service.happen(&id, &way).await;
    let wish = json!({"reason": "operator", "actor": "eve"});
    let problem =
        service.post(&format!("/orders/{id}/cancel"), &wish).await.problem(409, "cancellation_refused");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("shipped")), "{problem}");
}

#[tokio::test]
async fn a_wish_to_cancel_says_who_and_names_an_order() {
    let service = Service::start().await;
    let id = service.placed("k-1", 2).await;
    let path = format!("/orders/{id}/cancel");
    let problem =
        service.post(&path, &json!({"reason": "timeout", "who": 1})).await.problem(422, "validation_failed");
    let expected = pairs(&[("/reason", "unknown_value"), ("/actor", "missing"), ("/who", "unknown_member")]);
    let mut found = places(&problem);
    found.sort();
    let mut expected = expected;
    expected.sort();
    assert_eq!(found, expected);
    let problem = service
        .post(&path, &json!({"reason": "timeout", "actor": " "}))
        .await
        .problem(422, "validation_failed");
    assert_eq!(places(&problem), pairs(&[("/actor", "empty"), ("/reason", "unknown_value")]));
    let nobody = "/orders/00000000-0000-0000-0000-000000000000/cancel";
    service.post(nobody, &json!({"actor": "eve"})).await.problem(404, "order_not_found");
    service.get("/orders/00000000-0000-0000-0000-000000000000/history").await.problem(404, "order_not_found");
    service.get("/orders/00000000-0000-0000-0000-000000000000/saga").await.problem(404, "saga_not_found");
    let problem = service.get("/orders/seven").await.problem(400, "invalid_parameter");
    assert_eq!(places(&problem), pairs(&[("order_id", "invalid_value")]));
}

#[tokio::test]
async fn the_trace_context_of_a_request_travels_with_the_order() {
    use bus::Transport;
    let service = Service::start().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]}).to_string();
    for (key, sent, kept) in [("k-1", trace, Some(trace)), ("k-2", "nonsense", None)] {
        let headers = [JSON, ("idempotency-key", key), ("traceparent", sent)];
        service.send(request(Method::POST, "/orders", &headers, Body::from(order.clone()))).await.expect(201);
        let queue = application::consumers::OrderCreatedConsumer::QUEUE;
        let mut feed = service.store.subscribe(queue).await.expect("a feed");
        let received = feed.receive(10).await.expect("messages");
        let found = received.iter().find(|delivery| delivery.envelope.traceparent.as_deref() == kept);
        assert!(found.is_some(), "{sent}");
    }
}

#[tokio::test]
async fn what_no_sum_could_hold_is_refused_and_nothing_else_suffers() {
    let service = Service::start().await;
    let line = |quantity: i64, minor: i64| json!({"sku": "CHAI", "quantity": quantity, "unit_price": {"minor": minor, "currency": "USD"}});
    let most = 1_000_000_000_000_000_i64;
    for (lines, place) in [
        (vec![line(1, most + 1)], ("/lines/0/unit_price/minor", "price_too_high")),
        (vec![line(1, i64::MAX)], ("/lines/0/unit_price/minor", "price_too_high")),
        (vec![line(1, 1), line(2, most)], ("/lines", "total_too_high")),
        (vec![line(1_000_000, most); 1_000], ("/lines", "total_too_high")),
        (vec![line(1_000_001, 1)], ("/lines/0/quantity", "invalid_quantity")),
        (vec![line(i64::MAX, 1)], ("/lines/0/quantity", "invalid_quantity")),
    ] {
        let order = json!({"customer_id": "ALFKI", "lines": lines});
        let problem = service.order("k", &order).await.problem(422, "validation_failed");
        assert_eq!(places(&problem), pairs(&[place]));
    }
    let order = json!({"customer_id": "ALFKI", "lines": [line(1, most)]});
    assert_eq!(service.order("k", &order).await.expect(201)["total"]["minor"], most);
    service.get("/overview").await.expect(200);
    let priced = |minor: i64| {
        let product = json!({"sku": "DEAR", "name": "Dear", "price": {"minor": minor, "currency": "USD"}});
        json!({"products": [product]})
    };
    let problem = service.put_products(&priced(most + 1)).await.problem(422, "validation_failed");
    assert_eq!(places(&problem), pairs(&[("/products/0/price/minor", "out_of_range")]));
    service.put_products(&priced(most)).await.expect(200);
}

#[tokio::test]
async fn half_a_unit_is_refused_with_words_that_say_how_goods_by_weight_are_sold() {
    let service = Service::start().await;
    let half = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 0.5}]});
    let problem = service.order("k", &half).await.problem(422, "fractional_quantity");
    assert!(problem["detail"].as_str().is_some_and(|words| words.contains("grams")), "{problem}");
    let more = json!({"customer_id": "", "lines": [{"sku": "CHAI", "quantity": 0.5}]});
    let problem = service.order("k", &more).await.problem(422, "validation_failed");
    let expected =
        pairs(&[("/lines/0/quantity", "fractional_quantity"), ("/customer_id", "invalid_customer_id")]);
    assert_eq!(places(&problem), expected);
}
