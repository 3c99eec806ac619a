//! The read side: the views of API and command line. Reads never lock and never change anything.

use async_trait::async_trait;
use bus::Fault;
use domain::{Hold, OrderId, Payment, ProductId, Sku};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::order_filter::{OrderFilter, OrderPlace};
use super::{AuditFilter, AuditView, UnmatchedFilter, UnmatchedView};
use crate::messages::Amount;
use crate::order_details::OrderDetails;
use crate::saga::{OrderProcessingSaga, SagaState};
use crate::shipping_facts::ShippingFactsView;

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineView {
    /// The product.
    pub sku: String,
    /// Units that were ordered.
    pub quantity: u32,
    /// Of these, cancelled since.
    #[serde(skip_serializing_if = "is_zero")]
    pub cancelled: u32,
    /// Price of one.
    pub unit_price: Amount,
}

/// Whether there is nothing to say.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
const fn is_zero(units: &u32) -> bool {
    *units == 0
}

/// The payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PaymentView {
    /// The status beneath the headline status.
    pub status: String,
    /// Minor units captured.
    pub captured_minor: i64,
    /// Minor units refunded.
    pub refunded_minor: i64,
    /// Our idempotency key.
    pub idempotency_key: String,
    /// The gateway's name for the charge.
    pub provider_reference: Option<String>,
    /// The gateway's reason, if it declined.
    pub decline_code: Option<String>,
    /// The state of a dispute: `open`, `won` or `lost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disputed: Option<String>,
    /// Until when the money is authorised, if it is to be captured later and the gateway says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorised_until: Option<Timestamp>,
}

/// The parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShipmentView {
    /// The status beneath the headline status.
    pub status: String,
    /// Our idempotency key.
    pub idempotency_key: String,
    /// The carrier's name for the parcel.
    pub tracking_number: Option<String>,
    /// The carrier.
    pub carrier: Option<String>,
}

/// An order as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderView {
    /// The order.
    pub order_id: Uuid,
    /// The customer.
    pub customer_id: String,
    /// The headline status.
    pub status: String,
    /// The saga's state.
    pub saga_state: String,
    /// When its saga last moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saga_moved_at: Option<Timestamp>,
    /// What it costs in all.
    pub total: Amount,
    /// Its lines; empty in listings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LineView>,
    /// What it says beside who wants what; none in listings.
    #[serde(flatten)]
    pub details: Option<OrderDetails>,
    /// Why it waits before its payment or its parcel, or did; none in listings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<HoldView>,
    /// What of it came back, or is awaited; none in listings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<super::ReturnView>,
    /// The payment, once requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentView>,
    /// The parcel, once requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipment: Option<ShipmentView>,
    /// The reason of the cancellation: a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<String>,
    /// The note of the cancellation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_note: Option<String>,
    /// Its reference in another system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_reference: Option<String>,
    /// When the customer ordered.
    pub ordered_at: Timestamp,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A hold of an order as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HoldView {
    /// Its id, by which it is released.
    pub hold_id: Uuid,
    /// The step that it keeps the order from.
    pub before: &'static str,
    /// Why.
    pub reason: String,
    /// Who placed it; none for a rule of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// When.
    pub placed_at: Timestamp,
    /// When it was released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Timestamp>,
    /// Who released it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released_by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_note: Option<String>,
}

impl From<Hold> for HoldView {
    fn from(hold: Hold) -> Self {
        let Hold { id, order_id: _, before, reason, actor, placed_at, released } = hold;
        let released_at = released.as_ref().map(|release| release.at);
        let (released_by, release_note) = released.map(|release| (release.actor, release.note)).unzip();
        Self {
            hold_id: id.0,
            before: before.as_str(),
            reason,
            actor,
            placed_at,
            released_at,
            released_by,
            release_note: release_note.filter(|note| !note.is_empty()),
        }
    }
}

/// An order with reserved units that are not in stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndangeredOrderView {
    /// The order.
    pub order_id: Uuid,
    /// Its reference in another system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_reference: Option<String>,
    /// The customer.
    pub customer_id: String,
    /// The headline status.
    pub status: String,
    /// Units of the product reserved for it.
    pub reserved: i64,
    /// How many of those are not in stock.
    pub missing: i64,
}

