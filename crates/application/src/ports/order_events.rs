//! The events of all orders in one order, for programs of others that follow them.

use async_trait::async_trait;
use bus::Fault;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// The events that are told: what happened to an order. Our calls of providers are in an order's timeline only.
pub const EVENT_TYPES: [&str; 47] = [
    "OrderCreated",
    "OrderChanged",
    "LinesCancelled",
    "HoldPlaced",
    "HoldReleased",
    "OrderValidated",
    "OrderRejected",
    "InventoryReserved",
    "InventoryShort",
    "InventoryReleased",
    "StockArrived",
    "StockTimedOut",
    "PaymentStarted",
    "PaymentAuthorised",
    "PaymentProcessed",
    "PaymentFailed",
    "PaymentVoided",
    "PaymentRefunded",
    "RefundRequested",
    "RefundedAtGateway",
    "PartlyRefundedAtGateway",
    "SecondCharge",
    "SecondChargeReturned",
    "AmountMismatch",
    "PaymentDisputed",
    "DisputeWon",
    "DisputeLost",
    "ShippingStarted",
    "ShippingFailed",
    "OrderShipped",
    "ShipmentCancelled",
    "ParcelException",
    "ParcelLost",
    "ParcelDamaged",
    "ParcelReturned",
    "OrderDelivered",
    "ReturnRequested",
    "ReturnReceived",
    "ReturnCancelled",
    "CancelRequested",
    "OrderTimedOut",
    "PaymentTimedOut",
    "CaptureFailed",
    "AuthorisationEnding",
    "ShippingTimedOut",
    "UndoFailed",
    "OrderCancelled",
];

/// An event of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderEventView {
    /// Its place among the events of all orders: grows from event to event, with gaps.
    pub position: i64,
    /// What happened; one of [`EVENT_TYPES`].
    #[serde(rename = "type")]
    pub event_type: String,
    /// The order.
    pub order_id: Uuid,
    /// The order's reference in another system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_reference: Option<String>,
    /// When.
    pub at: Timestamp,
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

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only events behind this position; 0 for all that are kept.
    pub after: i64,
    /// Only these types; all if there is none.
    pub types: Vec<String>,
}

impl EventFilter {
    /// The types as they are asked for.
    #[must_use]
    pub fn wanted(&self) -> Vec<&str> {
        if self.types.is_empty() {
            EVENT_TYPES.to_vec()
        } else {
            self.types.iter().map(String::as_str).collect()
        }
    }
}

/// A stretch of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    /// The events, in order.
    pub events: Vec<OrderEventView>,
    /// The position to go on behind. No event that is in the log later lies at or before it.
    pub next: i64,
    /// Whether there is more to read behind it already.
    pub has_more: bool,
}

/// What reading came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventsRead {
    /// The next stretch. It may hold fewer than asked for, or none, although more follow.
    Page(EventPage),
    /// Events behind the asked position are past their time; those behind this position are kept.
    Swept {
        /// Up to where they are gone.
        up_to: i64,
    },
    /// The asked position is beyond the newest event: it was given by another store, or before this one was restored.
    Beyond {
        /// The position of the newest.
        newest: i64,
    },
}

/// The log of order events. It misses none: an event is told of when all before it are known, whatever worker wrote them.
#[async_trait]
pub trait OrderEventLog: Send + Sync + 'static {
    /// The events behind a position, up to `max`.
    ///
    /// # Errors
    /// Those of the store.
    async fn events(&self, filter: &EventFilter, max: usize) -> Result<EventsRead, Fault>;

    /// The position to begin at for events from now on.
    ///
    /// # Errors
    /// Those of the store.
    async fn newest_event(&self) -> Result<i64, Fault>;

    /// One event of an order.
    ///
    /// # Errors
    /// Those of the store.
    async fn event(&self, order_id: Uuid, position: i64) -> Result<Option<OrderEventView>, Fault>;
}

#[cfg(test)]
mod tests {
    use domain::OrderEvent;

    use super::*;

    #[test]
    fn every_event_that_moves_an_order_is_told() {
        for event in OrderEvent::ALL {
            assert!(EVENT_TYPES.contains(&event.as_str()), "{event}");
        }
    }
}
