//! A file of somebody else is left as it is, nothing is made where only something was to be looked at, and a file has one server
//! by whatever name it is opened.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use bus::{Routing, Tables, Topology};
use orderwright_infrastructure::sqlite::{Exclusive, OpenError, SqliteOptions, SqliteStore};
use rusqlite::Connection;

/// A folder of the test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("orderwright-owner-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Everything that lies here, byte by byte.
    fn content(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<_> = entries.map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect();
        all.sort();
        all
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn making() -> SqliteOptions {
    SqliteOptions::new(Topology::default(), Routing::Store)
}

fn serving() -> SqliteOptions {
    SqliteOptions { exclusive: Exclusive::Yes, ..making() }
}

fn visiting() -> SqliteOptions {
    SqliteOptions { tables: Tables::Expected, ..making() }
}

fn refused(path: &Path, options: SqliteOptions) -> OpenError {
    SqliteStore::open(path, options).err().expect("it is refused")
}

#[test]
fn a_visitor_makes_nothing_where_nothing_is() {
    let folder = Folder::new();
    for name in ["none.db", "no/folder/none.db"] {
        let error = refused(&folder.file(name), visiting());
        assert!(matches!(error, OpenError::Missing { .. }), "{error}");
    }
    assert_eq!(folder.content(), []);
    std::fs::write(folder.file("empty.db"), b"").unwrap();
    let error = refused(&folder.file("empty.db"), visiting());
    assert!(matches!(error, OpenError::Missing { .. }), "{error}");
    assert_eq!(folder.content(), [(folder.file("empty.db"), Vec::new())]);
}

/// Databases of others, each made by these statements.
const OTHERS: [&str; 5] = [
    "create table customers (id integer primary key, name text); insert into customers values (1, 'ann')",
    "create table orders (order_id blob primary key) without rowid",
    "pragma application_id = 1196444487; create table features (id integer)",
    "create table bus_schema_history (version int4 primary key, name varchar(255), applied_on varchar(255), checksum varchar(255));
     insert into bus_schema_history values (1, 'bus', '', '1'); create table orders (order_id blob)",
    "create view seen as select 1",
];

#[test]
fn a_database_of_another_program_is_refused_and_left_byte_for_byte_as_it_was() {
    for journal in ["delete", "wal"] {
        for statements in OTHERS {
            let folder = Folder::new();
            let path = folder.file("theirs.db");
            let connection = Connection::open(&path).unwrap();
            connection.execute_batch(&format!("pragma journal_mode = {journal}; {statements}")).unwrap();
            connection.close().unwrap();
            let before = folder.content();
            for options in [making(), serving(), visiting()] {
                let error = refused(&path, options);
                assert!(matches!(error, OpenError::Foreign { .. }), "{statements}: {error}");
                assert!(error.to_string().contains("another program"), "{error}");
            }
            assert_eq!(folder.content(), before, "{statements}");
        }
    }
}

#[test]
fn what_is_no_database_is_refused_and_left_byte_for_byte_as_it_was() {
    for bytes in [b"x".to_vec(), vec![0; 8_192], b"SQLite format 3".to_vec(), vec![0xff; 100]] {
        let folder = Folder::new();
        let path = folder.file("odd.db");
        std::fs::write(&path, &bytes).unwrap();
        for options in [making(), serving(), visiting()] {
            let error = refused(&path, options);
            assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
        }
        assert_eq!(folder.content(), [(path, bytes)]);
    }
    for path in [Path::new("/dev/null"), Path::new("/tmp")] {
        let error = refused(path, serving());
        assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
    }
}

#[test]
fn a_database_says_from_its_first_moment_whose_it_is_and_one_from_before_there_was_a_mark_is_known_by_its_tables()
 {
    let folder = Folder::new();
    let path = folder.file("ours.db");
    let store = SqliteStore::open(&path, serving()).unwrap();
    // Before anything was moved there from the log.
    assert_eq!(&std::fs::read(&path).unwrap()[68..72], b"OWrt");
    drop(store);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("pragma application_id = 0").unwrap();
    connection.close().unwrap();
    assert!(SqliteStore::open(&path, visiting()).is_ok());
    drop(SqliteStore::open(&path, serving()).unwrap());
    assert_eq!(&std::fs::read(&path).unwrap()[68..72], b"OWrt", "it is marked by whoever may");
}

#[test]
fn a_visitor_does_not_bring_tables_up_to_date() {
    let folder = Folder::new();
    let path = folder.file("older.db");
    drop(SqliteStore::open(&path, making()).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.execute("delete from schema_history", []).unwrap();
    connection.close().unwrap();
    let error = refused(&path, visiting());
    assert!(matches!(error, OpenError::Older { found: 0, .. }), "{error}");
    assert!(error.to_string().contains("orderwright migrate"), "{error}");
}

#[test]
fn a_file_has_one_server_by_whatever_name_it_is_opened() {
    let folder = Folder::new();
    let path = folder.file("orders.db");
    drop(SqliteStore::open(&path, making()).unwrap());
    let (link, hard) = (folder.file("link.db"), folder.file("hard.db"));
    std::os::unix::fs::symlink(&path, &link).unwrap();
    std::fs::hard_link(&path, &hard).unwrap();
    let roundabout = folder.0.join("..").join(folder.0.file_name().unwrap()).join("orders.db");
    let server = SqliteStore::open(&path, serving()).unwrap();
    for name in [&path, &link, &hard, &roundabout] {
        let error = refused(name, serving());
        assert!(matches!(error, OpenError::InUse { .. }), "{}: {error}", name.display());
    }
    for name in [&path, &link, &roundabout] {
        assert!(SqliteStore::open(name, visiting()).is_ok(), "{}", name.display());
    }
    // By that name a visitor would miss what lies in the log of the other.
    let error = refused(&hard, visiting());
    assert!(matches!(error, OpenError::AnotherName { .. }), "{error}");
    drop(server);
    drop(SqliteStore::open(&link, serving()).unwrap());
}