/// An open order that holds units of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReservationView {
    /// The order.
    pub order_id: Uuid,
    /// Its reference in another system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_reference: Option<String>,
    /// The customer.
    pub customer_id: String,
    /// The headline status.
    pub status: String,
    /// Units of the product reserved for it.
    pub units: i64,
    /// Since when.
    pub since: Timestamp,
}

/// A page of reservations. It may hold fewer than requested, or none, although more follow: no page reads more than a
/// bounded number of open orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservationPage {
    /// The reservations.
    pub items: Vec<ReservationView>,
    /// Where the next page begins; none at the end.
    pub next: Option<OrderId>,
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether there are more.
    pub has_more: bool,
}

/// One entry of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryView {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: String,
    /// The headline status afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The saga's state afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saga_state: Option<String>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProductView {
    /// The product.
    pub product_id: Uuid,
    /// Its SKU.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// More about it.
    pub description: String,
    /// What one costs.
    pub price: Amount,
    /// `active` or `discontinued`.
    pub availability: String,
    /// What a carrier and the customs need to know of one.
    pub shipping: ShippingFactsView,
}

/// A product's stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InventoryView {
    /// The product.
    pub product_id: Uuid,
    /// Its SKU.
    pub sku: String,
    /// Units for sale.
    pub available: i64,
    /// Units reserved for orders.
    pub reserved: i64,
    /// Units shipped in total.
    pub shipped: i64,
    /// Units received in total.
    pub received: i64,
    /// Units corrected in total.
    pub adjusted: i64,
    /// Units promised to orders that are not in stock.
    pub short: i64,
    /// The reorder level.
    pub reorder_level: i64,
    /// Whether to reorder; never for a product that is no longer sold.
    pub low: bool,
    /// When it last moved.
    pub last_updated: Timestamp,
}

/// One entry of the stock ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MovementView {
    /// Place in the ledger.
    pub position: i64,
    /// When.
    pub at: Timestamp,
    /// `received`, `reserved`, `released`, `shipped` or `adjusted`.
    pub kind: String,
    /// Units.
    pub quantity: i64,
    /// The cause.
    pub cause: String,
}

/// A saga instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SagaView {
    /// Its order.
    pub order_id: Uuid,
    /// Where it stands.
    pub state: String,
    /// What became of the stock.
    pub stock: String,
    /// What became of the money.
    pub payment: String,
    /// What became of the parcel.
    pub shipment: String,
    /// Why it is compensated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The compensation step that waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_undo: Option<String>,
    /// What a person must decide, and what each choice would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionView>,
    /// The last entry of its timeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_event: Option<HistoryView>,
    /// Timers that are running.
    pub timers: Vec<TimerView>,
    /// Version of its definition.
    pub version: u16,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// When the order as a whole times out.
    pub expires_at: Timestamp,
}

/// What a person must decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttentionView {
    /// A code, or several with commas between; `undoing` for a stuck compensation step.
    pub cause: String,
    /// In words.
    pub why: String,
    /// What `retry` would do.
    pub retry: String,
    /// What `skip` would do.
    pub skip: String,
    /// What `force` would do.
    pub force: String,
}

impl AttentionView {
    /// What a person must decide about this saga; none unless it waits for one.
    #[must_use]
    pub fn of(saga: &OrderProcessingSaga) -> Option<Self> {
        let choices = saga.choices()?;
        Some(Self {
            cause: saga.attention.to_text().unwrap_or_else(|| "undoing".to_owned()),
            why: choices.why,
            retry: choices.retry.to_owned(),
            skip: choices.skip.to_owned(),
            force: choices.force.to_owned(),
        })
    }
}

/// A running timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimerView {
    /// Its name.
    pub name: String,
    /// When it fires.
    pub due_at: Timestamp,
}

/// A page of sagas. It may hold fewer than requested, or none, although more follow: no page looks at more than a bounded number
/// of sagas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SagaPage {
    /// The sagas.
    pub items: Vec<SagaView>,
    /// Where the next page begins; none at the end.
    pub next: Option<OrderId>,
}

/// A filter for sagas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SagaFilter {
    /// Only this state.
    pub state: Option<SagaState>,
    /// Only those that last moved before this moment.
    pub unmoved_since: Option<Timestamp>,
    /// Only those after this one, in the order of ids.
    pub after: Option<OrderId>,
}

