//! What the tests on PostgreSQL stand on: one server for each test program, one database for each test, and orders to store.

#![allow(dead_code, reason = "each test program uses its own part of the stage")]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use application::messages::correlation;
use application::ports::{HistoryEntry, IdempotencyRecord, NewOrderRow, UnitOfWork};
use application::saga::{OrderProcessingSaga, SagaState};
use bus::{
    CorrelationId, Delivery, Disposition, Envelope, Fault, Feed, IdSource, MessageId, RandomIds, Receipt,
    Routing, Settlement, Store, Timer, TimerKey, Topology, VirtualClock,
};
use bytes::Bytes;
use domain::{
    Currency, Money, MovementCause, NewOrder, NewOrderLine, Order, OrderId, Product, ProductId, Quantity, Sku,
};
use jiff::Timestamp;
use orderwright_infrastructure::postgres::{PostgresOptions, PostgresStore};
use uuid::Uuid;

pub(crate) use testkit::servers::{Durability, Postgres};

pub(crate) const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

/// How long anything may take that is to happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The server that all tests of a program share.
pub(crate) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(Durability::None).unwrap())
}

/// A database of its own.
pub(crate) fn database() -> String {
    server().database().unwrap()
}

pub(crate) fn topology() -> Topology {
    Topology::default().subscribe("q", &["K"]).subscribe("other", &["L"])
}

pub(crate) fn options(clock: &Arc<VirtualClock>, seed: u64) -> PostgresOptions {
    PostgresOptions::new(topology(), Routing::Store, clock.as_ref(), &RandomIds::seeded(seed))
}

pub(crate) fn clock() -> Arc<VirtualClock> {
    Arc::new(VirtualClock::starting_at(NOW))
}

/// A store over a database, as one process of several would have it.
pub(crate) async fn store_over(address: &str, seed: u64) -> PostgresStore {
    PostgresStore::connect(address, options(&clock(), seed)).await.unwrap()
}

/// A store over a database of its own.
pub(crate) async fn store() -> PostgresStore {
    store_over(&database(), 1).await
}

pub(crate) async fn unit(store: &PostgresStore) -> Box<dyn UnitOfWork> {
    store.begin().await.unwrap()
}

pub(crate) fn message(number: u128) -> Envelope {
    of_kind("K", number)
}

pub(crate) fn of_kind(kind: &str, number: u128) -> Envelope {
    let id = Uuid::from_u128(number);
    Envelope::first(MessageId(id), CorrelationId(id), kind, Bytes::from_static(b"{}"), NOW)
}

pub(crate) async fn publish(store: &PostgresStore, envelopes: Vec<Envelope>) {
    let mut unit = unit(store).await;
    unit.publish(envelopes).await.unwrap();
    unit.commit().await.unwrap();
}

/// Receives until `count` are there.
pub(crate) async fn receive(feed: &mut dyn Feed, count: usize) -> Vec<Delivery> {
    let mut received = Vec::new();
    while received.len() < count {
        let more = tokio::time::timeout(SOON, feed.receive(count - received.len())).await;
        received.extend(more.expect("deliveries are on their way").unwrap());
    }
    received
}

pub(crate) fn numbers(deliveries: &[Delivery]) -> Vec<u128> {
    deliveries.iter().map(|delivery| delivery.envelope.id.0.as_u128()).collect()
}

pub(crate) fn receipts(deliveries: &[Delivery]) -> Vec<Receipt> {
    deliveries.iter().map(|delivery| delivery.receipt.clone()).collect()
}

pub(crate) fn settled(deliveries: &[Delivery], disposition: &Disposition) -> Vec<Settlement> {
    let settle = |delivery: &Delivery| Settlement {
        delivery: delivery.clone(),
        disposition: disposition.clone(),
        at: NOW,
    };
    deliveries.iter().map(settle).collect()
}

pub(crate) async fn settle(
    store: &PostgresStore,
    deliveries: &[Delivery],
    disposition: Disposition,
) -> Result<(), Fault> {
    let mut unit = Store::begin(store).await?;
    unit.settle(settled(deliveries, &disposition)).await?;
    unit.commit().await
}

