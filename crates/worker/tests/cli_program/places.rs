//! Where nothing is, nothing is made but by those who say so; what is somebody else's is left as it is.

use crate::program::Folder;

/// Every command that works on a database, but for those that may make one.
const VISITS: [&[&str]; 46] = [
    &["check"],
    &["orders", "list"],
    &["orders", "show", "x"],
    &["orders", "history", "x"],
    &["orders", "cancel", "x"],
    &["orders", "change", "x", "--to", "-"],
    &["stock", "list"],
    &["stock", "show", "x"],
    &["stock", "movements", "x"],
    &["stock", "reservations", "x"],
    &["stock", "receive", "x", "1", "--reason", "r"],
    &["stock", "adjust", "x", "1", "--reason", "r"],
    &["sagas", "list"],
    &["sagas", "show", "x"],
    &["sagas", "retry", "x"],
    &["sagas", "skip", "x"],
    &["sagas", "force", "x"],
    &["dead-letters", "list"],
    &["dead-letters", "groups"],
    &["dead-letters", "show", "x"],
    &["dead-letters", "redrive", "--dry-run"],
    &["dead-letters", "discard", "--dry-run"],
    &["queues", "list"],
    &["queues", "pause", "payment"],
    &["queues", "resume", "payment"],
    &["workers"],
    &["error-queues", "list"],
    &["error-queues", "show", "x"],
    &["error-queues", "put-back", "x", "--count", "1", "--mark", "00000000-0000-0000-0000-000000000000"],
    &["error-queues", "discard", "x", "--count", "1", "--mark", "00000000-0000-0000-0000-000000000000"],
    &["audit"],
    &["keys", "list"],
    &["keys", "revoke", "x"],
    &["events"],
    &["webhook-endpoints", "list"],
    &["webhook-endpoints", "add", "https://x"],
    &["webhook-endpoints", "change", NO_ID, "--about", "x"],
    &["webhook-endpoints", "pause", NO_ID],
    &["webhook-endpoints", "resume", NO_ID],
    &["webhook-endpoints", "rotate-secret", NO_ID],
    &["webhook-endpoints", "remove", NO_ID],
    &["webhook-endpoints", "deliveries", NO_ID],
    &["webhook-endpoints", "redeliver", NO_ID],
    &["endpoints", "list"],
    &["endpoints", "reopen", "https://x"],
    &["import", "retail.csv", "--mapping", "uci-online-retail"],
];

/// The id of nothing.
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

const RETAIL: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

fn names(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).expect("the folder is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn no_command_but_those_that_say_so_makes_a_database() {
    let folder = Folder::new("nothing");
    folder.file("retail.csv", RETAIL);
    folder.file("empty.db", "");
    let before = names(&folder);
    for visit in VISITS {
        for place in ["mistyped.db", "no/such/folder.db", "sqlite:mistyped.db", "empty.db"] {
            let ran = folder.run(&[visit, &["--database", place]].concat());
            if ran.is_usage() {
                continue;
            }
            let refusal = ran.refusal();
            assert!(refusal.contains("there is no database at"), "{visit:?} {place}: {refusal}");
        }
        assert_eq!(names(&folder), before, "{visit:?} has made something");
    }
    assert_eq!(std::fs::read(folder.path().join("empty.db")).expect("it is there"), b"");
}

#[test]
fn the_first_key_makes_the_database_that_it_lies_in_and_says_so() {
    let folder = Folder::new("first-key");
    let create = ["keys", "create", "--name", "n", "--scopes", "admin", "--database", "new.db"];
    assert!(folder.run(&create).answer().starts_with("ow_"));
    let listed = folder.run(&["keys", "list", "--json", "--database", "new.db"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let refusal = folder.run(&[&create[..7], &["no/such/folder.db"]].concat()).refusal();
    assert!(refusal.contains("no/such"), "{refusal}");
}

#[test]
fn a_database_of_another_program_is_left_byte_for_byte_as_it_was_by_every_command() {
    let folder = Folder::new("theirs");
    folder.file("retail.csv", RETAIL);
    let place = folder.path().join("theirs.db");
    let theirs = rusqlite::Connection::open(&place).expect("a database");
    theirs.execute_batch("create table orders (id integer); insert into orders values (1)").expect("a table");
    theirs.close().expect("it is closed");
    let (before, found) = (names(&folder), std::fs::read(&place).expect("it is there"));
    let makers: [&[&str]; 3] = [
        &["migrate"],
        &["keys", "create", "--name", "n", "--scopes", "admin"],
        &["serve", "--listen", "127.0.0.1:0"],
    ];
    for command in VISITS.iter().chain(&makers) {
        let ran = folder.run(&[command, &["--database", "theirs.db"][..]].concat());
        if ran.is_usage() {
            continue;
        }
        let refusal = ran.refusal();
        assert!(refusal.contains("another program"), "{command:?}: {refusal}");
        assert_eq!(std::fs::read(&place).expect("it is there"), found, "{command:?}");
        assert_eq!(names(&folder), before, "{command:?}");
    }
}

#[test]
fn an_address_in_the_form_of_words_is_no_path() {
    let folder = Folder::new("words");
    for words in ["host=h user=u password=hush dbname=d", "password=hush host=h"] {
        for command in [&["migrate"][..], &["check"], &["serve", "--listen", "127.0.0.1:0"]] {
            let refusal = folder.run(&[command, &["--database", words]].concat()).refusal();
            assert!(refusal.contains("postgres://user:password@host/database"), "{refusal}");
            assert!(!refusal.contains("hush"), "{refusal}");
        }
    }
    assert_eq!(names(&folder), Vec::<String>::new());
}