/// Counts over everything. More than ten thousand dead letters, timers or waiting messages may be estimated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// Orders by headline status.
    pub orders: Vec<(String, u64)>,
    /// Cancelled orders by reason.
    pub cancellations: Vec<(String, u64)>,
    /// Sagas by state.
    pub sagas: Vec<(String, u64)>,
    /// Minor units captured and refunded, by currency.
    pub money: Vec<(String, i64, i64)>,
    /// Messages waiting, by queue.
    pub queues: Vec<(String, u64)>,
    /// Dead letters.
    pub dead_letters: u64,
    /// Timers running.
    pub timers: u64,
    /// Parked and delayed messages.
    pub waiting: u64,
}

/// A page of orders. It may hold fewer than requested, or none, although more follow: no page reads more than a
/// bounded number of orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPage {
    /// The orders.
    pub items: Vec<OrderView>,
    /// Where the next page begins; none at the end.
    pub next: Option<OrderPlace>,
}

/// The read side of a store. Faults as for the repositories.
#[async_trait]
pub trait Readers: Send + Sync + 'static {
    /// One order with its payment and parcel.
    async fn order(&self, id: OrderId) -> Result<Option<OrderView>, Fault>;

    /// Orders in the requested sort order, up to `max`.
    async fn orders(&self, filter: &OrderFilter, max: usize) -> Result<OrderPage, Fault>;

    /// An order's timeline; none if there is no such order.
    async fn history(&self, id: OrderId) -> Result<Option<Vec<HistoryView>>, Fault>;

    /// Products by sku, after `after`.
    async fn products(&self, after: Option<&Sku>, max: usize) -> Result<Page<ProductView>, Fault>;

    /// Stock levels by sku, after `after`.
    async fn inventory_levels(
        &self,
        low: LowOnly,
        after: Option<&Sku>,
        max: usize,
    ) -> Result<Page<InventoryView>, Fault>;

    /// The stock of one product.
    async fn inventory_of(&self, sku: &Sku) -> Result<Option<InventoryView>, Fault>;

    /// The open orders affected by a shortage of a product: newest first, until the shortage is covered.
    async fn endangered_orders(&self, id: ProductId, max: usize) -> Result<Page<EndangeredOrderView>, Fault>;

    /// The open orders that hold units of a product, oldest first, after `after`.
    async fn reservations(
        &self,
        id: ProductId,
        after: Option<OrderId>,
        max: usize,
    ) -> Result<ReservationPage, Fault>;

    /// The ledger of one product, latest first, before `before`.
    async fn movements(
        &self,
        id: ProductId,
        before: Option<i64>,
        max: usize,
    ) -> Result<Vec<MovementView>, Fault>;

    /// Saga instances by id.
    async fn sagas(&self, filter: &SagaFilter, max: usize) -> Result<SagaPage, Fault>;

    /// One saga instance.
    async fn saga(&self, id: OrderId) -> Result<Option<SagaView>, Fault>;

    /// Where the sagas of these orders stand; an order that is not there is left out.
    async fn saga_states(&self, ids: &[OrderId]) -> Result<Vec<(OrderId, SagaState)>, Fault>;

    /// What the books say of the money of these orders; an order without a payment is left out.
    async fn booked_payments(&self, ids: &[OrderId]) -> Result<Vec<BookedPayment>, Fault>;

    /// Payments whose money was taken, by order, after `after`.
    async fn captured_payments(
        &self,
        after: Option<OrderId>,
        max: usize,
    ) -> Result<Page<BookedPayment>, Fault>;

    /// Counts over everything.
    async fn overview(&self) -> Result<Overview, Fault>;

    /// Unmatched provider events, in the order of arrival.
    async fn unmatched(&self, filter: &UnmatchedFilter, max: usize) -> Result<Page<UnmatchedView>, Fault>;

    /// What persons did, latest first.
    async fn audit(&self, filter: &AuditFilter, max: usize) -> Result<Page<AuditView>, Fault>;

    /// Violations of the six invariants, as far as the store alone can tell; empty is good. Up to `max`.
    async fn broken_invariants(&self, now: Timestamp, max: usize) -> Result<Vec<BrokenInvariantView>, Fault>;
}

/// What the books say of the money of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedPayment {
    /// Its payment.
    pub payment: Payment,
    /// Where its saga stands.
    pub state: SagaState,
}

/// Whether to list only products on sale at or below their reorder level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LowOnly {
    /// All products.
    #[default]
    No,
    /// Only those.
    Yes,
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokenInvariantView {
    /// Which of the six.
    pub invariant: u8,
    /// The order or product.
    pub subject: String,
    /// What is wrong.
    pub detail: String,
}
