//! Goods that come back, from the command line and by the carrier: awaited, taken in, and paid back by the gateway.

use serde_json::json;

use crate::running::until;
use crate::shop::{PROMPT, SLOW, Shop};

#[test]
fn goods_that_come_back_are_for_sale_again_and_their_money_goes_back_once() {
    let shop = Shop::open("returns", PROMPT);
    let id = shop.order_that_is("k", "delivered");
    let told = shop.run(&["orders", "return", &id]).refusal();
    assert!(told.contains("--note says why the goods come back"), "{told}");
    let told = shop.run(&["orders", "return", &id, "--line", "TEA", "--note", "x"]).said();
    assert!(told.contains("SKU=UNITS, such as TEA-1=2"), "{told}");
    let told = shop.run(&["orders", "return", &id, "--line", "TEA=2", "--note", "x"]).refusal();
    assert!(told.contains("2 units of TEA, where 1 to 1 can come back"), "{told}");
    let asked =
        shop.run(&["orders", "return", &id, "--note", "too small", "--actor", "eve", "--json"]).json();
    let it = asked["return_id"].as_str().expect("an id").to_owned();
    assert!(shop.run(&["orders", "show", &id]).answer().contains("too small"));
    let told = shop.run(&["orders", "return", &id, "--note", "again"]).refusal();
    assert!(told.contains("nothing of this order is left to come back"), "{told}");

    let sku = asked["lines"][0]["sku"].as_str().expect("a product").to_owned();
    let stock = || shop.get(&format!("/inventory/{sku}"))["available"].as_i64().expect("units");
    let before = stock();
    let told =
        shop.run(&["orders", "receive-return", &id, &it, "--refund", "100000", "--note", "fine"]).refusal();
    assert!(told.contains("can go back"), "{told}");
    let told =
        shop.run(&["orders", "receive-return", &id, &it, "--restock", "--refund", "100", "--note", "fine"]);
    assert!(told.answer().contains("taken in; 100 minor units are asked back as refund-"));
    let quantity = asked["lines"][0]["quantity"].as_i64().expect("units");
    assert_eq!(stock(), before + quantity);
    shop.until_order(&id, "/payment/refunded_minor", 100);
    // The gateway's event may have been faster than its answer.
    until("the answer to be noted", || {
        shop.get(&format!("/orders/{id}"))["returns"][0]["refunded_at"].is_string()
    });
    let told = shop.run(&["orders", "cancel-return", &id, &it]).refusal();
    assert!(told.contains("the return was received before"), "{told}");
    assert_eq!(shop.run(&["check", "--json"]).json(), json!([]));
}

#[test]
fn a_parcel_that_the_carrier_sends_back_is_awaited_by_itself() {
    let shop = Shop::open("sent-back", SLOW);
    let id = shop.order_that_is("k", "shipped");
    shop.parcel(&id, "return");
    shop.until_a_person_is_asked(&id, "parcel_returned");
    let order = shop.get(&format!("/orders/{id}"));
    let it = &order["returns"][0];
    assert_eq!((&it["status"], &it["actor"]), (&json!("requested"), &json!(null)), "{order}");
    let name = it["return_id"].as_str().expect("an id");
    let told = shop.run(&[
        "orders",
        "receive-return",
        &id,
        name,
        "--restock",
        "--refund",
        "450",
        "--note",
        "unopened",
    ]);
    assert!(told.answer().contains("taken in"));
    shop.until_order(&id, "/payment/refunded_minor", 450);
    assert_eq!(shop.get(&format!("/orders/{id}"))["payment"]["status"], "refunded");
    assert_eq!(shop.run(&["check", "--json"]).json(), json!([]));
}
