//! A service whose file is gone accepts nothing: whatever is done to its files, no unit is told that it is durable, nobody is
//! shown what lies there instead, and nothing is written into it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use application::ports::{Readers, VitalSigns};
use bus::{CorrelationId, Envelope, Fault, MessageId, Routing, Topology, Transport, Verdict};
use bytes::Bytes;
use jiff::Timestamp;
use orderwright_infrastructure::sqlite::{Exclusive, FILE_GONE, SqliteOptions, SqliteStore};
use uuid::Uuid;

/// A folder of the test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("orderwright-gone-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(path: &Path) -> SqliteStore {
    let topology = Topology::default().subscribe("q", &["K"]);
    let options = SqliteOptions { exclusive: Exclusive::Yes, ..SqliteOptions::new(topology, Routing::Store) };
    SqliteStore::open(path, options).unwrap()
}

fn message(number: u128) -> Envelope {
    let id = Uuid::from_u128(number);
    Envelope::first(MessageId(id), CorrelationId(id), "K", Bytes::from_static(b"1"), Timestamp::UNIX_EPOCH)
}

async fn waiting(store: &SqliteStore) -> u64 {
    store.overview().await.unwrap().queues.iter().find(|(name, _)| name == "q").map_or(0, |(_, count)| *count)
}

fn is_gone(fault: &Fault) -> bool {
    fault.operation == FILE_GONE && fault.verdict == Verdict::Retry
}

async fn accepts_nothing(store: &SqliteStore, what: &str) {
    let refused = store.send(&[message(2)]).await.map(drop).map_err(|unsent| unsent.fault);
    assert!(refused.as_ref().is_err_and(is_gone), "{what}: {refused:?}");
    let read = store.overview().await.map(drop);
    assert!(read.as_ref().is_err_and(is_gone), "{what}: {read:?}");
    let vitals = store.database_state().await.map(drop);
    assert!(vitals.as_ref().is_err_and(is_gone), "{what}: {vitals:?}");
    let mut feed = store.subscribe("q").await.unwrap();
    let received = feed.receive(1).await.map(drop);
    assert!(received.as_ref().is_err_and(is_gone), "{what}: {received:?}");
}

/// Everything that lies in a folder, byte by byte, but for the index of a log, in which those who read leave marks.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let kept = entries.filter(|path| !path.to_string_lossy().ends_with("-shm"));
    let mut all: Vec<_> = kept.map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect();
    all.sort();
    all
}

/// What somebody may do to the files of a running service. Gets the folder, in which there is another database of ours as well.
type Deed = fn(&Folder);

fn another(folder: &Folder) -> PathBuf {
    let other = folder.file("other.db");
    drop(open(&other));
    other
}

/// As a person does it in another process: the file stays the same one, and gets other contents.
fn copy_over(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()));
}

const DEEDS: [(&str, Deed); 8] = [
    ("deleted", |folder| std::fs::remove_file(folder.file("orders.db")).unwrap()),
    ("moved", |folder| std::fs::rename(folder.file("orders.db"), folder.file("away.db")).unwrap()),
    ("replaced by an empty file", |folder| {
        std::fs::remove_file(folder.file("orders.db")).unwrap();
        std::fs::write(folder.file("orders.db"), b"").unwrap();
    }),
    ("replaced by a restored one", |folder| {
        std::fs::rename(another(folder), folder.file("orders.db")).unwrap();
    }),
    ("overwritten by another one", |folder| copy_over(&another(folder), &folder.file("orders.db"))),
    ("cut to nothing", |folder| std::fs::write(folder.file("orders.db"), b"").unwrap()),
    ("robbed of its log", |folder| std::fs::remove_file(folder.file("orders.db-wal")).unwrap()),
    ("robbed of its log's index", |folder| std::fs::remove_file(folder.file("orders.db-shm")).unwrap()),
];

#[tokio::test]
async fn a_service_whose_file_is_gone_accepts_nothing() {
    for (what, deed) in DEEDS {
        let folder = Folder::new();
        let store = open(&folder.file("orders.db"));
        grow(&store, &folder).await;
        deed(&folder);
        let strange = content(&folder.0);
        accepts_nothing(&store, what).await;
        accepts_nothing(&store, what).await;
        assert!(content(&folder.0) == strange, "{what}: something was written where nothing is ours");
    }
}

