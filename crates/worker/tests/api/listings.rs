//! Listings: filtered, in pages that together are the whole, and picky about their parameters.

use application::saga::EventKind;
use serde_json::{Value, json};

use crate::harness::{Service, pairs, places};

/// All items of a listing, page by page.
async fn walked(service: &Service, path: &str, limit: usize) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let joint = if path.contains('?') { '&' } else { '?' };
        let page = service.get(&format!("{path}{joint}limit={limit}{cursor}")).await.expect(200);
        let found = page["items"].as_array().expect("items");
        assert!(found.len() <= limit);
        items.extend(found.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

#[tokio::test]
async fn the_pages_of_a_listing_are_the_listing_whatever_their_size() {
    let service = Service::start().await;
    for number in 0..7 {
        service.placed(&format!("k-{number}"), 1).await;
    }
    for path in ["/orders", "/products", "/inventory", "/sagas", "/inventory/CHAI/movements", "/audit"] {
        let whole = walked(&service, path, 200).await;
        for limit in [1, 2, 3] {
            assert_eq!(walked(&service, path, limit).await, whole, "{path} by {limit}");
        }
    }
    assert_eq!(walked(&service, "/orders", 2).await.len(), 7);
    assert_eq!(walked(&service, "/products", 2).await.len(), 2);
}

#[tokio::test]
async fn orders_are_found_by_what_they_are() {
    let service = Service::start().await;
    let id = service.placed("k-1", 1).await;
    service.placed("k-2", 1).await;
    let other = json!({"customer_id": "Ana & Söhne", "lines": [{"sku": "CHAI", "quantity": 1}]});
    service.order("k-3", &other).await.expect(201);
    service.post(&format!("/orders/{id}/cancel"), &json!({"actor": "shop"})).await.expect(202);
    for (query, count) in [
        ("status=cancelled", 1),
        ("status=pending", 2),
        ("customer_id=ALFKI", 2),
        ("customer_id=Ana%20%26%20S%C3%B6hne", 1),
        ("customer_id=ALFKI&status=pending", 1),
        ("created_from=2026-03-04T09:00:00Z", 3),
        ("created_from=2026-03-05T00:00:00Z", 0),
        ("created_before=2026-03-04T09:00:00Z", 0),
        ("created_before=2026-03-05T00:00:00Z", 3),
        ("updated_from=2026-03-04T09:00:00Z", 3),
        ("updated_from=2020-01-01T00:00:00Z&sort=newest", 3),
        ("updated_from=2026-03-05T00:00:00Z", 0),
        ("updated_before=2026-03-04T09:00:00Z&sort=-updated_at", 0),
        ("sku=CHAI&sort=-created_at&status=pending", 2),
        ("sku=TOFU", 0),
        ("tracking_number=none", 0),
        ("external_reference=none&sku=CHAI", 0),
    ] {
        assert_eq!(walked(&service, &format!("/orders?{query}"), 1).await.len(), count, "{query}");
    }
}

#[tokio::test]
async fn every_mistake_in_a_query_is_told() {
    let service = Service::start().await;
    let path = "/orders?status=lost&created_from=noon&limit=201&cursor=x&colour=red&customer_id=A&customer_id=B\
        &updated_from=noon&sort=upwards";
    let problem = service.get(path).await.problem(400, "invalid_parameter");
    let expected = pairs(&[
        ("colour", "unknown_parameter"),
        ("status", "invalid_value"),
        ("customer_id", "invalid_value"),
        ("created_from", "invalid_value"),
        ("updated_from", "invalid_value"),
        ("sort", "invalid_value"),
        ("cursor", "invalid_value"),
        ("limit", "invalid_value"),
    ]);
    assert_eq!(places(&problem), expected);
    for path in
        ["/sagas?state=lost", "/inventory?low=perhaps", "/products?limit=0", "/dead-letters?message_id=7"]
    {
        service.get(path).await.problem(400, "invalid_parameter");
    }
}

#[tokio::test]
async fn a_cursor_of_one_listing_is_no_cursor_of_another() {
    let service = Service::start().await;
    service.placed("k-1", 1).await;
    service.placed("k-2", 1).await;
    let page = service.get("/orders?limit=1").await.expect(200);
    let cursor = page["next_cursor"].as_str().expect("there is more");
    for path in ["/products?", "/orders?sort=newest&", "/orders?updated_from=2020-01-01T00:00:00Z&"] {
        service.get(&format!("{path}cursor={cursor}")).await.problem(400, "invalid_parameter");
    }
}

#[tokio::test]
async fn an_order_is_found_by_the_name_that_another_system_gave_it_and_the_newest_come_first_if_asked() {
    let service = Service::start().await;
    let mut order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 1}]});
    order["external_reference"] = json!("WEB 1");
    let named = service.order("k-1", &order).await.expect(201)["order_id"].clone();
    service.clock.jump(jiff::SignedDuration::from_secs(1));
    let last = service.placed("k-2", 1).await;
    let found = service.get("/orders?external_reference=WEB%201").await.expect(200);
    assert_eq!((&found["items"][0]["order_id"], found["items"].as_array().map(Vec::len)), (&named, Some(1)));
    for sort in ["newest", "-created_at", "-updated_at"] {
        let found = service.get(&format!("/orders?sort={sort}&limit=1")).await.expect(200);
        assert_eq!(found["items"][0]["order_id"], last.as_str(), "{sort}");
    }
}

