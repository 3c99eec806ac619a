//! Laws of two carriers for one queue: both deliver, each hears of its own deliveries, and neither waits for the other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use orderwright_bus as bus;

use bus::harness::{Act, MemoryStore};
use bus::{
    Delivery, Envelope, Fault, Feed, LocalFirst, Origin, RandomIds, Receipt, Transport, Unsent, Verdict,
};

use crate::ledger::{Ledger, add, numbered, on_virtual_time, topology};

const QUEUE: &str = "bookkeeper";

/// Memory in the part of a broker, which hears of what is done by acknowledgements alone.
struct Broker {
    store: MemoryStore<Ledger>,
    acknowledged: Arc<Mutex<usize>>,
}

struct BrokerFeed {
    feed: Box<dyn Feed>,
    acknowledged: Arc<Mutex<usize>>,
}

#[async_trait]
impl Transport for Broker {
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault> {
        let feed = self.store.subscribe(queue).await?;
        Ok(Box::new(BrokerFeed { feed, acknowledged: Arc::clone(&self.acknowledged) }))
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        self.store.send(envelopes).await
    }
}

#[async_trait]
impl Feed for BrokerFeed {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault> {
        let mut received = self.feed.receive(max).await?;
        for delivery in &mut received {
            delivery.receipt.origin = Origin::Broker(delivery.receipt.row().expect("memory has rows"));
        }
        Ok(received)
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        assert!(receipts.iter().all(|receipt| receipt.mark().is_some()), "these are not the broker's");
        *self.acknowledged.lock().expect("nobody panics here") += receipts.len();
        Ok(())
    }
}

/// Messages in the store, at the broker, and a feed of both.
async fn both(stored: u128, brokered: u128) -> (MemoryStore<Ledger>, Arc<Mutex<usize>>, Box<dyn Feed>) {
    let messages = |numbers: std::ops::Range<u128>| -> Vec<Envelope> {
        numbers.map(|number| numbered(number, &add(1))).collect()
    };
    let (near, far) = (MemoryStore::<Ledger>::new(topology()), MemoryStore::<Ledger>::new(topology()));
    near.send(&messages(0..stored)).await.expect("no mishap is planned");
    let acknowledged = Arc::default();
    let broker = Broker { store: far.clone(), acknowledged: Arc::clone(&acknowledged) };
    let both = LocalFirst::new(Arc::new(near), Arc::new(broker), Arc::new(RandomIds::seeded(1)));
    both.send(&messages(stored..stored + brokered)).await.expect("no mishap is planned");
    let feed = both.subscribe(QUEUE).await.expect("memory knows every queue");
    (far, acknowledged, feed)
}

async fn receive(feed: &mut dyn Feed, count: usize) -> Vec<Delivery> {
    let mut received = Vec::new();
    while received.len() < count {
        received.extend(feed.receive(2).await.expect("a broker that is away is no fault here"));
    }
    received
}

fn receipts(deliveries: &[Delivery]) -> Vec<Receipt> {
    deliveries.iter().map(|delivery| delivery.receipt.clone()).collect()
}

#[test]
fn both_deliver_and_each_hears_of_what_it_delivered() {
    on_virtual_time(async {
        let (_, acknowledged, mut feed) = both(9, 7).await;
        let received = receive(feed.as_mut(), 16).await;
        let stored = received.iter().filter(|delivery| delivery.receipt.row().is_some()).count();
        assert_eq!((received.len(), stored), (16, 9));
        feed.acknowledge(&receipts(&received)).await.expect("no mishap is planned");
        assert_eq!(*acknowledged.lock().expect("nobody panics here"), 7);
    });
}

#[test]
fn a_broker_that_is_away_holds_up_nothing_that_lies_in_the_store_and_is_asked_again() {
    on_virtual_time(async {
        let (broker, _, mut feed) = both(9, 7).await;
        broker.fail(Act::Receive, Verdict::Retry, u32::MAX);
        let stored = receive(feed.as_mut(), 9).await;
        assert!(stored.iter().all(|delivery| delivery.receipt.row().is_some()));
        let waiting = tokio::time::timeout(Duration::from_secs(60), feed.receive(1)).await;
        assert!(waiting.is_err(), "there is nothing but what the broker has");
        broker.heal();
        assert_eq!(receive(feed.as_mut(), 7).await.len(), 7);
    });
}
