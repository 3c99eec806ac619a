//! Keys and configuration from the command line: a key is shown once, revoked for good; nobody opens the service to others
//! without one.

use crate::program::Folder;

#[test]
fn a_key_is_shown_once_listed_without_its_secret_and_revoked_once() {
    let folder = Folder::new("keys");
    folder.run(&["migrate", "--database", "o.db"]).answer();
    let run =
        |arguments: &[&str]| folder.run(&[&["keys", "--json", "--database", "o.db"], arguments].concat());
    let made =
        run(&["create", "--name", "the shop", "--scopes", "orders:read,orders:write", "--days", "30"]).json();
    let key = made["key"].as_str().expect("it is shown");
    let id = made["id"].as_str().expect("it has an id");
    assert!(key.starts_with(&format!("ow_{id}_")), "{made}");
    let listed = run(&["list"]).json();
    assert_eq!((&listed[0]["id"], &listed[0]["state"]), (&made["id"], &serde_json::json!("in force")));
    assert!(!listed.to_string().contains(&key[14..]), "{listed}");
    let stored = std::fs::read(folder.path().join("o.db")).expect("the database");
    assert!(
        !stored.windows(20).any(|bytes| bytes == &key.as_bytes()[14..34]),
        "the secret is in the database"
    );
    run(&["revoke", id]).answer();
    assert_eq!(run(&["list"]).json()[0]["state"], "revoked");
    let refused = |arguments: &[&str]| {
        let (code, told) = run(arguments).told();
        assert_ne!(code, Some(0), "{told}");
        told
    };
    assert!(refused(&["revoke", id]).contains(id));
    assert!(refused(&["create", "--name", " ", "--scopes", "admin"]).contains("name"));
}

#[test]
fn without_a_key_the_service_is_not_opened_to_others() {
    let folder = Folder::new("open");
    let serve = |listen: &str| folder.run(&["serve", "--listen", listen, "--database", "o.db"]).refusal();
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let refusal = serve(listen);
        assert!(refusal.contains("orderwright keys create") && refusal.contains("127.0.0.1"), "{refusal}");
    }
}

#[test]
fn everything_wrong_with_a_configuration_is_listed_line_by_line() {
    let folder = Folder::new("check");
    folder.file("bad.toml", "profile = \"production\"\n[limits]\norder_mss = 5\npayment_ms = 1\n");
    let check = folder.run(&["config", "check", "--json", "--config", "bad.toml"]).failure();
    let found: serde_json::Value = serde_json::from_str(&check).expect("JSON");
    let mistakes = found["mistakes"].to_string();
    for named in ["bad.toml:3: there is no key limits.order_mss", "limits.payment_ms = 1", "webhook_secret"] {
        assert!(mistakes.contains(named), "{named}: {mistakes}");
    }
    folder.file("good.toml", "[limits]\norder_ms = 700_000\n");
    let shown = folder.run(&["config", "show", "--config", "good.toml"]).answer();
    assert!(shown.contains("order_ms = 700000") && shown.contains("webhook_secret = \"******\""), "{shown}");
    let schema = folder.run(&["config", "schema"]).json();
    assert_eq!(schema["properties"]["listen"]["type"], "string");
}
