//! What has happened to an order, in the past tense. An event is a fact; its word names it in the order's history.

use jiff::Timestamp;

use crate::{Cancellation, OrderId, OrderStatus, closed_set::closed_set};

closed_set! {
    /// A fact about one order.
    pub enum OrderEvent {
        /// It was placed.
        OrderCreated = 0, "OrderCreated";
        /// It passed validation.
        OrderValidated = 1, "OrderValidated";
        /// Its stock was reserved.
        InventoryReserved = 2, "InventoryReserved";
        /// Its reserved stock was released.
        InventoryReleased = 3, "InventoryReleased";
        /// The payment was requested.
        PaymentStarted = 4, "PaymentStarted";
        /// The money is authorised, and to be captured later.
        PaymentAuthorised = 5, "PaymentAuthorised";
        /// The money arrived.
        PaymentProcessed = 6, "PaymentProcessed";
        /// The payment failed for good.
        PaymentFailed = 7, "PaymentFailed";
        /// The money was refunded.
        PaymentRefunded = 8, "PaymentRefunded";
        /// The goods were shipped.
        OrderShipped = 9, "OrderShipped";
        /// The goods were delivered.
        OrderDelivered = 10, "OrderDelivered";
        /// It was cancelled.
        OrderCancelled = 11, "OrderCancelled";
    }
}

impl OrderEvent {
    /// The headline status it leads to, if it changes the status.
    #[must_use]
    pub const fn leads_to(self) -> Option<OrderStatus> {
        match self {
            Self::OrderCreated => Some(OrderStatus::Pending),
            Self::OrderValidated => Some(OrderStatus::Validated),
            Self::PaymentStarted => Some(OrderStatus::PaymentProcessing),
            Self::PaymentAuthorised => Some(OrderStatus::Authorised),
            Self::PaymentProcessed => Some(OrderStatus::Paid),
            Self::OrderShipped => Some(OrderStatus::Shipped),
            Self::OrderDelivered => Some(OrderStatus::Delivered),
            Self::OrderCancelled => Some(OrderStatus::Cancelled),
            Self::InventoryReserved
            | Self::InventoryReleased
            | Self::PaymentFailed
            | Self::PaymentRefunded => None,
        }
    }
}

/// An event of one order, as [`Order::apply`](crate::Order::apply) takes it and stores carry it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderChange {
    /// The order.
    pub order_id: OrderId,
    /// What happened.
    pub event: OrderEvent,
    /// When.
    pub at: Timestamp,
    /// Why and by whom it was cancelled; present exactly for [`OrderEvent::OrderCancelled`].
    pub cancellation: Option<Cancellation>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_codes_lead_back_to_their_event() {
        OrderEvent::assert_words_and_codes_round_trip();
    }

    #[test]
    fn every_status_is_what_exactly_one_event_leads_to() {
        let mut reached: Vec<_> = OrderEvent::ALL.iter().filter_map(|event| event.leads_to()).collect();
        reached.sort();
        assert_eq!(reached, OrderStatus::ALL);
    }
}
