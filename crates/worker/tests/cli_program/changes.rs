//! An order that is sent elsewhere from the command line, until its carrier is asked.

use serde_json::{Value, json};

use crate::shop::{SLOW, Shop};

#[test]
fn an_order_is_sent_elsewhere_until_its_carrier_is_asked_and_what_is_wrong_is_named() {
    let shop = Shop::open("changed", SLOW);
    let id = shop.order("unpaid", "tok_authorise");
    let to = |name: &str, said: &Value| shop.folder.file(name, said.to_string()).display().to_string();
    let change = |id: &str, file: &str| shop.run(&["orders", "change", id, "--to", file, "--actor", "eve"]);
    let strand = json!({"lines": ["2 Strand"], "city": "Galway", "country": "IE"});
    let file = to("strand.json", &json!({"shipping_address": strand}));
    assert!(change(&id, &file).answer().contains("changed shipping_address"));
    assert!(change(&id, &file).answer().contains("it said so before"));
    let billed = to("billed.json", &json!({"billing_address": {"country": "FR"}}));
    let changed = shop.run(&["orders", "change", &id, "--to", &billed, "--json"]).json();
    assert_eq!(changed, json!({"order_id": id, "changed": ["billing_address"]}));
    assert_eq!(shop.get(&format!("/orders/{id}"))["shipping_address"], strand);
    assert!(shop.history(&id).contains("shipping_address: by eve"));

    let wrong = json!({"shipping_address": {"country": "Ireland"}, "contact": {"name": ""}});
    let told = change(&id, &to("wrong.json", &wrong)).refusal();
    for part in [
        "nothing was changed",
        "/shipping_address/country: a country is two capital letters",
        "/contact/name",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let told = change(&id, &to("other.json", &json!({"tags": []}))).refusal();
    assert!(told.contains("contact, shipping_address and billing_address, or some of them"), "{told}");
    assert!(change(&id, "none.json").refusal().contains("cannot read none.json"));

    let shipped = shop.order_that_is("shipped", "shipped");
    let told = change(&shipped, &file).refusal();
    assert!(told.contains("the order is shipped, and its parcel is booked; cancel it, or have"), "{told}");
}