pub(crate) fn order_id(number: u64) -> OrderId {
    let time = u128::try_from(NOW.as_millisecond()).unwrap() << 80;
    OrderId(Uuid::from_u128(time | 0x7000_8000_0000_0000_0000 | u128::from(number)))
}

pub(crate) fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::parse("USD").unwrap())
}

pub(crate) fn sku(number: u64) -> Sku {
    Sku::parse(&format!("SKU-{number}")).unwrap()
}

/// An order of two lines: two units of the first product, three of the second.
pub(crate) fn order(number: u64) -> Order {
    let line = |product, units| NewOrderLine {
        product_id: ProductId::of(&sku(product)),
        sku: sku(product),
        quantity: Quantity::new(units).unwrap(),
        unit_price: usd(1_050),
    };
    let new = NewOrder {
        id: order_id(number),
        customer_id: "customer-1".parse().unwrap(),
        lines: vec![line(1, 2), line(2, 3)],
        ordered_at: NOW,
        external_reference: Some(format!("reference-{number}")),
        money_lines: Vec::new(),
    };
    Order::place(new, NOW).unwrap()
}

pub(crate) fn saga(order: &Order) -> OrderProcessingSaga {
    OrderProcessingSaga::start(order.id(), order.total(), NOW, NOW + jiff::SignedDuration::from_mins(30))
}

pub(crate) fn record(order: &Order) -> IdempotencyRecord {
    IdempotencyRecord {
        key: format!("key-{}", order.id()),
        caller: "".into(),
        request_digest: [7; 32],
        order_id: order.id(),
        total: order.total(),
        created_at: NOW,
    }
}

pub(crate) fn timer(order: &Order, name: &str, due_at: Timestamp) -> Timer {
    Timer {
        key: TimerKey { saga: correlation(order.id()), name: Arc::from(name) },
        generation: 1,
        due_at,
        kind: Arc::from("K"),
        traceparent: None,
        fired: 0,
    }
}

/// Everything that accepting an order writes.
pub(crate) async fn accept(unit: &mut dyn UnitOfWork, order: &Order) -> Result<(), Fault> {
    let entry = HistoryEntry {
        order_id: order.id(),
        at: NOW,
        event: "OrderCreated",
        status: Some(order.status()),
        saga_state: Some(SagaState::Created),
        detail: Some("with a \"quote\" and ünïcode".to_owned()),
        is_refused: false,
    };
    let row = NewOrderRow {
        order: order.clone(),
        payment_token: Some("tok".to_owned()),
        source: None,
        details: None,
    };
    unit.orders().create(&[row]).await?;
    unit.insert_sagas(&[saga(order)], NOW).await?;
    unit.set_timers(vec![timer(order, "order", NOW)]).await?;
    unit.history().append(&[entry]).await?;
    unit.idempotency().insert(&[record(order)]).await
}

/// Two products with `units` in stock each.
pub(crate) async fn stock(store: &PostgresStore, units: i64) {
    let mut unit = unit(store).await;
    let products: Vec<Product> =
        (1..=2).map(|n| Product::new(sku(n), "A product", usd(1_050), NOW)).collect();
    unit.products().upsert(&products).await.unwrap();
    let receive =
        |product: &Product| (product.id, units, MovementCause::Import("the first delivery".to_owned()));
    let changes: Vec<_> = products.iter().map(receive).collect();
    unit.inventory().update_available_stock(&changes, NOW).await.unwrap().unwrap();
    unit.commit().await.unwrap();
}

/// A connection of the test's own.
pub(crate) async fn client(address: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(address, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Lets the time go by that ends every lease. Whoever is alive says so again.
pub(crate) async fn end_leases(address: &str) {
    client(address).await.execute("update instances set alive_until = 0", &[]).await.unwrap();
}

/// Waits until a question is answered with yes.
pub(crate) async fn until(client: &tokio_postgres::Client, question: &str) {
    let answered = async {
        while !client.query_one(question, &[]).await.unwrap().get::<_, bool>(0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, answered).await.unwrap_or_else(|_| panic!("it stays untrue: {question}"));
}

/// A fresh id source, for whoever needs one.
pub(crate) fn ids(seed: u64) -> impl IdSource {
    RandomIds::seeded(seed)
}
