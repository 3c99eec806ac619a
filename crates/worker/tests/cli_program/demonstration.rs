//! The demonstration, twice: the first run ends with books that agree, the second changes nothing.

use serde_json::Value;

use crate::program::Folder;

fn checks(summary: &Value) -> Vec<(u64, bool)> {
    let checks = summary["checks"].as_array().expect("there are checks");
    checks.iter().map(|check| (check["invariant"].as_u64().unwrap_or(0), check["holds"] == true)).collect()
}

#[test]
fn the_demonstration_holds_every_invariant_and_a_second_run_changes_nothing() {
    let folder = Folder::new("demo");
    let first = folder.run(&["demo", "--data", "d", "--json"]).json();
    let all_hold: Vec<(u64, bool)> = (1..=6).map(|invariant| (invariant, true)).collect();
    assert_eq!(checks(&first), all_hold, "{first:#}");
    assert_eq!((&first["orders_new"], &first["changed_nothing"]), (&830.into(), &false.into()));
    let delivered = first["delivered"].as_u64().expect("a number");
    assert!((416..830).contains(&delivered), "most orders succeed, and some do not: {delivered}");
    assert_eq!(first["money_ours"], first["money_gateway"]);
    for kind in ["released", "fewer", "supplied", "given_up", "sent_back"] {
        assert!(first["done"][kind].as_u64().is_some_and(|count| count > 0), "{kind}: {}", first["done"]);
    }
    let cancelled: std::collections::BTreeMap<&str, u64> = first["cancelled"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| Some((it[0].as_str()?, it[1].as_u64()?)))
        .collect();
    for reason in ["payment_declined", "out_of_stock", "timeout"] {
        assert!(cancelled[reason] > 0, "{reason}: {cancelled:?}");
    }

    let second = folder.run(&["demo", "--data", "d", "--json"]).json();
    assert_eq!(checks(&second), all_hold, "{second:#}");
    assert_eq!((&second["orders_replayed"], &second["changed_nothing"]), (&830.into(), &true.into()));
    for same in ["delivered", "cancelled", "sagas", "money_ours", "money_gateway", "faults"] {
        assert_eq!(first[same], second[same], "{same}");
    }
    look_around(&folder);
}

/// What one does next: every command on what the demonstration has left.
fn look_around(folder: &Folder) {
    let database = ["--database", "d/orderwright.db"];
    let run = |arguments: &[&str]| folder.run(&[&database[..], arguments].concat());
    let json = |arguments: &[&str]| run(&[arguments, &["--json"]].concat()).json();

    let failed = json(&["orders", "list", "--status", "cancelled", "--limit", "2"]);
    assert_eq!((failed["items"].as_array().map(Vec::len), &failed["has_more"]), (Some(2), &true.into()));
    let shown = json(&["orders", "show", "import-northwind-NW-10248"]);
    let id = shown["order"]["order_id"].as_str().expect("it has an id");
    assert_eq!(json(&["sagas", "show", id])["order_id"], id);
    assert!(json(&["orders", "history", id]).as_array().is_some_and(|entries| entries.len() > 2));
    assert!(run(&["orders", "show", id]).answer().contains("NW-011"));

    let delivered = json(&["orders", "list", "--status", "delivered", "--limit", "1"]);
    let delivered = delivered["items"][0]["order_id"].as_str().expect("one was delivered");
    assert!(
        run(&["orders", "cancel", delivered, "--actor", "me"]).refusal().contains("the parcel was delivered")
    );
    assert!(run(&["sagas", "retry", delivered, "--actor", "me"]).refusal().contains("needs attention"));
    assert!(run(&["orders", "show", "nobody"]).refusal().contains("'nobody'"));

    let before = json(&["stock", "show", "NW-001"])["available"].as_i64().expect("a number");
    let received = json(&["stock", "receive", "NW-001", "5", "--reason", "found a box"]);
    assert_eq!(received["available"].as_i64(), Some(before + 5));
    assert_eq!(json(&["stock", "adjust", "NW-001", "-5", "--reason", "lost it"])["available"], before);
    assert!(run(&["stock", "adjust", "NW-001", "-999999", "--reason", "x"]).refusal().contains("available"));
    let movements = json(&["stock", "movements", "NW-001", "--limit", "2"]);
    let kinds: Vec<&str> =
        movements.as_array().into_iter().flatten().filter_map(|it| it["kind"].as_str()).collect();
    assert_eq!(kinds, ["adjusted", "received"]);
    assert!(json(&["stock", "list", "--low"])["items"].as_array().is_some_and(|items| !items.is_empty()));

    assert_eq!(json(&["audit", "--subject", "NW-001"])["items"][0]["action"], "stock adjust -5");
    assert!(json(&["stock", "reservations", "NW-001"])["items"].is_array());
    let found = json(&["orders", "list", "--find", "import-northwind-NW-10248"]);
    assert_eq!(
        (&found["items"][0]["order_id"], found["items"].as_array().map(Vec::len)),
        (&Value::from(id), Some(1))
    );
    assert!(json(&["orders", "list", "--attention"])["items"].is_array());
    assert_eq!(json(&["dead-letters", "list"]), Value::Array(Vec::new()));
    assert_eq!(json(&["dead-letters", "redrive", "--dry-run"])["matching"], 0);
    assert_eq!(run(&["check", "--json"]).json(), Value::Array(Vec::new()));
}

#[test]
fn a_demonstration_that_was_interrupted_is_not_gone_on_with_unless_asked_to_begin_anew() {
    let folder = Folder::new("demo-interrupted");
    folder.run(&["migrate", "--database", "d/orderwright.db"]).answer();
    let refusal = folder.run(&["demo", "--data", "d"]).refusal();
    assert!(refusal.contains("--fresh"), "{refusal}");
    let fresh = folder.run(&["demo", "--data", "d", "--fresh", "--json"]).json();
    assert_eq!(fresh["orders_new"], 830);
}
