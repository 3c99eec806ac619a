//! Money that is authorised with the order and captured at its shipment, all the way: by the real gateway of the sandbox, whose
//! webhooks and look-ups say what became of it.

use serde_json::{Value, json};

use crate::shop::{PROMPT, SLOW, Shop};

const AT_SHIPMENT: &str = "[providers]\ncapture = \"at_shipment\"\n";

/// Tried twice in all, at once: a person is asked soon.
const SOON_GIVEN_UP: &str =
    "[providers]\ncapture = \"at_shipment\"\n[pipeline]\nundo_retries_max = 1\nundo_retry_first_ms = 10\n";

fn captured(shop: &Shop, id: &str) -> (Value, Value) {
    let payment = shop.get(&format!("/orders/{id}"))["payment"].clone();
    (payment["status"].clone(), payment["captured_minor"].clone())
}

/// An order whose money is authorised, and whose carrier does not answer.
fn authorised(shop: &Shop, key: &str, token: &str) -> String {
    shop.provider("POST", "/pause", &json!({"shipping": "hang"}));
    let id = shop.order(key, token);
    shop.until_order(&id, "/status", "authorised");
    assert_eq!(captured(shop, &id), (json!("authorised"), json!(0)));
    id
}

#[test]
fn an_order_is_authorised_first_and_charged_once_its_parcel_is_booked() {
    let shop = Shop::with("captured", PROMPT, AT_SHIPMENT);
    let id = shop.order("k", "tok_visa");
    shop.until_order(&id, "/saga_state", "completed");
    assert_eq!(captured(&shop, &id), (json!("captured"), json!(450)));
    let history = shop.history(&id);
    for told in [
        "PaymentAuthorised",
        "authorise (attempt 1): authorised as ch_",
        "capture (attempt 1): captured as ch_",
    ] {
        assert!(history.contains(told), "{told} is not in {history}");
    }
    assert_eq!(shop.run(&["check", "--json"]).json(), json!([]));
    let url = shop.provider_url();
    shop.run(&["check", "--against-provider", "--payment-url", &url]).answer();
}

#[test]
fn nothing_is_taken_for_an_order_that_is_cancelled_before_its_parcel_or_whose_authorisation_expires() {
    let shop = Shop::with("voided", SLOW, AT_SHIPMENT);
    let (regretted, expired) = (authorised(&shop, "a", "tok_visa"), authorised(&shop, "b", "tok_visa"));
    let until = shop.get(&format!("/orders/{regretted}"))["payment"]["authorised_until"].clone();
    assert!(until.as_str().is_some_and(|until| until.ends_with('Z')), "{until}");
    shop.run(&["orders", "cancel", &regretted, "--actor", "eve", "--note", "regret"]).answer();
    shop.charge(&expired, "expire");
    // A carrier that answers before it is heard of would book the parcel.
    shop.until_order(&expired, "/payment/status", "declined");
    shop.provider("POST", "/pause", &json!({"shipping": "up"}));
    for (id, status, reason) in
        [(&regretted, "voided", "operator"), (&expired, "declined", "payment_declined")]
    {
        shop.until_order(id, "/status", "cancelled");
        assert_eq!(captured(&shop, id), (json!(status), json!(0)));
        assert_eq!(shop.get(&format!("/orders/{id}"))["cancel_reason"], reason);
    }
    let books = shop.provider("GET", "/stats", &Value::Null);
    assert_eq!(books["payments"]["captured"], 0, "{books}");
}

#[test]
fn money_that_somebody_captures_at_the_gateway_counts_as_paid_and_is_not_taken_again() {
    let shop = Shop::with("by-hand", SLOW, AT_SHIPMENT);
    let id = authorised(&shop, "k", "tok_visa");
    shop.provider("POST", &format!("/payments/charges/by-key/pay-{id}/capture"), &Value::Null);
    shop.until_order(&id, "/status", "paid");
    assert_eq!(captured(&shop, &id), (json!("captured"), json!(450)));
    shop.provider("POST", "/pause", &json!({"shipping": "up"}));
    shop.until_order(&id, "/status", "shipped");
    let books = shop.provider("GET", "/stats", &Value::Null);
    assert_eq!(books["payments"]["captured"], 1, "{books}");
}

#[test]
fn a_capture_that_fails_is_a_persons_who_lets_the_parcel_go() {
    let shop = Shop::with("capture-fails", SLOW, SOON_GIVEN_UP);
    let id = shop.order("k", "tok_authorise");
    shop.until_a_person_is_asked(&id, "capture_failed");
    assert_eq!(captured(&shop, &id), (json!("authorised"), json!(0)));
    assert_eq!(shop.get(&format!("/orders/{id}"))["status"], "shipped");
    shop.run(&["sagas", "retry", &id, "--actor", "eve"]).answer();
    shop.until(&format!("/orders/{id}/saga"), "/payment", "authorised");
    shop.until_a_person_is_asked(&id, "capture_failed");
    shop.run(&["sagas", "skip", &id, "--actor", "eve", "--note", "invoiced"]).answer();
    shop.until_order(&id, "/saga_state", "shipped");
    assert_eq!(shop.get(&format!("/orders/{id}/saga"))["payment"], "waived");
    shop.parcel(&id, "deliver");
    shop.until_order(&id, "/saga_state", "completed");
    assert_eq!(shop.run(&["check", "--json"]).json(), json!([]));
}

#[test]
fn an_authorisation_that_is_gone_when_its_parcel_has_left_is_a_persons() {
    let shop = Shop::with("owed", SLOW, SOON_GIVEN_UP);
    let id = shop.order("k", "tok_authorise");
    shop.until_a_person_is_asked(&id, "capture_failed");
    shop.charge(&id, "expire");
    shop.until_order(&id, "/payment/status", "declined");
    shop.until(&format!("/orders/{id}/saga"), "/payment", "closed");
    assert_eq!(shop.get(&format!("/orders/{id}"))["status"], "shipped", "what has left is not cancelled");
    assert_eq!(shop.run(&["check", "--json"]).json(), json!([]));
}

#[test]
fn a_person_is_asked_before_an_authorisation_ends_and_has_it_captured() {
    let shop = Shop::with("ending", SLOW, AT_SHIPMENT);
    let id = authorised(&shop, "k", "tok_authorise_briefly");
    shop.until_a_person_is_asked(&id, "authorisation_ending");
    shop.run(&["sagas", "retry", &id, "--actor", "eve"]).answer();
    shop.until_order(&id, "/status", "paid");
    assert_eq!(captured(&shop, &id), (json!("captured"), json!(450)));
}
