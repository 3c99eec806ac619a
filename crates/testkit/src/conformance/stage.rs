//! What the laws are told with: a moment, a few products, orders and messages, and small acts on the ports.

use std::collections::BTreeSet;
use std::sync::Arc;

use application::messages::correlation;
use application::ports::{
    AnyUnit, HistoryEntry, IdempotencyRecord, NewOrderRow, StatusMove, StockDemand, UnitOfWork,
};
use application::saga::{OrderProcessingSaga, SagaState};
use bus::{
    CorrelationId, Delivery, Disposition, Envelope, Fault, Feed, MessageId, Receipt, Settlement, Timer,
    TimerKey, Topology,
};
use bytes::Bytes;
use domain::{
    CancelReason, Cancellation, Currency, CustomerId, Money, MovementCause, NewOrder, NewOrderLine, Order,
    OrderChange, OrderEvent, OrderId, OrderStatus, Product, Quantity, Sku,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Bus, NEVER, Process, SOON};

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
        key: TimerKey { saga: CorrelationId(order_id(number).0), name: Arc::from(name) },
        generation: 1,
        due_at: later(due_s),
        kind: Arc::from("OrderTimeoutEvent"),
        traceparent: None,
        fired: 0,
    }
}

/// The id of the order with this number.
#[must_use]
pub fn order_id(number: u128) -> OrderId {
    let time = u128::try_from(NOW.as_millisecond()).expect("after the epoch") << 80;
    OrderId(Uuid::from_u128(time | 0x7000_8000_0000_0000_0000 | number))
}

/// US dollars, in cents.
#[must_use]
pub fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::parse("USD").expect("it is a currency"))
}

/// A product at five dollars.
#[must_use]
pub fn product(sku: &str) -> Product {
    Product::new(Sku::parse(sku).expect("it is a sku"), "A thing", usd(500), NOW)
}

/// Two units of each of these products.
#[must_use]
pub fn order(number: u128, products: &[Product]) -> Order {
    let line = |product: &Product| NewOrderLine {
        product_id: product.id,
        sku: product.sku.clone(),
        quantity: Quantity::new(2).expect("more than none"),
        unit_price: product.price,
    };
    let new = NewOrder {
        id: order_id(number),
        customer_id: CustomerId::parse("alfki").expect("it is a name"),
        lines: products.iter().map(line).collect(),
        ordered_at: NOW,
        external_reference: Some(format!("reference-{number}")),
    };
    Order::place(new, NOW).expect("it is a sound order")
}

/// The saga that an order begins with.
#[must_use]
pub fn saga(order: &Order) -> OrderProcessingSaga {
    OrderProcessingSaga::start(order.id(), order.total(), NOW, later(1_800))
}

/// What each order asks of the stock.
#[must_use]
pub fn demand(order: &Order) -> StockDemand {
    StockDemand { order_id: order.id(), lines: order.merged_demand() }
}

/// What was answered under an order's key.
#[must_use]
pub fn record(order: &Order, created_at: Timestamp) -> IdempotencyRecord {
    IdempotencyRecord {
        key: format!("key-{}", order.id()),
        caller: "".into(),
        request_digest: [9; 32],
        order_id: order.id(),
        total: order.total(),
        created_at,
    }
}

/// An entry of an order's timeline.
#[must_use]
pub fn entry(order: &Order, event: &'static str) -> HistoryEntry {
    HistoryEntry {
        order_id: order.id(),
        at: later(1),
        event,
        status: Some(OrderStatus::Pending),
        saga_state: Some(SagaState::Created),
        detail: Some("in \"words\" and ünïcode".to_owned()),
    }
}

/// A legal or illegal change of an order's status.
#[must_use]
pub fn step(order: &Order, from: OrderStatus, to: OrderStatus) -> StatusMove {
    let cancellation = (to == OrderStatus::Cancelled).then(|| Cancellation {
        reason: CancelReason::Customer,
        actor: "customer".to_owned(),
        note: "changed my mind".to_owned(),
    });
    let event = OrderEvent::ALL.iter().copied().find(|event| event.leads_to() == Some(to));
    let event = event.expect("each status has the event that leads to it");
    let change = OrderChange { order_id: order.id(), event, at: later(5), cancellation };
    StatusMove { from, to, change }
}

/// Stores an order and its saga.
///
/// # Errors
/// Conflict if it is there.
pub async fn create(unit: &mut AnyUnit, order: &Order) -> Result<(), Fault> {
    create_for(unit, order, Some("shop")).await
}

/// The same for whoever gave the order its reference.
///
/// # Errors
/// Those of the store.
pub async fn create_for(unit: &mut AnyUnit, order: &Order, source: Option<&str>) -> Result<(), Fault> {
    let source = source.map(Into::into);
    let row = NewOrderRow { order: order.clone(), payment_token: Some("tok".to_owned()), source };
    unit.orders().create(&[row]).await?;
    unit.insert_sagas(&[saga(order)], NOW).await
}

/// An order that was accepted in a unit of its own.
pub async fn accepted(process: &Process, number: u128, products: &[Product]) -> Order {
    let order = order(number, products);
    let mut unit = process.unit().await;
    create(unit.as_mut(), &order).await.expect("it is new");
    unit.commit().await.expect("the store is there");
    order
}

/// Adds products with so many units of each.
pub async fn stock_up(process: &Process, products: &[Product], units: i64) {
    let mut unit = process.unit().await;
    unit.products().upsert(products).await.expect("they are sound");
    let receive = |it: &Product| (it.id, units, MovementCause::Import("first".to_owned()));
    let changes: Vec<_> = products.iter().map(receive).collect();
    let received = unit.inventory().update_available_stock(&changes, NOW).await;
    received.expect("the store is there").expect("more is never refused");
    unit.commit().await.expect("the store is there");
}

/// The saga of an order as it is stored.
pub async fn stored_saga(unit: &mut dyn UnitOfWork, order: &Order) -> OrderProcessingSaga {
    let found = unit.load_sagas(&[correlation(order.id())]).await.expect("the store is there");
    found.into_iter().next().expect("an order has a saga")
}
