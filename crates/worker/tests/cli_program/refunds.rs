//! Money that goes back on a person's word: a part, the rest, and what is refused; asked for once, whatever the gateway does.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::shop::{PROMPT, SLOW, Shop};

/// Retries that do not keep a test waiting.
const HASTY: &str = "[pipeline]\nundo_retries_max = 1\nundo_retry_first_ms = 20\naway_pause_first_ms = 20\naway_pause_max_ms = 50\n";

fn wish(minor: i64, currency: &str) -> Value {
    json!({"amount": {"minor": minor, "currency": currency}, "actor": "anna", "reason": "broken cup"})
}

fn refund(shop: &Shop, id: &str, key: &str, minor: i64, currency: &str) -> (u16, Value) {
    shop.post(key, &format!("/orders/{id}/refunds"), &wish(minor, currency))
}

/// The money that the gateway has given back for an order.
fn given_back(shop: &Shop, id: &str) -> i64 {
    let charge = shop.provider("GET", &format!("/payments/charges/by-key/pay-{id}"), &Value::Null);
    charge["refunded_minor"].as_i64().expect("a sum")
}

#[test]
fn a_part_goes_back_and_then_the_rest_and_no_more() {
    let shop = Shop::open("refund-parts", PROMPT);
    let id = shop.order_that_is("k", "delivered");
    let before = shop.get(&format!("/orders/{id}"))["updated_at"].clone();
    let (status, asked) = refund(&shop, &id, "part", 100, "EUR");
    assert_eq!((status, &asked["order_id"]), (202, &json!(id)));
    shop.until_order(&id, "/payment/refunded_minor", 100);
    let order = shop.get(&format!("/orders/{id}"));
    assert_eq!((&order["payment"]["status"], &order["status"]), (&json!("captured"), &json!("delivered")));
    assert!(order["updated_at"].as_str() > before.as_str(), "{order}");
    let before: Timestamp = before.as_str().and_then(|at| at.parse().ok()).expect("a moment");
    let since = Timestamp::from_microsecond(before.as_microsecond() + 1).expect("a moment");
    let changed = shop.get(&format!("/orders?updated_from={since}"));
    assert_eq!(changed["items"][0]["order_id"], json!(id), "it is among what has changed");

    let (status, too_much) = refund(&shop, &id, "too much", 351, "EUR");
    assert_eq!((status, &too_much["code"]), (409, &json!("refund_refused")));
    assert!(too_much["detail"].as_str().is_some_and(|told| told.contains("3.50 EUR")), "{too_much}");
    assert_eq!(refund(&shop, &id, "rest", 350, "EUR").0, 202);
    shop.until_order(&id, "/payment/refunded_minor", 450);
    assert_eq!(shop.get(&format!("/orders/{id}"))["payment"]["status"], "refunded");
    assert_eq!(refund(&shop, &id, "one more", 1, "EUR").0, 409);
    assert_eq!(given_back(&shop, &id), 450);
    let history = shop.history(&id);
    for told in
        ["100 minor units given back, 100 in all", "350 minor units given back, 450 in all", "broken cup"]
    {
        assert!(history.contains(told), "{told} is not in {history}");
    }
    assert_eq!(shop.run(&["check", "--json"]).json(), json!([]));
}

#[test]
fn what_cannot_go_back_is_refused_in_words_and_moves_nothing() {
    let shop = Shop::open("refund-refused", PROMPT);
    let id = shop.order_that_is("k", "delivered");
    let refused = |minor, currency| refund(&shop, &id, &format!("{minor} {currency}"), minor, currency);
    for (minor, currency) in [(451, "EUR"), (i64::MAX, "EUR"), (0, "EUR"), (-1, "EUR"), (100, "USD")] {
        let (status, problem) = refused(minor, currency);
        assert_eq!((status, &problem["code"]), (409, &json!("refund_refused")), "{minor} {currency}");
    }
    assert!(refused(100, "USD").1["detail"].as_str().is_some_and(|told| told.contains("paid in")));
    assert_eq!(refused(100, "EURO").0, 422);
    let nobody = "00000000-0000-7000-8000-000000000000";
    assert_eq!(refund(&shop, nobody, "nobody", 1, "EUR").0, 404);
    assert_eq!(given_back(&shop, &id), 0);
    assert!(!shop.history(&id).contains("Refund"), "{}", shop.history(&id));
}

#[test]
fn an_order_that_is_not_delivered_is_cancelled_and_not_paid_back() {
    let shop = Shop::open("refund-early", SLOW);
    let unpaid = shop.order("unpaid", "tok_authorise");
    let (declined, shipped) =
        (shop.order("declined", "tok_decline"), shop.order_that_is("shipped", "shipped"));
    shop.until_order(&declined, "/status", "cancelled");
    shop.provider("POST", "/pause", &json!({"shipping": "hang"}));
    let paid = shop.order_that_is("paid", "paid");
    for id in [&unpaid, &declined, &shipped, &paid] {
        let (status, problem) = refund(&shop, id, id, 100, "EUR");
        assert_eq!((status, &problem["code"]), (409, &json!("refund_refused")), "{problem}");
        let order = shop.get(&format!("/orders/{id}"));
        let stands = order["status"].as_str().expect("a status");
        assert!(problem["detail"].as_str().is_some_and(|told| told.contains(stands)), "{problem}");
        assert_eq!(order["payment"]["refunded_minor"], 0);
    }
    let asked = json!({"actor": "anna", "note": "not wanted"});
    assert_eq!(shop.post("cancel", &format!("/orders/{paid}/cancel"), &asked).0, 202);
    let (status, problem) = refund(&shop, &paid, "while it is undone", 100, "EUR");
    assert_eq!((status, &problem["code"]), (409, &json!("refund_refused")), "{problem}");
    shop.provider("POST", "/pause", &json!({"shipping": "up"}));
    shop.until_order(&paid, "/payment/refunded_minor", 450);
}

