//! The read side: views as the API and the command line show them. Reads never lock and never change anything.

use async_trait::async_trait;
use bus::Fault;
use domain::{OrderId, ProductId, Sku};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::order_filter::{OrderFilter, OrderPage};
use super::{UnmatchedFilter, UnmatchedView};
use crate::messages::Amount;
use crate::saga::{Attention, OrderProcessingSaga, SagaState};

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineView {
    /// The product.
    pub sku: String,
    /// Units.
    pub quantity: u32,
    /// Price of one.
    pub unit_price: Amount,
}

/// Where the money stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PaymentView {
    /// The axis beneath the headline status.
    pub status: String,
    /// Minor units taken.
    pub captured_minor: i64,
    /// Minor units given back.
    pub refunded_minor: i64,
    /// Our idempotency key.
    pub idempotency_key: String,
    /// The gateway's name for the charge.
    pub provider_reference: Option<String>,
    /// The gateway's reason, if it declined.
    pub decline_code: Option<String>,
    /// Where a dispute of the customer's bank stands: `open`, `won` or `lost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disputed: Option<String>,
}

/// Where the parcel stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShipmentView {
    /// The axis beneath the headline status.
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
    /// Whom it is for.
    pub customer_id: String,
    /// The headline status.
    pub status: String,
    /// The saga's state.
    pub saga_state: String,
    /// What it costs in all.
    pub total: Amount,
    /// Its lines; empty in listings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LineView>,
    /// Where the money stands, once asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentView>,
    /// Where the parcel stands, once asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipment: Option<ShipmentView>,
    /// Why it was cancelled: a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<String>,
    /// Why it was cancelled, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_note: Option<String>,
    /// The other system's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_reference: Option<String>,
    /// When the customer ordered.
    pub ordered_at: Timestamp,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An order that has units set aside which are not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndangeredOrderView {
    /// The order.
    pub order_id: Uuid,
    /// Another system's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_reference: Option<String>,
    /// Whom it is for.
    pub customer_id: String,
    /// The headline status.
    pub status: String,
    /// Units of the product that are set aside for it.
    pub reserved: i64,
    /// How many of those are not there.
    pub missing: i64,
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
    /// Its name in the trade.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// More about it.
    pub description: String,
    /// What one costs.
    pub price: Amount,
    /// `active` or `discontinued`.
    pub availability: String,
}

/// A product's stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InventoryView {
    /// The product.
    pub product_id: Uuid,
    /// Its name in the trade.
    pub sku: String,
    /// Units for sale.
    pub available: i64,
    /// Units set aside for orders.
    pub reserved: i64,
    /// Units that left the house, ever.
    pub shipped: i64,
    /// Units that came in, ever.
    pub received: i64,
    /// Units found or lost, ever.
    pub adjusted: i64,
    /// Units set aside for orders that are not there.
    pub short: i64,
    /// At this many or fewer it is time to reorder.
    pub reorder_level: i64,
    /// Whether it is; never for what is no longer sold.
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
    /// Because of what.
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
    /// Why it is being undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The undoing that waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_undo: Option<String>,
    /// What a person is asked about, and what each answer would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionView>,
    /// The last entry of its timeline: why it stands where it stands.
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

/// What a person is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttentionView {
    /// As a code: `undoing` for an undoing that does not get on.
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
    /// What a person is asked about this saga; none unless one is.
    #[must_use]
    pub fn of(saga: &OrderProcessingSaga) -> Option<Self> {
        let choices = saga.choices()?;
        Some(Self {
            cause: saga.attention.map_or("undoing", Attention::as_str).to_owned(),
            why: choices.why.to_owned(),
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

/// Which sagas are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SagaFilter {
    /// Only this state.
    pub state: Option<SagaState>,
    /// Only those that last moved before this moment.
    pub unmoved_since: Option<Timestamp>,
    /// Only those after this one, in the order of ids.
    pub after: Option<OrderId>,
}

/// Counts over everything. Of dead letters, timers and waiting messages a store may estimate more than ten thousand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// Orders by headline status.
    pub orders: Vec<(String, u64)>,
    /// Cancelled orders by reason.
    pub cancellations: Vec<(String, u64)>,
    /// Sagas by state.
    pub sagas: Vec<(String, u64)>,
    /// Minor units taken and given back, by currency.
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

/// The read side of a store. Faults as for the repositories.
#[async_trait]
pub trait Readers: Send + Sync + 'static {
    /// One order with everything beneath it.
    async fn order(&self, id: OrderId) -> Result<Option<OrderView>, Fault>;

    /// Orders in the order that is asked for, up to `max`.
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

    /// The open orders that what is short of a product was promised to: the newest first, until no more is missing.
    async fn endangered_orders(&self, id: ProductId, max: usize) -> Result<Page<EndangeredOrderView>, Fault>;

    /// The ledger of one product, latest first, before `before`.
    async fn movements(
        &self,
        id: ProductId,
        before: Option<i64>,
        max: usize,
    ) -> Result<Vec<MovementView>, Fault>;

    /// Saga instances by id.
    async fn sagas(&self, filter: &SagaFilter, max: usize) -> Result<Page<SagaView>, Fault>;

    /// One saga instance.
    async fn saga(&self, id: OrderId) -> Result<Option<SagaView>, Fault>;

    /// Counts over everything.
    async fn overview(&self) -> Result<Overview, Fault>;

    /// Events of providers that belong to no order, in the order in which they came.
    async fn unmatched(&self, filter: &UnmatchedFilter, max: usize) -> Result<Page<UnmatchedView>, Fault>;

    /// What breaks one of the six invariants that the store alone can tell, in words; empty is good. Up to `max`.
    async fn broken_invariants(&self, now: Timestamp, max: usize) -> Result<Vec<BrokenInvariantView>, Fault>;
}

/// Whether only products are meant that are sold and at or below their reorder level.
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
