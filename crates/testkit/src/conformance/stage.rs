//! What the laws are told with: a moment, a few products and orders, and small acts on the ports; messages come from the laws of the bus.

use application::messages::correlation;
use application::ports::{
    AnyUnit, HistoryEntry, IdempotencyRecord, NewOrderRow, StatusMove, StockDemand, UnitOfWork,
};
use application::saga::{OrderProcessingSaga, SagaState};
use bus::Fault;
pub use bus_laws::stage::*;
use domain::{
    CancelReason, Cancellation, Currency, CustomerId, Money, MoneyLine, MovementCause, NewOrder,
    NewOrderLine, Order, OrderChange, OrderEvent, OrderId, OrderStatus, Product, Quantity, Sku,
};
use jiff::Timestamp;

use super::Process;

/// The id of the order with this number.
#[must_use]
pub fn order_id(number: u128) -> OrderId {
    OrderId(instance(number).0)
}

/// The road of an order that is delivered.
pub const ROAD: [OrderStatus; 6] = [
    OrderStatus::Pending,
    OrderStatus::Validated,
    OrderStatus::PaymentProcessing,
    OrderStatus::Paid,
    OrderStatus::Shipped,
    OrderStatus::Delivered,
];

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
    order_with(number, products, Vec::new())
}

/// The same with money lines.
#[must_use]
pub fn order_with(number: u128, products: &[Product], money_lines: Vec<MoneyLine>) -> Order {
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
        money_lines,
    };
    Order::place(new, NOW).expect("it is a sound order")
}

/// The saga that an order begins with.
#[must_use]
pub fn saga(order: &Order) -> OrderProcessingSaga {
    let started = OrderProcessingSaga::start(order.id(), order.total(), NOW, later(1_800));
    OrderProcessingSaga { has_address: true, ..started }
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
        is_refused: false,
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
    let row =
        NewOrderRow { order: order.clone(), payment_token: Some("tok".to_owned()), source, details: None };
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
