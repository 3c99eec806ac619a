//! Units that are cancelled from the command line while an order is on hold: the real gateway takes less, or gives the rest back.

use serde_json::{Value, json};

use crate::shop::{PROMPT, Shop};

/// An order for three at 4.50 that waits before its shipping.
fn on_hold(shop: &Shop) -> String {
    let body = json!({
        "customer_id": "ALFKI",
        "lines": [{"sku": "TEA", "quantity": 3}],
        "payment_token": "tok_visa",
        "holds": [{"before": "shipping", "reason": "a check"}],
    });
    let (status, placed) = shop.post("k", "/orders", &body);
    assert_eq!(status, 201, "{placed}");
    let id = placed["order_id"].as_str().expect("an id").to_owned();
    shop.until_order(&id, "/saga_state", "on_hold");
    id
}

fn release(shop: &Shop, id: &str) {
    let order = shop.get(&format!("/orders/{id}"));
    let hold = order["holds"][0]["hold_id"].as_str().expect("an id").to_owned();
    shop.run(&["orders", "release", id, &hold, "--note", "fine"]).answer();
}

#[test]
fn money_that_was_taken_for_them_goes_back_and_only_the_rest_is_sent() {
    let shop = Shop::open("fewer", PROMPT);
    let id = on_hold(&shop);
    shop.until_order(&id, "/payment/captured_minor", 1_350);
    let told = shop.run(&["orders", "cancel-lines", &id]).said();
    assert!(told.contains("--line"), "{told}");
    let told = shop.run(&["orders", "cancel-lines", &id, "--line", "TEA=x"]).said();
    assert!(told.contains("'x' is no number of units"), "{told}");
    let told = shop.run(&["orders", "cancel-lines", &id, "--line", "TEA"]).refusal();
    assert!(told.contains("cancel the order instead"), "{told}");
    let told =
        shop.run(&["orders", "cancel-lines", &id, "--line", "TEA=2", "--note", "one will do"]).answer();
    assert!(told.contains("costs 9.00 EUR less, 4.50 EUR in all; it is asked back as refund-"), "{told}");
    shop.until_order(&id, "/payment/refunded_minor", 900);
    let shown = shop.run(&["orders", "show", &id]).answer();
    assert!(shown.contains("cancelled") && shown.contains("4.50"), "{shown}");
    release(&shop, &id);
    shop.until_order(&id, "/status", "delivered");
    let stock = shop.get("/inventory/TEA");
    assert_eq!(stock["shipped"], 1, "{stock}");
    assert_eq!(shop.run(&["check", "--json"]).json(), json!([]));
    let url = shop.provider_url();
    shop.run(&["check", "--against-provider", "--payment-url", &url]).answer();
}

#[test]
fn money_that_is_authorised_for_them_is_never_taken() {
    let shop = Shop::with("lowered", PROMPT, "[providers]\ncapture = \"at_shipment\"\n");
    let id = on_hold(&shop);
    shop.until_order(&id, "/payment/status", "authorised");
    let done =
        shop.run(&["orders", "cancel-lines", &id, "--line", "TEA=1", "--amount", "500", "--json"]).json();
    assert_eq!((&done["amount_minor"], &done["total_minor"]), (&json!(500), &json!(850)), "{done}");
    let url = shop.provider_url();
    shop.run(&["check", "--against-provider", "--payment-url", &url]).answer();
    release(&shop, &id);
    shop.until_order(&id, "/saga_state", "completed");
    let order = shop.get(&format!("/orders/{id}"));
    assert_eq!(
        (&order["payment"]["captured_minor"], &order["payment"]["refunded_minor"]),
        (&json!(850), &json!(0))
    );
    assert_eq!(shop.run(&["check", "--json"]).json(), json!([]));
    shop.run(&["check", "--against-provider", "--payment-url", &url]).answer();
    let books = shop.provider("GET", "/stats", &Value::Null);
    assert_eq!(books["payments"]["captured"], 1, "{books}");
}
