//! Opening a database: what is made, what is brought up to date, and what is refused with which words.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use application::ports::Readers;
use bus::{CorrelationId, Envelope, MessageId, OutboxStore, Routing, Topology, Transport};
use bytes::Bytes;
use jiff::Timestamp;
use orderwright_infrastructure::sqlite::{Exclusive, OpenError, SqliteOptions, SqliteStore};
use uuid::Uuid;

/// A folder of the test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("orderwright-open-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("orders.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options() -> SqliteOptions {
    SqliteOptions::new(Topology::default(), Routing::Store)
}

fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, options())
}

fn refused(path: &Path, options: SqliteOptions) -> OpenError {
    SqliteStore::open(path, options).err().expect("it is refused")
}

#[tokio::test]
async fn a_database_is_made_where_there_is_none_folder_included_and_opens_again() {
    let folder = Folder::new();
    let path = folder.0.join("new").join("deeper").join("orders.db");
    let store = open(&path).unwrap();
    let version = store.schema_version().await.unwrap();
    assert!(version >= 1);
    assert_eq!(store.migrate().await.unwrap(), version);
    assert_eq!(store.path(), Some(path.as_path()));
    drop(store);
    let store = open(&path).unwrap();
    assert_eq!(store.schema_version().await.unwrap(), version);
    let sizes = store.file_sizes();
    assert!(sizes.iter().any(|(file, bytes)| file == &path && bytes.is_some_and(|bytes| bytes > 0)));
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    let garbage = "not a database, however long one looks at it. ".repeat(100);
    std::fs::write(folder.file(), &garbage).unwrap();
    let error = refused(&folder.file(), options());
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(folder.file()).unwrap(), garbage);
}

#[test]
fn a_database_of_a_later_release_is_refused_naming_both_versions() {
    let folder = Folder::new();
    drop(open(&folder.file()).unwrap());
    let connection = rusqlite::Connection::open(folder.file()).unwrap();
    let later = "insert into schema_history (version, name, applied_on, checksum)
         values (4000, 'later', '2031-01-01T00:00:00Z', '1')";
    connection.execute(later, []).unwrap();
    let error = refused(&folder.file(), options());
    let OpenError::Newer { found, known, .. } = &error else { panic!("{error}") };
    assert_eq!(*found, 4000);
    let words = error.to_string();
    assert!(words.contains("4000") && words.contains(&known.to_string()) && !words.contains('\n'), "{words}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = Folder::new();
    // A file where a folder is needed refuses everybody, root included.
    std::fs::write(folder.0.join("file"), "").unwrap();
    let error = refused(&folder.0.join("file").join("orders.db"), options());
    assert!(matches!(error, OpenError::FolderNotWritable { .. }), "{error}");
    assert!(error.to_string().contains("file"), "{error}");
}

#[test]
fn a_second_server_is_turned_away_and_a_command_beside_the_server_is_not() {
    let folder = Folder::new();
    let serving = SqliteOptions { exclusive: Exclusive::Yes, ..options() };
    let server = SqliteStore::open(&folder.file(), serving.clone()).unwrap();
    let error = refused(&folder.file(), serving.clone());
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(open(&folder.file()).is_ok());
    drop(server);
    assert!(SqliteStore::open(&folder.file(), serving).is_ok());
}

fn message(number: u128, kind: &str) -> Envelope {
    let id = Uuid::from_u128(number);
    Envelope::first(MessageId(id), CorrelationId(id), kind, Bytes::from_static(b"1"), Timestamp::UNIX_EPOCH)
}

/// A server with queues, which may have a broker to carry messages.
fn serving(routing: Routing) -> SqliteOptions {
    let topology = Topology::default().subscribe("left", &["Both", "Left"]).subscribe("right", &["Both"]);
    SqliteOptions { exclusive: Exclusive::Yes, ..SqliteOptions::new(topology, routing) }
}

#[tokio::test]
async fn messages_left_for_a_broker_find_their_queues_when_there_is_no_broker_any_more() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.file(), serving(Routing::Outbox)).unwrap();
    store.send(&[message(1, "Both"), message(2, "Left"), message(3, "Unwanted")]).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&folder.file(), serving(Routing::Store)).unwrap();
    let mut left = store.subscribe("left").await.unwrap();
    assert_eq!(left.receive(9).await.unwrap().len(), 2);
    let mut right = store.subscribe("right").await.unwrap();
    assert_eq!(right.receive(9).await.unwrap().len(), 1);
    let waiting = store.overview().await.unwrap().queues;
    assert_eq!(waiting, [("outbox".into(), 0), ("left".into(), 2), ("right".into(), 1)]);
}

#[tokio::test]
async fn messages_left_in_queues_go_to_the_broker_when_there_is_one_each_once() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.file(), serving(Routing::Store)).unwrap();
    store.send(&[message(1, "Both"), message(2, "Left")]).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&folder.file(), serving(Routing::Outbox)).unwrap();
    let holder = Uuid::from_u128(7);
    let leased = store.lease(holder, Timestamp::UNIX_EPOCH, Timestamp::MAX, 9).await.unwrap();
    let kinds: Vec<&str> = leased.iter().map(|row| &*row.envelope.kind).collect();
    assert_eq!(kinds, ["Both", "Left"]);
}
