//! Looking takes no right to write, and makes nothing: neither tables nor traces.

use crate::program::{database, json, refusal, server};

const LOOKS: [&[&str]; 12] = [
    &["check"],
    &["orders", "list"],
    &["stock", "list"],
    &["sagas", "list"],
    &["dead-letters", "list"],
    &["dead-letters", "groups"],
    &["dead-letters", "redrive", "--dry-run"],
    &["dead-letters", "discard", "--dry-run"],
    &["audit"],
    &["keys", "list"],
    &["endpoints", "list"],
    &["stock", "list", "--low"],
];

#[test]
fn whoever_may_only_read_looks_with_every_command_that_shows_something() {
    let database = database();
    json(&database, &["migrate"]);
    let name = database.rsplit('/').next().expect("a name");
    let roles = format!(
        "create role {name}_reads login; create role {name}_never login;
         grant select on all tables in schema public to {name}_reads, {name}_never;
         alter role {name}_never set default_transaction_read_only = on"
    );
    server().query(name, &roles).expect("we may do everything");
    for role in ["reads", "never"] {
        let reader = database.replacen("orderwright", &format!("{name}_{role}"), 1);
        for look in LOOKS {
            json(&reader, look);
        }
        let told = refusal(&reader, &["orders", "show", "00000000-0000-7000-8000-000000000000"]);
        assert!(told.contains("there is no order"), "{role}: {told}");
        let told = refusal(&reader, &["keys", "create", "--name", "n", "--scopes", "admin"]);
        assert!(told.contains("permission denied") || told.contains("takes no writes"), "{role}: {told}");
    }
}

#[test]
fn no_command_but_those_that_say_so_makes_tables() {
    let database = database();
    for look in LOOKS {
        let told = refusal(&database, look);
        assert!(told.contains("holds no tables of Orderwright"), "{look:?}: {told}");
    }
    let name = database.rsplit('/').next().expect("a name");
    let made =
        server().query(name, "select count(*) from pg_class where relnamespace = 'public'::regnamespace");
    assert_eq!(made.expect("the server is there").trim(), "0");
}