/// Until the file itself has changed since it was made: what is only in the log would leave no trace in it.
async fn grow(store: &SqliteStore, folder: &Folder) {
    grow_on(store).await;
    assert!(std::fs::metadata(folder.file("orders.db")).unwrap().len() > 1_000_000, "a part of it was moved");
}

async fn grow_on(store: &SqliteStore) {
    for number in 10..400 {
        let body = Bytes::from(vec![b'x'; 60_000]);
        let id = Uuid::from_u128(number);
        let envelope = Envelope::first(MessageId(id), CorrelationId(id), "K", body, Timestamp::UNIX_EPOCH);
        store.send(&[envelope]).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_left_open_writes_nothing_into_what_lies_there_instead_when_it_is_closed() {
    let folder = Folder::new();
    let path = folder.file("orders.db");
    let store = open(&path);
    store.send(&[message(1)]).await.unwrap();
    let other = another(&folder);
    std::fs::rename(other, &path).unwrap();
    let log = folder.file("orders.db-wal");
    std::fs::remove_file(&log).unwrap();
    std::fs::write(&log, b"of the other one").unwrap();
    let strange = content(&folder.0);
    accepts_nothing(&store, "replaced").await;
    drop(store);
    assert!(
        content(&folder.0) == strange,
        "the last to leave moved its log into another's file, or took another's log away"
    );
}

#[tokio::test]
async fn an_older_copy_of_the_file_or_a_busier_database_that_is_copied_over_it_is_noticed_and_left_as_it_is()
{
    for older in [true, false] {
        let folder = Folder::new();
        let (path, copy) = (folder.file("orders.db"), folder.file("copy.db"));
        let store = open(&path);
        grow(&store, &folder).await;
        if older {
            copy_over(&path, &copy);
            grow_on(&store).await;
        } else {
            let busier = open(&copy);
            grow_on(&busier).await;
            grow_on(&busier).await;
        }
        assert!(store.overview().await.is_ok(), "nothing has happened to it yet");
        copy_over(&copy, &path);
        accepts_nothing(&store, if older { "older" } else { "busier" }).await;
        drop(store);
        assert!(std::fs::read(&path).unwrap() == std::fs::read(&copy).unwrap(), "older: {older}");
        assert!(!folder.file("orders.db-wal").exists(), "a log of other contents would spoil these");
        let reopened = open(&path);
        assert!(reopened.overview().await.is_ok(), "what was put there is whole");
    }
}

#[tokio::test]
async fn a_file_that_is_only_touched_is_worked_on() {
    let folder = Folder::new();
    let path = folder.file("orders.db");
    let store = open(&path);
    store.send(&[message(1)]).await.unwrap();
    let touched = std::process::Command::new("touch").arg(&path).status();
    assert!(touched.is_ok_and(|status| status.success()));
    store.send(&[message(3)]).await.unwrap();
    assert_eq!(waiting(&store).await, 2);
}

#[tokio::test]
async fn the_very_same_file_put_back_is_worked_on_again() {
    let folder = Folder::new();
    let (path, away) = (folder.file("orders.db"), folder.file("away.db"));
    let store = open(&path);
    store.send(&[message(1)]).await.unwrap();
    std::fs::rename(&path, &away).unwrap();
    accepts_nothing(&store, "moved").await;
    std::fs::rename(&away, &path).unwrap();
    store.send(&[message(3)]).await.unwrap();
    assert_eq!(waiting(&store).await, 2);
}

#[tokio::test]
async fn work_of_a_neighbour_is_no_reason_to_stop() {
    let folder = Folder::new();
    let path = folder.file("orders.db");
    let store = open(&path);
    for number in 0..3 {
        store.send(&[message(number + 1)]).await.unwrap();
        let neighbour = rusqlite::Connection::open(&path).unwrap();
        neighbour
            .execute_batch("pragma wal_checkpoint(truncate); vacuum; pragma wal_checkpoint(full)")
            .unwrap();
        neighbour.execute_batch("update positions set last_position = last_position").unwrap();
        drop(neighbour);
    }
    assert_eq!(waiting(&store).await, 3);
}
