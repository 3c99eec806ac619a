//! Whatever is wrong with the server or its address, the program says so in one line that names what to do and no password.

use std::net::TcpListener;

use testkit::servers::{Durability, Postgres};

use crate::program::{database, json, refusal, server};

const SECRET: &str = "open-sesame";

#[test]
fn an_address_that_is_not_one_is_told_of_without_its_password() {
    for (address, named) in [
        ("mysql://me:open-sesame@host/db", "postgres://user:password@host/database"),
        ("postgres:/me:open-sesame@host/db", "postgres://user:password@host/database"),
        ("postgres://me:open-sesame@host:port/db", "port"),
        ("postgres://me:open-sesame@host/db?sslmode=verify-most", "sslmode"),
    ] {
        let told = refusal(address, &["check"]);
        assert!(told.contains(named) && !told.contains(SECRET), "{told}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named_with_its_port() {
    let port =
        TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
    let told = refusal(&format!("postgres://me:{SECRET}@127.0.0.1:{port}/db"), &["serve"]);
    let expected = format!(
        "error: no PostgreSQL server answers at 127.0.0.1:{port}: Connection refused (os error 111); start it or correct the address\n"
    );
    assert_eq!(told, expected);
}

#[test]
fn a_login_that_is_refused_and_a_user_who_may_make_no_tables_are_told_of() {
    let server = Postgres::start_locked(Durability::None, SECRET).expect("a server of our own");
    let (address, wrong) =
        (server.address("postgres"), server.address("postgres").replace(SECRET, "guess-work"));
    let told = refusal(&wrong, &["orders", "list"]);
    assert!(told.contains("refuses the login") && !told.contains("guess-work"), "{told}");
    server
        .query("postgres", "create role visitor login password 'open-sesame'")
        .expect("we may do everything");
    let visitor = address.replacen("orderwright", "visitor", 1);
    let told = refusal(&visitor, &["migrate"]);
    assert!(told.contains("alter database \"postgres\" owner to \"visitor\""), "{told}");
    assert!(!told.contains(SECRET), "{told}");
    assert_eq!(json(&address, &["migrate"])["schema_version"], 1);
}

#[test]
fn a_database_that_is_not_there_is_told_of_with_what_makes_it() {
    let told = refusal(&server().address("missing"), &["check"]);
    assert!(told.contains("createdb missing"), "{told}");
}

#[test]
fn tables_of_a_later_release_are_left_alone() {
    let address = database();
    json(&address, &["migrate"]);
    let name = address.rsplit('/').next().expect("a name");
    server().query(name, "update schema_history set version = 900").expect("there are versions");
    let told = refusal(&address, &["check"]);
    assert!(told.contains("version 900") && told.contains("newer program"), "{told}");
}

#[test]
fn the_configuration_is_shown_without_the_password() {
    let shown = json(&format!("postgres://me:{SECRET}@host/db"), &["config", "show"]);
    assert_eq!(shown["database"], "postgres://******@host/db");
}
