//! A cluster of three of which two are killed and come back: every message that was confirmed is handled, and no consumer is left
//! that nobody reads.

mod rabbitmq_stage;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::{Feed, MessageId, Transport};
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use rabbitmq_stage::{SOON, envelopes, ids, settings, soon, transport_with};
use testkit::servers::rabbitmq::RabbitMq;

/// How long the cluster may take to find itself again.
const AGAIN: Duration = Duration::from_secs(120);

/// Sendings that fail before the others come back; each takes as long as a confirm may take. The consumer gives up asking
/// meanwhile, more than once.
const FAILURES: usize = 5;

type Read = Arc<Mutex<BTreeSet<MessageId>>>;

/// Reads as an endpoint does, for ever.
async fn read(mut feed: Box<dyn Feed>, seen: Read) {
    loop {
        let Ok(deliveries) = feed.receive(100).await else { continue };
        let receipts: Vec<_> = deliveries.iter().map(|delivery| delivery.receipt.clone()).collect();
        if feed.acknowledge(&receipts).await.is_ok() {
            seen.lock().unwrap().extend(deliveries.iter().map(|delivery| delivery.envelope.id));
        }
    }
}

/// Waits until all of these were read, each queue has one consumer, and nothing lies in it.
async fn all_read(transport: &RabbitMqTransport, seen: &Read, wanted: &BTreeSet<MessageId>) {
    let reading = async {
        loop {
            let depths = transport.queue_depths().await.unwrap_or_default();
            let is_read =
                depths.iter().any(|depth| depth.queue == "q" && depth.consumers == 1 && depth.messages == 0);
            if is_read && wanted.is_subset(&seen.lock().unwrap()) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(AGAIN, reading).await;
    let read = seen.lock().unwrap().intersection(wanted).count();
    assert!(ended.is_ok(), "{read} of {} were read: {:?}", wanted.len(), transport.queue_depths().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_loses_its_quorum_and_finds_it_again_leaves_no_consumer_that_nobody_reads() {
    let [first, mut second, mut third] = tokio::task::block_in_place(RabbitMq::start_three).unwrap();
    let address = first.vhost().unwrap();
    let brief = RabbitMqSettings { confirm_limit: Duration::from_secs(4), ..settings(&[&address]) };
    let transport = transport_with(&brief);
    let all = envelopes("K", 30);
    let (before, meanwhile, after) = (&all[..10], &all[10..20], &all[20..]);
    let seen = Read::default();
    let reading = tokio::spawn(read(transport.subscribe("q").await.unwrap(), Arc::clone(&seen)));
    tokio::time::timeout(SOON, transport.send(before)).await.unwrap().unwrap();
    all_read(&transport, &seen, &ids(before)).await;

    second.kill9();
    third.kill9();
    let mut failures = 0;
    while failures < FAILURES {
        failures += usize::from(soon("an answer", transport.send(meanwhile)).await.is_err());
    }
    tokio::task::block_in_place(|| second.restart().and_then(|()| third.restart())).unwrap();
    let sending = async { while transport.send(after).await.is_err() {} };
    tokio::time::timeout(AGAIN, sending).await.expect("the cluster takes messages again");
    all_read(&transport, &seen, &ids(after)).await;
    reading.abort();
    drop(first);
}
