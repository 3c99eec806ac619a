//! A gateway that answers with another amount than was asked for. Such an answer says nothing: the charge is looked up, and where
//! no answer is right the order ends with a person, who has it tried again.

use serde_json::{Value, json};

use crate::shop::{PROMPT, SLOW, Shop};

/// Retries and limits that do not keep a test waiting.
const HASTY: &str = "[limits]\npayment_ms = 2000\n[pipeline]\ncall_retry_first_ms = 20\nlook_up_interval_ms = 50\n\
                     undo_retries_max = 1\nundo_retry_first_ms = 20\n";

/// As often in a row as there are answers.
const FOR_EVER: u32 = 1_000_000;

/// These groups of calls are answered with another amount, so often in a row. No webhook tells the right one.
fn answer_wrongly(shop: &Shop, groups: &[&str], in_a_row: u32) {
    let mut faults = json!({"webhooks": {"drop_permille": 1000}, "fault_repeat_max": in_a_row});
    for group in groups {
        faults[*group] = json!({"other_amount_permille": 1000});
    }
    shop.provider("PUT", "/faults", &faults);
}

fn counted(shop: &Shop, group: &str, name: &str) -> Value {
    shop.provider("GET", "/stats", &Value::Null)[group][name].clone()
}

fn books_agree(shop: &Shop) {
    assert_eq!(shop.run(&["check", "--json"]).json(), json!([]));
    let url = shop.provider_url();
    shop.run(&["check", "--against-provider", "--payment-url", &url]).answer();
}

#[test]
fn a_charge_answered_with_another_amount_is_looked_up_until_an_answer_is_right_and_made_once() {
    let shop = Shop::with("other-charge", SLOW, HASTY);
    answer_wrongly(&shop, &["payments"], 2);
    let id = shop.order_that_is("k", "shipped");
    assert_eq!(
        counted(&shop, "faults", "other_amounts"),
        3,
        "one charge and two look-ups were answered wrongly"
    );
    assert_eq!(counted(&shop, "payments", "charges"), 1);
    let history = shop.history(&id);
    assert!(history.contains("amount_minor is 449, asked for was 450"), "{history}");
    assert_eq!(shop.get(&format!("/orders/{id}"))["payment"]["captured_minor"], 450);
    books_agree(&shop);
}

#[test]
fn an_order_whose_gateway_names_other_amounts_for_ever_ends_with_a_person_and_its_money_goes_back_when_tried_again()
 {
    let shop = Shop::with("other-for-ever", SLOW, HASTY);
    answer_wrongly(&shop, &["payments", "refunds"], FOR_EVER);
    let id = shop.order("k", "tok_visa");
    shop.until_order(&id, "/saga_state", "needs_attention");
    let order = shop.get(&format!("/orders/{id}"));
    assert_eq!(order["shipment"], Value::Null, "nothing was sent for money that nobody is sure of: {order}");
    let history = shop.history(&id);
    assert!(history.contains("gave back 449 minor units in all, of 450"), "{history}");
    answer_wrongly(&shop, &[], 0);
    shop.run(&["sagas", "retry", &id, "--actor", "eve"]).answer();
    shop.until_order(&id, "/status", "cancelled");
    let payment = &shop.get(&format!("/orders/{id}"))["payment"];
    assert_eq!((&payment["captured_minor"], &payment["refunded_minor"]), (&json!(450), &json!(450)));
    assert_eq!(shop.get("/inventory/TEA")["available"], 1000, "the stock is free again");
    books_agree(&shop);
}

#[test]
fn a_refund_answered_with_another_amount_asks_a_person_and_is_made_once() {
    let shop = Shop::with("other-refund", PROMPT, HASTY);
    let id = shop.order_that_is("k", "delivered");
    answer_wrongly(&shop, &["refunds"], 1);
    let wish = json!({"amount": {"minor": 100, "currency": "EUR"}, "actor": "anna", "reason": "broken cup"});
    assert_eq!(shop.post("r", &format!("/orders/{id}/refunds"), &wish).0, 202);
    shop.until_a_person_is_asked(&id, "amount_mismatch");
    let history = shop.history(&id);
    assert!(
        history.contains("the gateway says that it gave back 99 in all, of 450 that it took"),
        "{history}"
    );
    assert_eq!(counted(&shop, "payments", "refunded"), 1);
    let charge = shop.provider("GET", &format!("/payments/charges/by-key/pay-{id}"), &Value::Null);
    assert_eq!(charge["refunded_minor"], 100, "it was given back, and nobody asks for it again");
}
