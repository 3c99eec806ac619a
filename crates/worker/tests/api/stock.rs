//! Products and stock: brought in, received, corrected, listed; and what cannot be is refused with the numbers.

use serde_json::json;

use crate::harness::{Service, pairs, places, product_id};

#[tokio::test]
async fn a_batch_of_products_brought_in_twice_changes_nothing_but_the_words() {
    let service = Service::start().await;
    let batch = json!({"import": "spring", "products": [
        {"sku": "CHAI", "name": "Chai tea", "description": "Strong", "price": {"minor": 1900, "currency": "USD"}, "stock": 7},
        {"sku": "NEW", "name": "New", "price": {"minor": 1, "currency": "USD"}, "stock": 3, "availability": "discontinued"},
    ]});
    assert_eq!(service.put_products(&batch).await.expect(200), json!({"products": 2, "created": 1}));
    assert_eq!(service.put_products(&batch).await.expect(200), json!({"products": 2, "created": 0}));
    let products = service.get("/products").await.expect(200);
    assert_eq!(products["items"][0]["name"], "Chai tea");
    assert_eq!(products["items"][0]["product_id"], product_id("CHAI"));
    assert_eq!(products["items"][1]["availability"], "discontinued");
    assert_eq!(
        service.get("/inventory/CHAI").await.expect(200)["available"],
        100,
        "a known product keeps its stock"
    );
    assert_eq!(service.get("/inventory/NEW").await.expect(200)["available"], 3);
}

#[tokio::test]
async fn every_mistake_in_a_batch_of_products_is_told() {
    let service = Service::start().await;
    let batch = json!({"products": [
        {"sku": "A", "name": "", "price": {"minor": -1, "currency": "??"}, "stock": -1, "reorder_level": -1},
        {"sku": "A", "name": "a", "price": {"minor": 1, "currency": "USD"}},
        {"sku": " ", "name": "b", "price": {"minor": 1, "currency": "USD"}},
    ]});
    let problem = service.put_products(&batch).await.problem(422, "validation_failed");
    let expected = pairs(&[
        ("/products/0/name", "empty"),
        ("/products/0/price/minor", "out_of_range"),
        ("/products/0/stock", "out_of_range"),
        ("/products/0/reorder_level", "out_of_range"),
        ("/products/0/price/currency", "invalid_currency"),
        ("/products/1/sku", "repeated_sku"),
        ("/products/2/sku", "invalid_sku"),
    ]);
    assert_eq!(places(&problem), expected);
}

#[tokio::test]
async fn stock_is_received_and_corrected_and_the_ledger_says_why() {
    let service = Service::start().await;
    let receive = json!({"quantity": 20, "reason": "delivery 7", "actor": "eve"});
    let level = service.post("/inventory/TOFU/receive", &receive).await.expect(200);
    assert_eq!((level["available"].as_i64(), level["low"].as_bool()), (Some(25), Some(false)));
    let adjust = json!({"quantity": -4, "reason": "broken", "actor": "eve"});
    let level = service.post("/inventory/TOFU/adjust", &adjust).await.expect(200);
    assert_eq!((level["available"].as_i64(), level["adjusted"].as_i64()), (Some(21), Some(-4)));
    assert_eq!(service.get("/inventory/TOFU").await.expect(200), level);
    let ledger = service.get("/inventory/TOFU/movements").await.expect(200);
    let kinds: Vec<&str> =
        ledger["items"].as_array().expect("items").iter().filter_map(|item| item["kind"].as_str()).collect();
    assert_eq!(kinds, ["adjusted", "received", "received"]);
    assert!(ledger["items"][0]["cause"].as_str().is_some_and(|cause| cause.contains("broken")), "{ledger}");
}

#[tokio::test]
async fn stock_that_is_not_there_cannot_be_taken_away_and_the_numbers_are_told() {
    let service = Service::start().await;
    let adjust = json!({"quantity": -6, "reason": "lost", "actor": "eve"});
    let problem = service.post("/inventory/TOFU/adjust", &adjust).await.problem(409, "insufficient_stock");
    assert_eq!(
        (problem["requested"].as_i64(), problem["available"].as_i64()),
        (Some(6), Some(5)),
        "{problem}"
    );
    let receive = json!({"quantity": 1_000_000_000_000_000_i64, "reason": "too much", "actor": "eve"});
    service.post("/inventory/TOFU/receive", &receive).await.problem(409, "stock_refused");
    assert_eq!(service.get("/inventory/TOFU").await.expect(200)["available"], 5);
}

#[tokio::test]
async fn a_change_of_stock_needs_a_number_a_reason_and_somebody() {
    let service = Service::start().await;
    let nothing = json!({"quantity": 0, "reason": "", "actor": ""});
    let problem = service.post("/inventory/TOFU/receive", &nothing).await.problem(422, "validation_failed");
    let expected = pairs(&[("/quantity", "out_of_range"), ("/reason", "empty"), ("/actor", "empty")]);
    assert_eq!(places(&problem), expected);
    let zero = json!({"quantity": 0, "reason": "x", "actor": "x"});
    service.post("/inventory/TOFU/adjust", &zero).await.problem(422, "validation_failed");
    let fraction = json!({"quantity": 1.5, "reason": "x", "actor": "x"});
    let problem = service.post("/inventory/TOFU/adjust", &fraction).await.problem(422, "validation_failed");
    assert_eq!(places(&problem), pairs(&[("/quantity", "wrong_type")]));
    let one = json!({"quantity": 1, "reason": "x", "actor": "x"});
    service.post("/inventory/NONE/adjust", &one).await.problem(404, "sku_not_found");
    service.get("/inventory/NONE").await.problem(404, "sku_not_found");
    service.get("/inventory/NONE/movements").await.problem(404, "sku_not_found");
    service.get("/inventory/%FF").await.problem(400, "invalid_parameter");
}

#[tokio::test]
async fn only_what_ought_to_be_reordered_is_listed_as_low() {
    let service = Service::start().await;
    let low = service.get("/inventory?low=true").await.expect(200);
    assert_eq!(low["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(low["items"][0]["sku"], "TOFU");
    assert_eq!(
        service.get("/inventory?low=false").await.expect(200)["items"].as_array().map(Vec::len),
        Some(2)
    );
}

#[tokio::test]
async fn a_sku_with_a_space_in_it_has_an_address() {
    let service = Service::start().await;
    let batch =
        json!({"products": [{"sku": "A / B", "name": "Ab", "price": {"minor": 1, "currency": "USD"}}]});
    service.put_products(&batch).await.expect(200);
    assert_eq!(service.get("/inventory/A%20%2F%20B").await.expect(200)["sku"], "A / B");
}
