//! A copy of the database while the service runs, and what the gateway knows beyond it after it was put back.

use serde_json::Value;

use crate::program::Folder;
use crate::running::Running;
use crate::shop::{PROMPT, Shop};

#[test]
fn a_copy_is_made_while_orders_run_and_what_was_paid_after_it_is_named_once_it_is_in_use() {
    let shop = Shop::open("backup", PROMPT);
    let before = shop.order_that_is("before", "delivered");
    for number in 0..40 {
        shop.order(&format!("meanwhile {number}"), "tok_visa");
    }
    let copied = shop.run(&["backup", "copy.db", "--json"]).json();
    assert_eq!((&copied["from"], &copied["to"]), (&"o.db".into(), &"copy.db".into()));
    let bytes = std::fs::metadata(shop.folder.path().join("copy.db")).expect("it is there").len();
    assert_eq!(copied["bytes"], bytes);
    let after = shop.order_that_is("after", "delivered");

    let again = shop.run(&["backup", "copy.db"]).refusal();
    assert!(again.contains("copy.db is there already and was left as it is"), "{again}");
    let on_copy = |words: &[&str]| shop.folder.run(&[words, &["--database", "copy.db"]].concat());
    assert_eq!(on_copy(&["check", "--json"]).json(), Value::Array(Vec::new()));
    assert_eq!(on_copy(&["orders", "show", &before, "--json"]).json()["order"]["status"], "delivered");
    assert!(on_copy(&["orders", "show", &after]).refusal().contains("there is no order"));

    let url = shop.provider_url();
    let restored = ["--database", "copy.db", "--payment-url", &url, "--shipping-url", &url];
    let service = Running::of(&shop.folder, &[&["serve", "--listen", "127.0.0.1:0"][..], &restored].concat());
    let told =
        shop.folder.run(&[&["check", "--against-provider", "--json"][..], &restored].concat()).failure();
    let found: Value = serde_json::from_str(&told).expect("JSON");
    let differences = found["provider"]["differences"].as_array().expect("differences");
    let of_after = differences.iter().filter(|one| one.to_string().contains(&after));
    assert_eq!(of_after.filter(|one| one["kind"] == "unknown_charge").count(), 1, "{found}");
    assert!(!told.contains(&before), "what was there before is known: {told}");
    drop(service);
}

#[test]
fn what_cannot_be_copied_is_refused_in_a_line_and_leaves_nothing() {
    let folder = Folder::new("no-backup");
    folder.file(
        "theirs.db",
        "this is no database at all, and it is longer than one line of a header would ever be",
    );
    for (from, wanted) in [
        ("none.db", "there is no database at none.db"),
        ("theirs.db", "theirs.db is not a database"),
        ("postgres://u:p@127.0.0.1:1/d", "pg_dump and pg_basebackup"),
    ] {
        let told = folder.run(&["backup", "copy.db", "--database", from]).refusal();
        assert!(told.contains(wanted), "{from}: {told}");
        let left = std::fs::read_dir(folder.path()).expect("it is there").count();
        assert_eq!(left, 1, "theirs.db alone");
    }
}
