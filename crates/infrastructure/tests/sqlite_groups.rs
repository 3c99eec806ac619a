//! Laws of units that share a commit: each stands or falls alone, none is told before it is durable, and nobody waits for
//! company that does not come.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use application::ports::UnitOfWork;
use bus::{CorrelationId, Envelope, MessageId, Routing, Store, Topology, Transport};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::Timestamp;
use orderwright_infrastructure::sqlite::{SqliteOptions, SqliteStore};
use proptest::prelude::*;
use rusqlite::Connection;
use uuid::Uuid;

const QUEUE: &str = "queue";

/// A store in a folder of the test's own, gone with it.
struct Home {
    folder: PathBuf,
    store: SqliteStore,
}

impl Home {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("orderwright-groups-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let topology = Topology::default().subscribe(QUEUE, &["Kind"]);
        let store = SqliteStore::open(&file(&folder), SqliteOptions::new(topology, Routing::Store)).unwrap();
        Self { folder, store }
    }

    async fn begin(&self) -> Box<dyn UnitOfWork> {
        Store::begin(&self.store).await.unwrap()
    }

    /// Rows that another process would see at this moment.
    fn durable(&self) -> usize {
        let neighbour = Connection::open(file(&self.folder)).unwrap();
        let count: u32 = neighbour.query_row("select count(*) from outbox", [], |row| row.get(0)).unwrap();
        usize::try_from(count).unwrap()
    }

    /// Everything that is ready in the queue.
    async fn received(&self) -> BTreeSet<u128> {
        let mut feed = self.store.subscribe(QUEUE).await.unwrap();
        let mut ids = BTreeSet::new();
        while ids.len() < self.durable() {
            let deliveries = feed.receive(100).await.unwrap();
            ids.extend(deliveries.iter().map(|delivery| delivery.envelope.id.0.as_u128()));
        }
        ids
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("groups.db")
}

fn message(id: u128) -> Envelope {
    let id = MessageId(Uuid::from_u128(id));
    Envelope {
        id,
        kind: "Kind".into(),
        correlation_id: CorrelationId(id.0),
        causation_id: None,
        conversation_id: id,
        traceparent: None,
        sent_at: Timestamp::UNIX_EPOCH,
        attempt: 0,
        body: Bytes::from_static(b"{}"),
    }
}

/// How a unit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Commit,
    Drop,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_unit_stands_or_falls_alone(
        ends in prop::collection::vec(prop::sample::select(vec![End::Commit, End::Commit, End::Drop]), 1..100)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let home = Home::new();
            join_all((1..).zip(&ends).map(|(id, end)| {
                let home = &home;
                async move {
                    let mut unit = home.begin().await;
                    unit.publish(vec![message(id)]).await.unwrap();
                    match end {
                        End::Commit => unit.commit().await.unwrap(),
                        End::Drop => drop(unit),
                    }
                }
            }))
            .await;
            let committed: BTreeSet<u128> =
                (1..).zip(&ends).filter(|(_, end)| **end == End::Commit).map(|(id, _)| id).collect();
            prop_assert_eq!(home.durable(), committed.len());
            prop_assert_eq!(home.received().await, committed);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn nobody_is_told_before_it_is_durable() {
    let home = Home::new();
    let mut first = home.begin().await;
    first.publish(vec![message(1)]).await.unwrap();
    let mut next = Box::pin(home.begin());
    assert!((&mut next).now_or_never().is_none(), "the first one has the turn");
    let mut told = first.commit();
    assert!((&mut told).now_or_never().is_none(), "it waits for the next one");
    assert_eq!(home.durable(), 0);
    let mut second = next.await;
    second.publish(vec![message(2)]).await.unwrap();
    assert!((&mut told).now_or_never().is_none());
    assert_eq!(home.durable(), 0);
    second.commit().await.unwrap();
    assert_eq!(home.durable(), 2);
    told.now_or_never().expect("both are durable at once").unwrap();
}

#[tokio::test]
async fn one_that_goes_away_while_it_waits_holds_up_nobody() {
    let home = Home::new();
    let mut unit = home.begin().await;
    unit.publish(vec![message(1)]).await.unwrap();
    let mut next = Box::pin(home.begin());
    assert!((&mut next).now_or_never().is_none());
    let mut told = unit.commit();
    assert!((&mut told).now_or_never().is_none());
    drop(next);
    told.now_or_never().expect("nobody else is coming").unwrap();
    assert_eq!(home.durable(), 1);
}

#[tokio::test]
async fn a_unit_that_is_alone_is_durable_at_once() {
    let home = Home::new();
    let mut unit = home.begin().await;
    unit.publish(vec![message(1)]).await.unwrap();
    unit.commit().now_or_never().expect("it waits for nobody").unwrap();
    assert_eq!(home.received().await, BTreeSet::from([1]));
}

#[tokio::test]
async fn what_follows_a_dropped_unit_is_committed_without_it() {
    let home = Home::new();
    let mut first = home.begin().await;
    first.publish(vec![message(1)]).await.unwrap();
    let mut second = Box::pin(home.begin());
    let mut third = Box::pin(home.begin());
    assert!((&mut second).now_or_never().is_none());
    assert!((&mut third).now_or_never().is_none());
    let mut told = first.commit();
    assert!((&mut told).now_or_never().is_none());
    let mut spoilt = second.await;
    spoilt.publish(vec![message(2)]).await.unwrap();
    drop(spoilt);
    let mut last = third.await;
    last.publish(vec![message(3)]).await.unwrap();
    let (told, last) = futures_util::future::join(told, last.commit()).await;
    told.unwrap();
    last.unwrap();
    assert_eq!(home.received().await, BTreeSet::from([1, 3]));
}
