//! The shortest way through the store: something is published, received, settled and gone.

use std::path::Path;

use application::ports::UnitOfWork;
use bus::{CorrelationId, Disposition, Envelope, MessageId, Settlement, Store, Topology, Transport};
use bytes::Bytes;
use jiff::Timestamp;
use orderwright_infrastructure::sqlite::{Routing, SqliteOptions, SqliteStore};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn options() -> SqliteOptions {
    SqliteOptions::new(Topology::default().subscribe("q", &["K"]), Routing::Store)
}

fn message(number: u128) -> Envelope {
    let id = Uuid::from_u128(number);
    Envelope::first(MessageId(id), CorrelationId(id), "K", Bytes::from_static(b"{}"), NOW)
}

async fn unit(store: &SqliteStore) -> Box<dyn UnitOfWork> {
    store.begin().await.unwrap()
}

async fn goes_all_the_way(store: SqliteStore) {
    let mut feed = store.subscribe("q").await.unwrap();
    let mut publishing = unit(&store).await;
    publishing.publish(vec![message(1), message(2)]).await.unwrap();
    publishing.commit().await.unwrap();
    let received = feed.receive(10).await.unwrap();
    assert_eq!(received.len(), 2);
    let mut settling = unit(&store).await;
    let done = |delivery: &bus::Delivery| Settlement {
        delivery: delivery.clone(),
        disposition: Disposition::Done,
        at: NOW,
    };
    settling.settle(received.iter().map(done).collect()).await.unwrap();
    settling.commit().await.unwrap();
    let receipts: Vec<_> = received.iter().map(|delivery| delivery.receipt.clone()).collect();
    feed.acknowledge(&receipts).await.unwrap();
}

#[tokio::test]
async fn a_message_goes_through_a_store_in_memory() {
    goes_all_the_way(SqliteStore::in_memory(options()).unwrap()).await;
}

#[tokio::test]
async fn a_message_goes_through_a_store_in_a_file() {
    let folder = std::env::temp_dir().join(format!("orderwright-smoke-{}", std::process::id()));
    let path: &Path = &folder.join("test.db");
    goes_all_the_way(SqliteStore::open(path, options()).unwrap()).await;
    std::fs::remove_dir_all(folder).unwrap();
}
