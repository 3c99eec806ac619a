//! The books held against the gateway's own list of charges, both ways, by the command and over HTTP.

use serde_json::{Value, json};

use crate::program::Folder;
use crate::running::Running;
use crate::shop::{PROMPT, SLOW, Shop};

fn check(shop: &Shop, gateway: &str) -> crate::program::Ran {
    shop.run(&["check", "--against-provider", "--json", "--payment-url", gateway])
}

/// What differs, as pairs of kind and order.
fn differences(found: &Value) -> Vec<(String, Value)> {
    let all = found["provider"]["differences"].as_array().expect("differences");
    let pair = |one: &Value| (one["kind"].as_str().unwrap_or_default().to_owned(), one["order_id"].clone());
    let mut pairs: Vec<_> = all.iter().map(pair).collect();
    pairs.sort_by_key(|(kind, _)| kind.clone());
    pairs
}

#[test]
fn books_that_agree_are_said_to_agree() {
    let shop = Shop::open("agree", PROMPT);
    for number in 0..150 {
        shop.order(&format!("k{number}"), if number % 50 == 7 { "tok_decline" } else { "tok_visa" });
    }
    shop.until("/overview", "/orders/delivered", 147);
    let refunded = shop.order_that_is("refunded", "delivered");
    let wish = json!({"amount": {"minor": 100, "currency": "EUR"}, "actor": "anna", "reason": "broken"});
    assert_eq!(shop.post("r", &format!("/orders/{refunded}/refunds"), &wish).0, 202);
    shop.until_order(&refunded, "/payment/refunded_minor", 100);
    let found = check(&shop, &shop.provider_url()).json();
    let agreed = json!({"charges": 151, "payments": 148, "under_way": 0, "differences": [], "more": false});
    assert_eq!(found, json!({"broken": [], "provider": agreed}), "more than one page of them");
    assert_eq!(shop.get("/check?against=provider"), found);
    let told = shop.run(&["check", "--against-provider", "--payment-url", &shop.provider_url()]).answer();
    assert!(told.contains("the gateway's books agree with ours: 151 charges there"), "{told}");
}

#[test]
fn every_difference_is_told_once_and_only_those() {
    let shop = Shop::open("differences", PROMPT);
    let [refunded, twice, same] =
        ["refunded", "twice", "same"].map(|key| shop.order_that_is(key, "delivered"));
    shop.lose_webhooks();
    shop.give_back(&format!("pay-{refunded}"), 200);
    shop.charge(&twice, "charge-again");
    let foreign = json!({"reference": "another shop", "amount_minor": 700, "currency": "EUR"});
    shop.provider("POST", "/payments/charges", &foreign);
    let gone = "019b76da-c88a-7615-8e94-6d0e0add3cbd";
    let lost = json!({"reference": gone, "amount_minor": 450, "currency": "EUR"});
    let (status, told) = shop.post_to_provider(&format!("pay-{gone}"), "/payments/charges", &lost);
    assert_eq!(status, 201, "{told}");
    let found: Value = serde_json::from_str(&check(&shop, &shop.provider_url()).failure()).expect("JSON");
    let wanted = [
        ("refunded".to_owned(), json!(refunded)),
        ("second_charge".to_owned(), json!(twice)),
        ("unknown_charge".to_owned(), Value::Null),
        ("unknown_charge".to_owned(), Value::Null),
    ];
    assert_eq!(differences(&found), wanted, "and nothing of {same}");
    let told = found.to_string();
    for words in ["gave back 2.00 EUR", "0.00 EUR given back", "was asked for 7.00 EUR"] {
        assert!(told.contains(words), "{words} is not in {told}");
    }
    let of_gone = |one: &&Value| one["missing_order_id"] == gone;
    let all = found["provider"]["differences"].as_array().into_iter().flatten();
    assert_eq!(all.filter(of_gone).count(), 1, "an order that was lost is named: {found}");
    assert_eq!(differences(&shop.get("/check?against=provider")), wanted, "over HTTP too");
    let told = shop.run(&["check", "--against-provider", "--payment-url", &shop.provider_url()]).said();
    assert!(told.contains(&format!("unknown_charge: order {gone}, which is not here")), "{told}");
    assert!(told.contains("orders that were paid and are not here: 1"), "{told}");
}

#[test]
fn a_charge_that_the_gateway_lacks_is_told() {
    let shop = Shop::open("lacking", PROMPT);
    let id = shop.order_that_is("k", "delivered");
    let folder = Folder::new("lacking-elsewhere");
    let empty = Running::of(&folder, &["sandbox", "--json", "--listen", "127.0.0.1:0"]);
    let found: Value = serde_json::from_str(&check(&shop, &empty.url()).failure()).expect("JSON");
    assert_eq!(differences(&found), [("missing_charge".to_owned(), json!(id))]);
    assert_eq!((&found["provider"]["charges"], &found["provider"]["payments"]), (&json!(0), &json!(1)));
}

#[test]
fn a_charge_in_flight_is_no_difference() {
    let patient = "[pipeline]\ncall_retry_first_ms = 60000\n";
    let shop = Shop::with("in-flight", SLOW, patient);
    shop.lose_webhooks();
    let id = shop.order("k", "tok_lose");
    shop.until_order(&id, "/payment/status", "unknown");
    let found = check(&shop, &shop.provider_url()).json();
    assert_eq!((&found["provider"]["under_way"], differences(&found).len()), (&json!(1), 0), "{found}");
}

#[test]
fn a_gateway_that_cannot_list_or_does_not_answer_is_no_agreement() {
    let shop = Shop::open("no-list", PROMPT);
    shop.order_that_is("k", "delivered");
    for (gateway, why) in
        [(shop.url().as_str(), "cannot list its charges"), ("http://127.0.0.1:1", "did not answer")]
    {
        let refusal = shop.run(&["check", "--against-provider", "--payment-url", gateway]).refusal();
        assert!(refusal.contains(why), "{refusal}");
    }
}
