//! Orders for more than there is, with a shop that has them wait, until goods are booked.

use serde_json::json;

use crate::shop::{PROMPT, Shop};

#[test]
fn an_order_for_more_than_there_is_waits_until_goods_are_booked_and_one_that_would_not_wait_is_cancelled() {
    let shop = Shop::with("backorders", PROMPT, "[stock]\nwhen_short = \"wait\"\n");
    let order = |key: &str, when_short: Option<&str>| {
        let mut order = json!({
            "customer_id": "ALFKI", "payment_token": "tok_visa", "lines": [{"sku": "TEA", "quantity": 1_200}],
        });
        if let Some(choice) = when_short {
            order["when_short"] = json!(choice);
        }
        shop.post(key, "/orders", &order)
    };
    let (status, waits) = order("waits", None);
    assert_eq!(status, 201, "{waits}");
    let id = waits["order_id"].as_str().expect("an id").to_owned();
    shop.until_order(&id, "/saga_state", "awaiting_stock");
    assert_eq!(shop.get(&format!("/orders/{id}"))["status"], "validated");
    let (_, hurried) = order("hurried", Some("cancel"));
    shop.until_order(hurried["order_id"].as_str().expect("an id"), "/cancel_reason", "out_of_stock");
    let (status, odd) = order("odd", Some("ship some"));
    assert_eq!((status, &odd["errors"][0]["pointer"]), (422, &json!("/when_short")), "{odd}");
    let (status, other) = order("waits", Some("cancel"));
    assert_eq!((status, &other["code"]), (422, &json!("idempotency_key_reused")));

    let told = shop.run(&["sagas", "retry", &id, "--note", "x"]).refusal();
    assert!(told.contains("it waits for its goods"), "{told}");
    shop.run(&["stock", "receive", "TEA", "100", "--reason", "a little"]).answer();
    assert_eq!(shop.get(&format!("/orders/{id}"))["saga_state"], "awaiting_stock");
    shop.run(&["stock", "receive", "TEA", "100", "--reason", "enough"]).answer();
    shop.until_order(&id, "/status", "delivered");
    assert_eq!(shop.get("/inventory/TEA")["available"], 0);
    let history = shop.history(&id);
    assert!(history.contains("InventoryShort") && history.contains("StockArrived"), "{history}");
    assert_eq!(shop.run(&["check", "--json"]).json(), json!([]));
}