#[tokio::test]
async fn an_order_is_found_by_any_of_its_names_the_newest_first() {
    let service = Service::start().await;
    let mut order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 1}]});
    order["external_reference"] = json!("WEB 1");
    let first =
        service.order("k-1", &order).await.expect(201)["order_id"].as_str().expect("an id").to_owned();
    let way = [
        EventKind::OrderValidated,
        EventKind::InventoryReserved,
        EventKind::PaymentStarted,
        EventKind::PaymentCaptured,
    ];
    service.happen(&first, &way).await;
    service.clock.jump(jiff::SignedDuration::from_secs(1));
    let last = service.placed("k-2", 1).await;
    for (text, found) in [
        (first.as_str(), vec![&first]),
        ("WEB%201", vec![&first]),
        ("%20ch_1%20", vec![&first]),
        ("ALFKI", vec![&last, &first]),
        ("CHAI", vec![&last, &first]),
        ("TOFU", vec![]),
        ("web", vec![]),
        ("ALFKI&sort=oldest", vec![&first, &last]),
        ("CHAI&status=paid", vec![&first]),
    ] {
        let ids = walked(&service, &format!("/orders?find={text}"), 1).await;
        let ids: Vec<_> = ids.iter().map(|order| order["order_id"].as_str().expect("an id")).collect();
        assert_eq!(ids, found, "{text}");
    }
    for query in [
        "find=",
        "find=%20",
        "find=A&sort=updated_at",
        "saga_state=lost",
        "attention=7",
        "attention=true&saga_state=paid",
    ] {
        service.get(&format!("/orders?{query}")).await.problem(400, "invalid_parameter");
    }
}

#[tokio::test]
async fn orders_that_wait_for_a_person_are_listed_with_reference_and_customer() {
    let service = Service::start().await;
    let mut order = json!({"customer_id": "ANA", "lines": [{"sku": "CHAI", "quantity": 1}]});
    order["external_reference"] = json!("WEB 7");
    let stuck =
        service.order("k-1", &order).await.expect(201)["order_id"].as_str().expect("an id").to_owned();
    service.placed("k-2", 1).await;
    let way = [
        EventKind::OrderValidated,
        EventKind::InventoryReserved,
        EventKind::PaymentStarted,
        EventKind::CancelRequested,
        EventKind::UndoFailed,
    ];
    service.happen(&stuck, &way).await;
    for query in ["attention=true", "saga_state=needs_attention", "attention=true&find=ANA&sort=oldest"] {
        let found = service.get(&format!("/orders?{query}")).await.expect(200);
        assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "{query}");
        let first = &found["items"][0];
        assert_eq!((&first["external_reference"], &first["customer_id"]), (&json!("WEB 7"), &json!("ANA")));
    }
    assert_eq!(walked(&service, "/orders?saga_state=created", 1).await.len(), 1);
    assert_eq!(walked(&service, "/orders?attention=false", 1).await.len(), 2);
    assert_eq!(walked(&service, "/orders?saga_state=failed&sort=-updated_at", 1).await.len(), 0);
}
