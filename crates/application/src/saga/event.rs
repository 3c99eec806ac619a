//! What the saga is told: an event of its order with the details that matter, and how long each stage may take.

use std::time::Duration;

use domain::{CancelReason, HoldPoint};

use super::table::EventKind;

/// The time limit of each stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StageLimits {
    /// From acceptance until the carrier has the parcel.
    pub order: Duration,
    /// From the first call that the gateway let through to its final answer.
    pub payment: Duration,
    /// From the first call that the carrier let through to its booking.
    pub shipping: Duration,
    /// Between two look-ups at a silent carrier.
    pub delivery_poll: Duration,
    /// Between two requests for the same capture.
    pub capture: Duration,
    /// Between two requests for the same compensation step.
    pub undo: Duration,
    /// For which an order waits for its goods.
    pub stock: Duration,
}

/// The limits of requirement C2, and our own for the rest.
pub const STAGE_LIMITS: StageLimits = StageLimits {
    order: Duration::from_secs(30 * 60),
    payment: Duration::from_secs(2 * 60),
    shipping: Duration::from_secs(5 * 60),
    delivery_poll: Duration::from_secs(60),
    capture: Duration::from_secs(10 * 60),
    undo: Duration::from_secs(10 * 60),
    stock: Duration::from_secs(30 * 24 * 3_600),
};

/// Names of the saga's timers.
pub mod timers {
    /// The order as a whole.
    pub const ORDER: &str = "order";
    /// The gateway's final answer.
    pub const PAYMENT: &str = "payment";
    /// The carrier's booking.
    pub const SHIPPING: &str = "shipping";
    /// The next look-up at a silent carrier.
    pub const DELIVERY_POLL: &str = "delivery_poll";
    /// The next request for the capture.
    pub const CAPTURE: &str = "capture";
    /// The end of the authorisation, with time left to do something about it.
    pub const AUTHORISATION: &str = "authorisation";
    /// The next request for the due compensation step.
    pub const UNDO: &str = "undo";
    /// The goods that an order waits for.
    pub const STOCK: &str = "stock";

    /// All of them.
    pub const ALL: [&str; 8] = [ORDER, PAYMENT, SHIPPING, DELIVERY_POLL, CAPTURE, AUTHORISATION, UNDO, STOCK];
}

/// An event of an order, as its saga sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SagaEvent {
    /// What happened.
    pub kind: EventKind,
    /// Why, if the event asks for cancellation.
    pub reason: Option<CancelReason>,
    /// How long the authorisation can be relied on, if the event tells of one that ends.
    pub authorised_for: Option<Duration>,
    /// The step that a hold is about.
    pub hold: Option<HoldPoint>,
    /// The time limits from here on.
    pub limits: StageLimits,
}

impl SagaEvent {
    /// An event that needs no details.
    #[must_use]
    pub const fn of(kind: EventKind) -> Self {
        Self { kind, reason: None, authorised_for: None, hold: None, limits: STAGE_LIMITS }
    }

    /// With the reason for a cancellation.
    #[must_use]
    pub const fn because(mut self, reason: CancelReason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// With the time for which the authorisation can be relied on; none if it does not end.
    #[must_use]
    pub const fn authorised_for(mut self, time: Option<Duration>) -> Self {
        self.authorised_for = time;
        self
    }

    /// With the step that the hold is about.
    #[must_use]
    pub const fn before(mut self, point: HoldPoint) -> Self {
        self.hold = Some(point);
        self
    }

    /// With configured limits.
    #[must_use]
    pub const fn within(mut self, limits: StageLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Why an order is cancelled after this event.
    pub(super) fn cancel_reason(&self) -> CancelReason {
        self.reason.unwrap_or(match self.kind {
            EventKind::OrderRejected => CancelReason::Rejected,
            EventKind::InventoryShort | EventKind::StockTimedOut => CancelReason::OutOfStock,
            EventKind::PaymentDeclined => CancelReason::PaymentDeclined,
            EventKind::ShipmentRefused | EventKind::ShippingTimedOut => CancelReason::ShippingFailed,
            EventKind::OrderTimedOut | EventKind::PaymentTimedOut => CancelReason::Timeout,
            EventKind::CancelRequested => CancelReason::Customer,
            EventKind::MoneyReturned => CancelReason::RefundedAtGateway,
            EventKind::OrderValidated
            | EventKind::InventoryReserved
            | EventKind::PaymentStarted
            | EventKind::PaymentAuthorised
            | EventKind::PaymentCaptured
            | EventKind::CaptureFailed
            | EventKind::CaptureTimedOut
            | EventKind::AuthorisationEnding
            | EventKind::ShippingStarted
            | EventKind::ShipmentBooked
            | EventKind::ParcelDelivered
            | EventKind::DeliveryPollDue
            | EventKind::UndoTimedOut
            | EventKind::ShipmentCancelled
            | EventKind::ShipmentKept
            | EventKind::PaymentVoided
            | EventKind::PaymentRefunded
            | EventKind::UndoFailed
            | EventKind::OperatorRetry
            | EventKind::OperatorSkip
            | EventKind::OperatorForce
            | EventKind::MoneyReturnedInPart
            | EventKind::SecondCharge
            | EventKind::SecondChargeReturned
            | EventKind::AmountMismatch
            | EventKind::PaymentDisputed
            | EventKind::DisputeWon
            | EventKind::DisputeLost
            | EventKind::ParcelDelayed
            | EventKind::ParcelLost
            | EventKind::ParcelDamaged
            | EventKind::ParcelReturned
            | EventKind::HoldPlaced
            | EventKind::HoldReleased
            | EventKind::StockArrived => CancelReason::Operator,
        })
    }
}
