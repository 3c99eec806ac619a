//! What the laws are told with: a moment, two queues, a few messages, and small acts on the ports.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus::{
    CorrelationId, Delivery, Disposition, Envelope, Fault, Feed, MessageId, Receipt, Settlement, Timer,
    TimerKey, Topology,
};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::{Bus, NEVER, SOON};

/// When everything begins.
pub const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

/// So many seconds after [`NOW`].
#[must_use]
pub fn later(seconds: i64) -> Timestamp {
    NOW + SignedDuration::from_secs(seconds)
}

/// Two queues, one kind of message for each, and one for both.
#[must_use]
pub fn topology() -> Topology {
    Topology::default().subscribe("q", &["K", "B"]).subscribe("other", &["L", "B"])
}

/// A message of kind `K`.
#[must_use]
pub fn message(number: u128) -> Envelope {
    of_kind("K", number)
}

/// A message with everything that one can have.
#[must_use]
pub fn of_kind(kind: &str, number: u128) -> Envelope {
    let id = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | number);
    let body = Bytes::from("{\"text\":\"a \\\"quote\\\" and ünïcode\"}");
    let mut envelope = Envelope::first(MessageId(id), CorrelationId(id), kind, body, NOW);
    envelope.traceparent = Some(Arc::from("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    envelope
}

/// Publishes in a unit of its own.
///
/// # Errors
/// Those of the store.
pub async fn publish(bus: &Bus, envelopes: Vec<Envelope>) -> Result<(), Fault> {
    let mut unit = bus.unit().await;
    unit.publish(envelopes).await?;
    unit.commit().await
}

/// Receives until `count` are there, soon.
pub async fn receive(feed: &mut dyn Feed, count: usize) -> Vec<Delivery> {
    let mut received = Vec::new();
    while received.len() < count {
        let more = tokio::time::timeout(SOON, feed.receive(count - received.len())).await;
        let more = more.unwrap_or_else(|_| panic!("{} of {count} deliveries came", received.len()));
        received.extend(more.expect("the transport is there"));
    }
    received
}

/// Nothing is handed out.
pub async fn nothing_comes(feed: &mut dyn Feed) {
    let received = tokio::time::timeout(NEVER, feed.receive(9)).await;
    assert!(received.is_err(), "{received:?} came, and nothing should have");
}

/// The messages in these deliveries, by id.
#[must_use]
pub fn envelopes(deliveries: &[Delivery]) -> Vec<Envelope> {
    let mut envelopes: Vec<Envelope> = deliveries.iter().map(|it| Envelope::clone(&it.envelope)).collect();
    envelopes.sort_by_key(|envelope| envelope.id);
    envelopes
}

/// The ids in these deliveries.
#[must_use]
pub fn ids(deliveries: &[Delivery]) -> BTreeSet<MessageId> {
    deliveries.iter().map(|delivery| delivery.envelope.id).collect()
}

/// The claims on these deliveries.
#[must_use]
pub fn receipts(deliveries: &[Delivery]) -> Vec<Receipt> {
    deliveries.iter().map(|delivery| delivery.receipt.clone()).collect()
}

/// The same fate for all of these.
#[must_use]
pub fn settlements(deliveries: &[Delivery], disposition: &Disposition) -> Vec<Settlement> {
    let settlement = |delivery: &Delivery| Settlement {
        delivery: delivery.clone(),
        disposition: disposition.clone(),
        at: later(1),
    };
    deliveries.iter().map(settlement).collect()
}

/// Settles in a unit of its own.
///
/// # Errors
/// Stale if they are no longer held.
pub async fn settle(bus: &Bus, deliveries: &[Delivery], disposition: Disposition) -> Result<(), Fault> {
    let mut unit = bus.unit().await;
    unit.settle(settlements(deliveries, &disposition)).await?;
    unit.commit().await
}

/// Settles and acknowledges.
pub async fn finish(bus: &Bus, feed: &mut dyn Feed, deliveries: &[Delivery], disposition: Disposition) {
    settle(bus, deliveries, disposition).await.expect("they are held");
    feed.acknowledge(&receipts(deliveries)).await.expect("the transport is there");
}

/// A timer of the saga with this number, due so many seconds after [`NOW`].
#[must_use]
pub fn timer(number: u128, name: &str, due_s: i64) -> Timer {
    Timer {
        key: TimerKey { saga: instance(number), name: Arc::from(name) },
        generation: 1,
        due_at: later(due_s),
        kind: Arc::from("Expired"),
        traceparent: None,
        fired: 0,
    }
}

/// The saga with this number.
#[must_use]
pub fn instance(number: u128) -> CorrelationId {
    let time = u128::try_from(NOW.as_millisecond()).expect("after the epoch") << 80;
    CorrelationId(Uuid::from_u128(time | 0x7000_8000_0000_0000_0000 | number))
}
