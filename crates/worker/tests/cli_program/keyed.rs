//! Changes of stock under a key of the caller's: booked once, however often they are sent.

use serde_json::Value;

use crate::program::Folder;
use crate::running::Running;

const PRODUCTS: &str =
    r#"{"products":[{"sku":"TEA","name":"Tea","price":{"minor":450,"currency":"EUR"},"stock":10}]}"#;

/// Runs `stock VERB TEA UNITS` under a key.
fn keyed(folder: &Folder, verb: &str, units: &str, key: &str) -> crate::program::Ran {
    let what = ["stock", verb, "TEA", units, "--reason", "note 77", "--actor", "eve"];
    folder.run(&[&what[..], &["--idempotency-key", key, "--database", "o.db", "--json"]].concat())
}

#[test]
fn a_change_of_stock_that_is_sent_twice_under_a_key_is_booked_once() {
    let folder = Folder::new("keyed");
    let service = Running::on(&folder, &[]);
    assert!(service.ask("PUT", "/products", PRODUCTS).0 < 300);
    for (verb, units, first, other) in
        [("receive", "5", 15, "6"), ("adjust", "-3", 12, "-4"), ("count", "20", 20, "21")]
    {
        let booked = keyed(&folder, verb, units, "k").json();
        assert_eq!(
            (&booked["available"], &booked["replayed"]),
            (&Value::from(first), &Value::Null),
            "{verb}"
        );
        let again = keyed(&folder, verb, units, "k").json();
        assert_eq!(
            (&again["available"], &again["replayed"]),
            (&Value::from(first), &Value::Bool(true)),
            "{verb}"
        );
        assert!(keyed(&folder, verb, other, "k").told().1.contains("another change"), "{verb}");
        assert_eq!(keyed(&folder, verb, units, "k").json()["available"], first, "{verb}");
    }
    let movements = folder.run(&["stock", "movements", "TEA", "--database", "o.db", "--json"]).json();
    assert_eq!(movements.as_array().map(Vec::len), Some(4), "one for each, and the first stock: {movements}");
    let over_http = r#"{"quantity":5,"reason":"note 77","actor":"eve"}"#;
    let (status, answer) = service.ask_under("k", "POST", "/inventory/TEA/receive", over_http);
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!((status, &answer["available"]), (200, &Value::from(15)), "it is the same change, over HTTP");
}

#[test]
fn a_refused_change_leaves_its_key_free_and_a_key_that_is_none_is_refused() {
    let folder = Folder::new("keyed-refused");
    let service = Running::on(&folder, &[]);
    assert!(service.ask("PUT", "/products", PRODUCTS).0 < 300);
    assert!(keyed(&folder, "adjust", "-11", "k").told().1.contains("stock count TEA"));
    assert_eq!(keyed(&folder, "adjust", "-10", "k").json()["available"], 0);
    for key in ["", "a\tb", "é", &"k".repeat(256)] {
        assert!(keyed(&folder, "receive", "1", key).is_usage(), "{key:?}");
    }
}

#[test]
fn what_was_decided_on_what_has_changed_since_is_not_done() {
    let folder = Folder::new("seen");
    let service = Running::on(&folder, &[]);
    assert!(service.ask("PUT", "/products", PRODUCTS).0 < 300);
    let seen = |verb: &str, units: &str, seen: &str| {
        let what = ["stock", verb, "TEA", units, "--reason", "note 77", "--actor", "eve"];
        folder.run(&[&what[..], &["--seen", seen, "--database", "o.db", "--json"]].concat())
    };
    assert_eq!(seen("receive", "5", "10").json()["available"], 15);
    assert!(seen("receive", "5", "10").told().1.contains("it has changed since you saw it"));
    assert_eq!(seen("adjust", "-3", "15").json()["available"], 12);
    let order = r#"{"customer_id":"ann","external_reference":"one","lines":[{"sku":"TEA","quantity":1}]}"#;
    assert_eq!(service.ask("POST", "/orders", order).0, 201);
    for act in
        [&["orders", "cancel", "one"][..], &["orders", "refund", "one", "1"], &["sagas", "skip", "one"]]
    {
        let late = ["--seen", "2020-01-01T00:00:00Z", "--actor", "eve", "--note", "n", "--database", "o.db"];
        let refusal = folder.run(&[act, &late[..]].concat()).refusal();
        assert!(refusal.contains("nothing was done: it has changed since you saw it"), "{refusal}");
    }
}
