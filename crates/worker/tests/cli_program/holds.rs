//! Orders on hold, by rule and from the command line, until they are released there.

use serde_json::json;

use crate::shop::{SLOW, Shop};

#[test]
fn an_order_without_an_address_waits_by_rule_until_it_gets_one_and_others_until_they_are_released() {
    let shop = Shop::with("held", SLOW, "[holds]\naddress_missing = \"shipping\"\n");
    let id = shop.order("waits", "tok_visa");
    shop.until_order(&id, "/saga_state", "on_hold");
    shop.until_order(&id, "/status", "paid");
    let shown = shop.run(&["orders", "show", &id]).answer();
    assert!(shown.contains("address_missing") && shown.contains("on_hold"), "{shown}");
    let listed = shop.run(&["orders", "list", "--saga-state", "on_hold", "--json"]).json();
    assert_eq!(listed["items"][0]["order_id"], json!(id));

    let placed = shop
        .run(&["orders", "hold", &id, "--before", "shipping", "--actor", "eve", "--note", "odd", "--json"]);
    let hold = placed.json()["hold_id"].as_str().expect("an id").to_owned();
    let told = shop.run(&["orders", "hold", &id, "--before", "shipping"]).refusal();
    assert!(told.contains("--note says why the order waits: 1 to 255 bytes in one line"), "{told}");
    let told = shop.run(&["orders", "hold", &id, "--before", "payment", "--note", "odd"]).refusal();
    assert!(told.contains("its payment was asked for"), "{told}");

    let address = json!({"shipping_address": {"lines": ["1 Road"], "city": "Cork", "country": "IE"}});
    let file = shop.folder.file("to.json", address.to_string()).display().to_string();
    shop.run(&["orders", "change", &id, "--to", &file]).answer();
    assert_eq!(shop.get(&format!("/orders/{id}"))["saga_state"], "on_hold", "the other hold is left");
    let told = shop.run(&["orders", "release", &id, &hold, "--note", "fine"]).answer();
    assert!(told.contains("released; the order is paid"), "{told}");
    assert!(shop.run(&["orders", "release", &id, &hold]).answer().contains("released before"));
    shop.until_order(&id, "/status", "shipped");
    let told = shop.run(&["orders", "release", &id, "00000000-0000-7000-8000-000000000000"]).refusal();
    assert!(told.contains("has no hold"), "{told}");
}
