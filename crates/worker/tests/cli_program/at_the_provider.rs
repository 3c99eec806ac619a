//! What happens to money and parcels at the providers, all the way: the sandbox has it happen and tells by signed webhook, and
//! the order's books, its history and whoever is asked know of it.

use serde_json::{Value, json};

use crate::shop::{SLOW, Shop};

#[test]
fn a_dispute_holds_its_order_until_it_is_won_and_is_a_persons_when_it_is_lost() {
    let shop = Shop::open("disputes", SLOW);
    for (key, turn, told, goes_on) in
        [("won", "dispute-won", "won", true), ("lost", "dispute-lost", "lost", false)]
    {
        let id = shop.order_that_is(key, "shipped");
        let before = shop.get(&format!("/orders/{id}"))["updated_at"].clone();
        shop.charge(&id, "dispute");
        shop.until_a_person_is_asked(&id, "disputed");
        let order = shop.get(&format!("/orders/{id}"));
        assert_eq!((&order["payment"]["disputed"], &order["status"]), (&json!("open"), &json!("shipped")));
        assert!(order["updated_at"].as_str() > before.as_str(), "whoever asks for changes hears of it");
        shop.charge(&id, turn);
        shop.until_order(&id, "/payment/disputed", told);
        if goes_on {
            shop.until_order(&id, "/saga_state", "shipped");
        } else {
            shop.until_a_person_is_asked(&id, "dispute_lost");
        }
        for event in ["payment.dispute.opened", "payment.dispute.closed"] {
            assert!(shop.history(&id).contains(event), "{event} is not in {}", shop.history(&id));
        }
    }
    let unmatched = shop.get("/provider-events/unmatched");
    assert_eq!(unmatched["items"], json!([]), "each was an order's");
}

#[test]
fn a_second_charge_holds_its_order_until_it_was_given_back() {
    let shop = Shop::open("second-charge", SLOW);
    let id = shop.order_that_is("k", "shipped");
    let second = shop.charge(&id, "charge-again");
    shop.until_a_person_is_asked(&id, "second_charge");
    let named = second["id"].as_str().expect("a charge");
    assert!(shop.history(&id).contains(named), "a person is told which: {}", shop.history(&id));
    let payment = &shop.get(&format!("/orders/{id}"))["payment"];
    assert_eq!((&payment["captured_minor"], &payment["refunded_minor"]), (&json!(450), &json!(0)));
    let told = shop.get(&format!("/orders/{id}/saga"))["attention"]["retry"].to_string();
    assert!(told.contains("is refused"), "{told}");
    let refusal = shop.run(&["sagas", "retry", &id, "--actor", "eve"]).refusal();
    assert!(refusal.contains("nothing to ask for again"), "the deed is the word: {refusal}");
    shop.until_a_person_is_asked(&id, "second_charge");
    shop.give_back(second["by_key"].as_str().expect("where it is found"), 450);
    shop.until_order(&id, "/saga_state", "shipped");
    let payment = &shop.get(&format!("/orders/{id}"))["payment"];
    assert_eq!(payment["refunded_minor"], 0, "the order's own money is where it was");
}

#[test]
fn an_order_that_is_skipped_goes_on_with_its_second_charge() {
    let shop = Shop::open("second-skipped", SLOW);
    let id = shop.order_that_is("k", "shipped");
    shop.charge(&id, "charge-again");
    shop.until_a_person_is_asked(&id, "second_charge");
    shop.run(&["sagas", "skip", &id, "--actor", "eve", "--note", "wanted twice"]).answer();
    shop.until_order(&id, "/saga_state", "shipped");
    let url = shop.provider_url();
    let told = shop.run(&["check", "--against-provider", "--payment-url", &url]).failure();
    assert!(told.contains("second_charge: order"), "it is told of until it is given back: {told}");
}

#[test]
fn money_given_back_at_the_gateway_stops_the_parcel_if_it_is_all_and_asks_a_person_if_it_is_a_part() {
    let shop = Shop::open("gateway-refunds", SLOW);
    shop.provider("POST", "/pause", &json!({"shipping": "hang"}));
    let (all, part) = (shop.order_that_is("all", "paid"), shop.order_that_is("part", "paid"));
    shop.give_back(&format!("pay-{all}"), 450);
    shop.give_back(&format!("pay-{part}"), 100);
    shop.until_a_person_is_asked(&part, "partly_refunded");
    shop.until_order(&all, "/payment/refunded_minor", 450);
    shop.until_order(&part, "/payment/refunded_minor", 100);
    shop.provider("POST", "/pause", &json!({"shipping": "up"}));
    shop.until_order(&all, "/status", "cancelled");
    assert_eq!(shop.get(&format!("/orders/{all}"))["cancel_reason"], "refunded_at_gateway");
    for (id, sum) in [(&all, "4.50"), (&part, "1.00")] {
        assert!(shop.history(id).contains(sum), "{}", shop.history(id));
    }
    assert_eq!(shop.run(&["check", "--json"]).json(), json!([]));
}

#[test]
fn an_authorisation_that_expires_ends_its_order_without_money_or_parcel() {
    let shop = Shop::open("expired", SLOW);
    let id = shop.order("k", "tok_authorise");
    shop.until_order(&id, "/payment/status", "unknown");
    shop.charge(&id, "expire");
    shop.until_order(&id, "/status", "cancelled");
    let order = shop.get(&format!("/orders/{id}"));
    assert_eq!((&order["cancel_reason"], &order["shipment"]), (&json!("payment_declined"), &Value::Null));
    assert_eq!(order["payment"]["decline_code"], "expired");
    assert!(shop.history(&id).contains("expired"), "{}", shop.history(&id));
    assert_eq!(shop.get("/inventory/TEA")["available"], 1000, "the stock is free again");
}

#[test]
fn a_parcel_in_trouble_is_a_persons_case_and_one_that_arrives_after_all_is_delivered() {
    let shop = Shop::open("parcels", SLOW);
    let cases = [
        ("exception", "parcel_exception", "delivered"),
        ("lose", "parcel_lost", "delivered"),
        ("damage", "parcel_damaged", "needs_attention"),
        ("return", "parcel_returned", "needs_attention"),
    ];
    for (turn, cause, ends) in cases {
        let id = shop.order_that_is(turn, "shipped");
        shop.parcel(&id, turn);
        shop.until_a_person_is_asked(&id, cause);
        let stock = shop.get("/inventory/TEA")["available"].clone();
        if ends == "delivered" {
            shop.parcel(&id, "deliver");
            shop.until_order(&id, "/status", "delivered");
        }
        assert_eq!(
            shop.get("/inventory/TEA")["available"],
            stock,
            "{turn}: goods come back when they are booked"
        );
        let told = match turn {
            "exception" => "shipment.exception",
            "lose" => "shipment.lost",
            "damage" => "shipment.damaged",
            _ => "shipment.return_to_sender",
        };
        assert!(shop.history(&id).contains(told), "{turn}: {}", shop.history(&id));
    }
    assert_eq!(shop.get("/provider-events/unmatched")["items"], json!([]));
}
