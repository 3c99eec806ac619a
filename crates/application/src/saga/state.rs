//! The order saga's data: its state and, beneath it, what was done and not undone.

use domain::{CancelReason, Capture, HoldPoints, Money, OrderId, OrderStatus, WhenShort};
use jiff::Timestamp;

use super::attention::Attentions;
use super::named::named;

/// Version of the saga's definition, stored with each instance. If a change alters what a released version does, it
/// needs a new number (or the fingerprint test fails) and a migration from the version before (or it does not
/// compile).
pub const SAGA_VERSION: u16 = 5;

/// An instance of a later definition, which needs a newer program. A number that was never released is treated alike:
/// its writer may know more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the saga is of version {found}, this program knows versions 1 to {SAGA_VERSION}; a newer program goes on with it"
)]
pub struct NewerSaga {
    /// Its version.
    pub found: i64,
}

impl NewerSaga {
    /// Accepts every version that this program knows: the latest, and those with migrations to it.
    ///
    /// # Errors
    /// Itself for any other.
    pub fn unless_known(found: i64) -> Result<(), Self> {
        if (1..=i64::from(SAGA_VERSION)).contains(&found) { Ok(()) } else { Err(Self { found }) }
    }
}

/// The saga's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SagaState {
    /// The order is accepted; its stock is not yet reserved.
    Created,
    /// Stock is reserved; payment is requested.
    InventoryReserved,
    /// The gateway was called; its answer is not final, or not applied yet.
    PaymentProcessing,
    /// The money is authorised; shipping is requested.
    Authorised,
    /// The order is paid; shipping is requested.
    Paid,
    /// The carrier has the parcel.
    Shipped,
    /// The customer has the parcel.
    Completed,
    /// Cancelled, with everything reversed.
    Failed,
    /// Compensating, last step first.
    Compensating,
    /// Waits for a person to retry, skip or force: a compensation step cannot finish, or an event needs a decision.
    NeedsAttention,
    /// Waits before its payment or its parcel until its holds are released.
    OnHold,
    /// Waits until its goods are in stock.
    AwaitingStock,
}

/// The state of the stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StockStep {
    /// None reserved.
    None,
    /// Reserved for this order.
    Reserved,
    /// Released.
    Released,
    /// Shipped.
    Shipped,
}

/// The state of the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PaymentStep {
    /// None requested.
    None,
    /// The gateway may or may not have been called; the key is stored.
    Requested,
    /// Authorised; nobody has asked for the capture.
    Authorised,
    /// Authorised; the capture is requested.
    Capturing,
    /// Captured.
    Captured,
    /// The gateway will never charge under this key.
    Closed,
    /// Refunded.
    Refunded,
    /// Settled by a person.
    Waived,
}

/// The state of the parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShipmentStep {
    /// None requested.
    None,
    /// The carrier may or may not have been called; the key is stored.
    Requested,
    /// The carrier has it.
    Booked,
    /// The carrier will never ship under this key.
    Cancelled,
    /// Delivered.
    Delivered,
    /// Settled by a person.
    Waived,
}

/// One order's saga.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderProcessingSaga {
    /// The order that it drives; also its correlation id.
    pub order_id: OrderId,
    /// Its state.
    pub state: SagaState,
    /// The definition that it was started with.
    pub version: u16,
    /// The amount to pay.
    pub total: Money,
    /// The order's headline status, which only the saga moves.
    pub order: OrderStatus,
    /// The state of the stock.
    pub stock: StockStep,
    /// The state of the money.
    pub payment: PaymentStep,
    /// The state of the parcel.
    pub shipment: ShipmentStep,
    /// Why it is, or was, compensated.
    pub reason: Option<CancelReason>,
    /// What a person must decide; nothing if a compensation step is stuck instead.
    pub attention: Attentions,
    /// How often timers were set; the generation of the latest.
    pub timer_generation: u32,
    /// When it began.
    pub created_at: Timestamp,
    /// When the order as a whole times out.
    pub expires_at: Timestamp,
    /// Whether the order says where its goods go, so that the carrier is told.
    pub has_address: bool,
    /// The steps before which it has holds that nobody has released.
    pub holds: HoldPoints,
    /// When its money is taken.
    pub capture: Capture,
    /// What becomes of it if its goods are not in stock.
    pub when_short: WhenShort,
}

impl OrderProcessingSaga {
    /// The saga of a fresh order.
    #[must_use]
    pub fn start(order_id: OrderId, total: Money, now: Timestamp, expires_at: Timestamp) -> Self {
        Self {
            order_id,
            state: SagaState::Created,
            version: SAGA_VERSION,
            total,
            order: OrderStatus::Pending,
            stock: StockStep::None,
            payment: PaymentStep::None,
            shipment: ShipmentStep::None,
            reason: None,
            attention: Attentions::default(),
            timer_generation: 0,
            created_at: now,
            expires_at,
            has_address: false,
            holds: HoldPoints::default(),
            capture: Capture::AtOnce,
            when_short: WhenShort::Cancel,
        }
    }
}

named!(SagaState:
    Created = "created",
    InventoryReserved = "inventory_reserved",
    PaymentProcessing = "payment_processing",
    Authorised = "authorised",
    Paid = "paid",
    Shipped = "shipped",
    Completed = "completed",
    Failed = "failed",
    Compensating = "compensating",
    NeedsAttention = "needs_attention",
    OnHold = "on_hold",
    AwaitingStock = "awaiting_stock",
);
named!(StockStep: None = "none", Reserved = "reserved", Released = "released", Shipped = "shipped");
named!(PaymentStep:
    None = "none",
    Requested = "requested",
    Authorised = "authorised",
    Capturing = "capturing",
    Captured = "captured",
    Closed = "closed",
    Refunded = "refunded",
    Waived = "waived",
);
named!(ShipmentStep:
    None = "none",
    Requested = "requested",
    Booked = "booked",
    Cancelled = "cancelled",
    Delivered = "delivered",
    Waived = "waived",
);

impl SagaState {
    /// Whether an order in this state still waits for the gateway.
    #[must_use]
    pub const fn awaits_payment(self) -> bool {
        matches!(self, Self::InventoryReserved | Self::PaymentProcessing)
    }

    /// Whether an order in this state still waits for the carrier.
    #[must_use]
    pub const fn awaits_shipping(self) -> bool {
        matches!(self, Self::Authorised | Self::Paid)
    }

    /// Whether only late events may still come.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Failed => true,
            Self::Created
            | Self::InventoryReserved
            | Self::PaymentProcessing
            | Self::Authorised
            | Self::Paid
            | Self::Shipped
            | Self::Compensating
            | Self::NeedsAttention
            | Self::OnHold
            | Self::AwaitingStock => false,
        }
    }
}
