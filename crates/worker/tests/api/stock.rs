//! Products and stock: brought in, received, corrected, listed; and what cannot be is refused with the numbers.

use application::saga::EventKind;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, JSON, Service, pairs, places, product_id, request};

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
async fn what_a_batch_leaves_out_of_a_known_product_stays_as_it_is() {
    let service = Service::start().await;
    let batch = |more: &str| {
        let text = format!(
            r#"{{"sku": "CHAI", "name": "Chai", "price": {{"minor": 1900, "currency": "USD"}}{more}}}"#
        );
        json!({"products": [serde_json::from_str::<Value>(&text).expect("JSON")]})
    };
    let standing = async || {
        let shown = service.get("/products").await.expect(200)["items"][0].clone();
        (shown["availability"].clone(), shown["description"].clone())
    };
    let said = r#", "description": "Strong", "availability": "discontinued", "reorder_level": 3"#;
    service.put_products(&batch(said)).await.expect(200);
    service.put_products(&batch("")).await.expect(200);
    service.put_products(&batch(r#", "availability": null, "description": null"#)).await.expect(200);
    assert_eq!(standing().await, (json!("discontinued"), json!("Strong")));
    let order = json!({"customer_id": "A", "lines": [{"sku": "CHAI", "quantity": 1}]});
    service.order("k", &order).await.problem(422, "validation_failed");
    service.put_products(&batch(r#", "availability": "active", "description": """#)).await.expect(200);
    assert_eq!(standing().await, (json!("active"), json!("")));
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
    let refused = service.post("/inventory/TOFU/receive", &receive).await.problem(409, "stock_refused");
    for problem in [problem, refused] {
        let detail = problem["detail"].as_str().expect("words");
        assert!(detail.contains("TOFU") && !detail.contains(&product_id("TOFU")), "{detail}");
    }
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
    let problem = service.post("/inventory/TOFU/adjust", &fraction).await.problem(422, "fractional_quantity");
    assert_eq!(places(&problem), pairs(&[("/quantity", "fractional_quantity")]));
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

async fn patch(service: &Service, path: &str, body: &Value) -> Answer {
    service.send(request(Method::PATCH, path, &[JSON], body.to_string().into())).await
}

#[tokio::test]
async fn a_count_is_booked_below_what_is_reserved_too_and_names_the_orders_that_it_endangers() {
    let service = Service::start().await;
    let mut ids = Vec::new();
    for number in 0..3 {
        let id = service.placed(&format!("k-{number}"), 30).await;
        service.happen(&id, &[EventKind::OrderValidated, EventKind::InventoryReserved]).await;
        ids.push(id);
    }
    ids.sort_unstable(); // those of one millisecond are listed by their ids
    let count = json!({"quantity": 55, "reason": "stocktaking", "actor": "anna"});
    for _ in 0..2 {
        let counted = service.post("/inventory/CHAI/count", &count).await.expect(200);
        let level =
            ["available", "reserved", "short", "adjusted"].map(|name| counted[name].as_i64().unwrap());
        assert_eq!(level, [0, 90, 35, -45], "counting twice is counting once");
        let orders = counted["endangered"]["orders"].as_array().unwrap();
        let lacking: Vec<_> = orders
            .iter()
            .map(|it| (it["order_id"].as_str().unwrap(), it["missing"].as_i64().unwrap()))
            .collect();
        assert_eq!(lacking, [(ids[2].as_str(), 30), (ids[1].as_str(), 5)]);
        assert_eq!(service.get("/inventory/CHAI/endangered").await.expect(200), counted["endangered"]);
    }
    let ledger = service.get("/inventory/CHAI/movements?limit=1").await.expect(200);
    assert_eq!(ledger["items"][0]["cause"], "adjustment: counted 55: stocktaking");
    let broken = service.get("/check").await.expect(200);
    assert!(!broken.to_string().contains("product"), "{broken}");
    let receive = json!({"quantity": 36, "reason": "found", "actor": "anna"});
    let level = service.post("/inventory/CHAI/receive", &receive).await.expect(200);
    assert_eq!((level["available"].as_i64(), level["short"].as_i64()), (Some(1), Some(0)));
    assert_eq!(service.get("/inventory/CHAI/endangered").await.expect(200)["orders"], json!([]));
    let nonsense = json!({"quantity": -1, "reason": "x", "actor": "anna"});
    service.post("/inventory/CHAI/count", &nonsense).await.problem(422, "validation_failed");
    service.post("/inventory/NONE/count", &count).await.problem(404, "sku_not_found");
}

#[tokio::test]
async fn a_reorder_level_is_changed_alone_or_with_a_batch_and_kept_where_none_is_said() {
    let service = Service::start().await;
    let level = async || service.get("/inventory/TOFU").await.expect(200)["reorder_level"].as_i64().unwrap();
    let changed = patch(&service, "/products/TOFU", &json!({"reorder_level": 3, "actor": "anna"})).await;
    assert_eq!(changed.expect(200)["reorder_level"], 3);
    assert_eq!(level().await, 3);
    let tofu = |members: &str| {
        let text = format!(
            r#"{{"sku": "TOFU", "name": "Tofu", "price": {{"minor": 1, "currency": "USD"}}{members}}}"#
        );
        json!({"products": [serde_json::from_str::<Value>(&text).unwrap()]})
    };
    service.put_products(&tofu("")).await.expect(200);
    assert_eq!(level().await, 3, "what is not said is kept");
    service.put_products(&tofu(r#", "reorder_level": 7"#)).await.expect(200);
    assert_eq!(level().await, 7);
    assert_eq!(service.get("/inventory/TOFU").await.expect(200)["available"], 5, "and so is the stock");
    let wrong = json!({"reorder_level": -1, "price": {"minor": -1, "currency": "?"}, "actor": ""});
    let problem = patch(&service, "/products/TOFU", &wrong).await.problem(422, "validation_failed");
    let expected = pairs(&[
        ("/actor", "empty"),
        ("/reorder_level", "out_of_range"),
        ("/price/minor", "out_of_range"),
        ("/price/currency", "invalid_currency"),
    ]);
    assert_eq!(places(&problem), expected);
    patch(&service, "/products/NONE", &json!({"actor": "anna"})).await.problem(404, "sku_not_found");
}

#[tokio::test]
async fn what_a_carrier_needs_to_know_of_a_product_is_set_kept_replaced_and_forgotten() {
    let service = Service::start().await;
    let known = async || service.get("/products").await.expect(200)["items"][1]["shipping"].clone();
    assert_eq!(known().await, json!({}));
    let all = json!({"weight_g": 400, "length_mm": 120, "width_mm": 90, "height_mm": 60, "hs_code": "2106.90",
        "origin_country": "JP"});
    let tofu = |members: &Value| {
        let mut product = json!({"sku": "TOFU", "name": "Tofu", "price": {"minor": 1, "currency": "USD"}});
        product.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!({"products": [product]})
    };
    service.put_products(&tofu(&json!({"shipping": all}))).await.expect(200);
    assert_eq!(known().await, all);
    service.put_products(&tofu(&json!({}))).await.expect(200);
    patch(&service, "/products/TOFU", &json!({"name": "Tofu, firm", "actor": "anna"})).await.expect(200);
    assert_eq!(known().await, all, "what is not said is kept");
    let changed = json!({"shipping": {"weight_g": 410}, "actor": "anna", "note": "weighed again"});
    let changed = patch(&service, "/products/TOFU", &changed).await.expect(200);
    assert_eq!((&changed["shipping"], known().await), (&json!({"weight_g": 410}), json!({"weight_g": 410})));
    assert_eq!(
        service.get("/audit").await.expect(200)["items"][0]["action"],
        "product change: shipping facts"
    );
    service.put_products(&tofu(&json!({"shipping": {}}))).await.expect(200);
    assert_eq!(known().await, json!({}));
}

#[tokio::test]
async fn every_mistake_in_what_a_carrier_is_told_of_a_product_is_told() {
    let service = Service::start().await;
    let wrong =
        json!({"weight_g": 0, "width_mm": 1_000_000_001, "hs_code": "tofu", "origin_country": "Japan"});
    let mistakes = |at: &str| {
        let wrong = [
            ("weight_g", "out_of_range"),
            ("width_mm", "out_of_range"),
            ("hs_code", "invalid_hs_code"),
            ("origin_country", "unknown_country"),
        ];
        wrong.map(|(member, code)| (format!("{at}/{member}"), code.to_owned())).to_vec()
    };
    let batch = json!({"products": [
        {"sku": "TOFU", "name": "Tofu", "price": {"minor": 1, "currency": "USD"}, "shipping": wrong},
    ]});
    let problem = service.put_products(&batch).await.problem(422, "validation_failed");
    assert_eq!(places(&problem), mistakes("/products/0/shipping"));
    let change = json!({"shipping": wrong, "actor": "anna"});
    let problem = patch(&service, "/products/TOFU", &change).await.problem(422, "validation_failed");
    assert_eq!(places(&problem), mistakes("/shipping"));
    for (shipping, place, code) in [
        (json!({"weight_g": 2.5}), "/shipping/weight_g", "wrong_type"),
        (json!({"weight": 2}), "/shipping/weight", "unknown_member"),
        (json!([]), "/shipping", "wrong_type"),
    ] {
        let change = json!({"shipping": shipping, "actor": "anna"});
        let problem = patch(&service, "/products/TOFU", &change).await.problem(422, "validation_failed");
        assert_eq!(places(&problem), pairs(&[(place, code)]));
    }
}

#[tokio::test]
async fn what_is_no_longer_sold_is_neither_ordered_nor_low_and_every_line_of_it_is_named() {
    let service = Service::start().await;
    let gone = json!({"availability": "discontinued", "actor": "anna"});
    patch(&service, "/products/TOFU", &gone).await.expect(200);
    assert_eq!(service.get("/inventory?low=true").await.expect(200)["items"], json!([]));
    let order = json!({"customer_id": "ALFKI", "lines": [
        {"sku": "TOFU", "quantity": 1}, {"sku": "CHAI", "quantity": 1}, {"sku": "TOFU", "quantity": 2},
        {"sku": "NONE", "quantity": 1},
    ]});
    let problem = service.order("k-1", &order).await.problem(422, "validation_failed");
    let expected = pairs(&[
        ("/lines/0/sku", "discontinued_product"),
        ("/lines/2/sku", "discontinued_product"),
        ("/lines/3/sku", "unknown_sku"),
    ]);
    assert_eq!(places(&problem), expected);
    assert!(
        problem["errors"][0]["detail"].as_str().is_some_and(|it| it.starts_with("TOFU is no longer sold"))
    );
    patch(&service, "/products/TOFU", &json!({"availability": "active", "actor": "anna"})).await.expect(200);
    assert_eq!(service.get("/inventory?low=true").await.expect(200)["items"][0]["sku"], "TOFU");
}

#[tokio::test]
async fn a_whole_number_is_the_same_however_it_is_spelled() {
    let service = Service::start().await;
    let send = async |path: &str, method: Method, body: &str| {
        let headers = [JSON, ("idempotency-key", "spelled")];
        service.send(request(method, path, &headers, body.to_owned().into())).await
    };
    let order = |quantity: &str, minor: &str| {
        format!(
            r#"{{"customer_id": "A", "lines": [{{"sku": "CHAI", "quantity": {quantity}, "unit_price": {{"minor": {minor}, "currency": "USD"}}}}]}}"#
        )
    };
    let first = send("/orders", Method::POST, &order("1", "1800")).await.expect(201);
    for (quantity, minor) in [("1.0", "1800"), ("1e0", "1800.0"), ("10e-1", "1.8e3")] {
        let again = send("/orders", Method::POST, &order(quantity, minor)).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{quantity}");
        assert_eq!(again.expect(201), first);
    }
    send("/orders", Method::POST, &order("1.5", "1800")).await.problem(422, "fractional_quantity");
    let wrong = send("/orders", Method::POST, &order("1", "1800.5")).await.problem(422, "validation_failed");
    assert_eq!(places(&wrong), pairs(&[("/lines/0/unit_price/minor", "wrong_type")]));
    let receive = r#"{"quantity": 2.0, "reason": "r", "actor": "a"}"#;
    assert_eq!(send("/inventory/CHAI/receive", Method::POST, receive).await.expect(200)["available"], 102);
    let batch = r#"{"products": [{"sku": "NEW", "name": "n", "price": {"minor": 1.0, "currency": "USD"}, "stock": 3e0, "reorder_level": 2.0}]}"#;
    send("/products", Method::PUT, batch).await.expect(200);
    let level = service.get("/inventory/NEW").await.expect(200);
    assert_eq!((&level["available"], &level["reorder_level"]), (&json!(3), &json!(2)));
}

#[tokio::test]
async fn the_open_orders_that_hold_a_product_are_listed_with_since_when_until_they_hold_it_no_more() {
    let service = Service::start().await;
    let held = [EventKind::OrderValidated, EventKind::InventoryReserved];
    let lines = json!([{"sku": "CHAI", "quantity": 2}, {"sku": "TOFU", "quantity": 1}, {"sku": "CHAI", "quantity": 3}]);
    let order = json!({"customer_id": "ALFKI", "external_reference": "WEB 1", "lines": lines});
    let first =
        service.order("k-1", &order).await.expect(201)["order_id"].as_str().expect("an id").to_owned();
    service.clock.jump(jiff::SignedDuration::from_secs(60));
    service.happen(&first, &held).await;
    let second = service.placed("k-2", 7).await;
    service.happen(&second, &held).await;
    service.placed("k-3", 1).await;
    let of_chai = service.get("/inventory/CHAI/reservations").await.expect(200);
    let first_of_chai = json!({
        "order_id": first, "external_reference": "WEB 1", "customer_id": "ALFKI", "status": "validated", "units": 5,
        "since": of_chai["items"][0]["since"],
    });
    assert!(
        first_of_chai["since"].as_str().is_some_and(|at| at.starts_with("2026-03-04T09:01")),
        "{of_chai}"
    );
    assert_eq!((&of_chai["items"][0], &of_chai["items"][1]["units"]), (&first_of_chai, &json!(7)));
    assert_eq!((of_chai["items"].as_array().map(Vec::len), &of_chai["next_cursor"]), (Some(2), &json!(null)));
    let page = service.get("/inventory/CHAI/reservations?limit=1").await.expect(200);
    let cursor = page["next_cursor"].as_str().expect("there is more");
    let rest =
        service.get(&format!("/inventory/CHAI/reservations?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!((&rest["items"][0]["order_id"], &rest["next_cursor"]), (&json!(second), &json!(null)));
    service.happen(&first, &[EventKind::CancelRequested, EventKind::PaymentVoided]).await;
    let of_tofu = service.get("/inventory/TOFU/reservations").await.expect(200);
    assert_eq!(of_tofu["items"], json!([]));
    service.get("/inventory/NONE/reservations").await.problem(404, "sku_not_found");
    service.get("/inventory/CHAI/reservations?low=true").await.problem(400, "invalid_parameter");
}

#[tokio::test]
async fn what_is_booked_on_a_level_that_was_booked_otherwise_since_is_not_booked() {
    let service = Service::start().await;
    let level = service.get("/inventory/CHAI").await.expect(200);
    let seen = level["received"].as_i64().unwrap() + level["adjusted"].as_i64().unwrap();
    service.placed("an order changes nothing of what was booked", 1).await;
    for (action, quantity) in [("receive", 5), ("adjust", -2), ("count", 90)] {
        let level = service.get("/inventory/CHAI").await.expect(200);
        let seen = level["received"].as_i64().unwrap() + level["adjusted"].as_i64().unwrap();
        let body = json!({"quantity": quantity, "reason": "note 77", "actor": "ann", "seen": seen});
        service.post(&format!("/inventory/CHAI/{action}"), &body).await.expect(200);
        service.post(&format!("/inventory/CHAI/{action}"), &body).await.problem(409, "changed_meanwhile");
    }
    let late = json!({"quantity": 1, "reason": "note 77", "actor": "eve", "seen": seen});
    service.post("/inventory/CHAI/receive", &late).await.problem(409, "changed_meanwhile");
}