#[test]
fn a_wish_that_is_sent_again_under_its_key_gives_back_once() {
    let shop = Shop::open("refund-again", PROMPT);
    let id = shop.order_that_is("k", "delivered");
    let first = refund(&shop, &id, "r", 100, "EUR");
    assert_eq!(refund(&shop, &id, "r", 100, "EUR"), first);
    shop.until_order(&id, "/payment/refunded_minor", 100);
    assert_eq!(refund(&shop, &id, "r", 100, "EUR"), first);
    assert_eq!(refund(&shop, &id, "r", 101, "EUR").1["code"], "idempotency_key_reused");
    assert_eq!(refund(&shop, &id, "s", 50, "EUR").0, 202);
    shop.until_order(&id, "/payment/refunded_minor", 150);
    assert_eq!(given_back(&shop, &id), 150);
}

#[test]
fn a_gateway_that_is_away_is_asked_until_it_is_back_and_gives_back_once() {
    let shop = Shop::with("refund-away", PROMPT, HASTY);
    let id = shop.order_that_is("k", "delivered");
    // Turned away: nothing is done, however often it is tried.
    let closed = json!({"refunds": {"throttle_permille": 1000}, "fault_repeat_max": 1_000_000});
    shop.provider("PUT", "/faults", &closed);
    assert_eq!(refund(&shop, &id, "r", 100, "EUR").0, 202);
    let turned_away = || shop.provider("GET", "/stats", &Value::Null)["faults"]["throttled"].as_u64();
    crate::running::until("more tries than an undoing has", || turned_away() > Some(2));
    assert_eq!(shop.get("/dead-letters")["items"], json!([]), "a call that was not done uses up no try");
    shop.provider("PUT", "/faults", &json!({}));
    shop.until_order(&id, "/payment/refunded_minor", 100);
    assert_eq!(given_back(&shop, &id), 100);
}

#[test]
fn a_refund_that_the_gateway_refuses_is_told_at_once_and_can_be_asked_for_again() {
    let shop = Shop::with("refund-declined", PROMPT, HASTY);
    let id = shop.order_that_is("k", "delivered");
    shop.provider("PUT", "/faults", &json!({"refunds": {"decline_permille": 1000}}));
    assert_eq!(refund(&shop, &id, "r", 100, "EUR").0, 202);
    let letters = || shop.get("/dead-letters")["items"].as_array().map_or(0, Vec::len);
    crate::running::until("it to be set aside", || letters() == 1);
    let letter = shop.get("/dead-letters")["items"][0].clone();
    assert!(letter["reason"].as_str().is_some_and(|told| told.contains("refund_refused")), "{letter}");
    let history = shop.history(&id);
    assert_eq!(history.matches("refused: refund_refused").count(), 1, "a no is asked for once: {history}");
    assert_eq!(
        (given_back(&shop, &id), &shop.get(&format!("/orders/{id}"))["payment"]["refunded_minor"]),
        (0, &json!(0))
    );
    shop.provider("PUT", "/faults", &json!({}));
    put_away_and_put_back(&shop, letter["message_id"].as_str().expect("an id"));
    shop.until_order(&id, "/payment/refunded_minor", 100);
    assert_eq!(given_back(&shop, &id), 100);
}

/// Archives the only dead letter by its group, and puts it back by its message.
fn put_away_and_put_back(shop: &Shop, message: &str) {
    let json = |words: &[&str]| shop.run(&[words, &["--json"]].concat()).json();
    let groups = json(&["dead-letters", "groups"]);
    let key = groups["items"][0]["key"].as_str().expect("a key");
    let signed = ["--actor", "eve", "--note", "a test"];
    let discarding = [&["dead-letters", "discard", "--group", key], &signed[..]].concat();
    assert_eq!(json(&[&discarding[..], &["--dry-run"]].concat())["matching"], 1);
    assert_eq!(json(&discarding), json!({"matching": 1, "moved": 1}));
    assert_eq!(
        (json(&["dead-letters", "list"]), json(&["dead-letters", "groups"])["items"].clone()),
        (json!([]), json!([]))
    );
    let kept = json(&["dead-letters", "list", "--archived"]);
    assert_eq!((&kept[0]["archive_note"], &kept[0]["message_id"]), (&json!("a test"), &json!(message)));
    let redriving = [&["dead-letters", "redrive", "--message-id", message], &signed[..]].concat();
    assert_eq!(json(&redriving), json!({"matching": 1, "moved": 1}));
    let log = json(&["audit", "--actor", "eve", "--limit", "2"]);
    let actions: Vec<&Value> =
        log["items"].as_array().expect("items").iter().map(|it| &it["action"]).collect();
    assert_eq!(actions, ["dead-letters redrive", "dead-letters discard"]);
}
