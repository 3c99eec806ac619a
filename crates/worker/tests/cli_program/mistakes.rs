//! Whatever is wrong, the program says so in one line, fails, and leaves what it found as it was.

use std::net::TcpListener;

use crate::program::Folder;

#[test]
fn flags_that_do_not_exist_are_refused() {
    let folder = Folder::new("flags");
    for arguments in [&["demo", "--colour"][..], &["orders", "list", "--status", "lost"], &["launch"], &[]] {
        assert!(std::panic::catch_unwind(|| folder.run(arguments).answer()).is_err(), "{arguments:?}");
    }
}

#[test]
fn every_mistake_of_a_configuration_is_named() {
    let folder = Folder::new("config");
    folder.file("bad.toml", "listen = \"here\"\n[pipeline]\nbatch_max = 0\n");
    let refusal = folder.run(&["serve", "--config", "bad.toml"]).refusal();
    assert!(refusal.contains("listen = 'here'") && refusal.contains("batch_max = 0"), "{refusal}");
    folder.file("typo.toml", "[limits]\norder_mss = 5\n");
    let typo = folder.run(&["migrate", "--config", "typo.toml"]).refusal();
    assert!(typo.contains("typo.toml:") && typo.contains("order_mss"), "{typo}");
    assert!(folder.run(&["serve", "--config", "none.toml"]).refusal().contains("none.toml"));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = Folder::new("port");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let refusal = folder.run(&["serve", "--listen", &address, "--database", "o.db"]).refusal();
    assert!(refusal.contains(&address) && refusal.contains("--listen"), "{refusal}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = Folder::new("folder");
    folder.file("file", "");
    for arguments in [&["migrate", "--database", "file/o.db"][..], &["demo", "--data", "file"]] {
        let refusal = folder.run(arguments).refusal();
        assert!(refusal.contains("file"), "{refusal}");
    }
    assert_eq!(std::fs::read(folder.path().join("file")).expect("it is still there"), b"");
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let folder = Folder::new("garbage");
    let garbage = b"not a database, however long one looks at it ".repeat(100);
    let place = folder.file("o.db", &garbage);
    for arguments in
        [&["migrate"][..], &["check"], &["orders", "list"], &["serve", "--listen", "127.0.0.1:0"]]
    {
        let refusal = folder.run(&[arguments, &["--database", "o.db"]].concat()).refusal();
        assert!(refusal.contains("is not a database of this program"), "{arguments:?}: {refusal}");
    }
    assert_eq!(std::fs::read(place).expect("it is still there"), garbage);
}

#[test]
fn a_database_of_a_newer_program_is_left_alone() {
    let folder = Folder::new("newer");
    folder.run(&["migrate", "--database", "o.db"]).answer();
    let place = folder.path().join("o.db");
    let connection = rusqlite::Connection::open(&place).expect("it was just made");
    connection.execute("update schema_history set version = 900", []).expect("it has versions");
    drop(connection);
    let found = std::fs::read(&place).expect("it is there");
    let refusal = folder.run(&["check", "--database", "o.db"]).refusal();
    assert!(refusal.contains("version 900") && refusal.contains("newer"), "{refusal}");
    assert_eq!(std::fs::read(&place).expect("it is still there"), found);
}

#[test]
fn commands_about_orders_make_no_database_where_there_is_none() {
    let folder = Folder::new("none");
    for arguments in
        [&["orders", "list"][..], &["stock", "list"], &["sagas", "list"], &["dead-letters", "list"]]
    {
        let refusal = folder.run(&[arguments, &["--database", "o.db"]].concat()).refusal();
        assert!(refusal.contains("there is no database at o.db"), "{refusal}");
    }
    assert!(!folder.path().join("o.db").exists());
}
