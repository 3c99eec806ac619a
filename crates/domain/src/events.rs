//! What has happened to an order, in the past tense. An event is a fact and is never refused. It carries no
//! instruction and no time; the time is stored beside it.

use crate::{Cancellation, CustomerId, Money, OrderId, OrderStatus, ProductId};

/// A fact about one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderEvent {
    /// It was placed.
    OrderCreated {
        /// Which order.
        order_id: OrderId,
        /// Whom it is for.
        customer_id: CustomerId,
        /// What it comes to.
        total: Money,
        /// How many lines it has.
        lines: u32,
    },
    /// It passed validation.
    OrderValidated {
        /// Which order.
        order_id: OrderId,
    },
    /// Its stock was reserved.
    InventoryReserved {
        /// Which order.
        order_id: OrderId,
        /// The reserved units by product.
        demand: Vec<(ProductId, i64)>,
    },
    /// Its reserved stock was released.
    InventoryReleased {
        /// Which order.
        order_id: OrderId,
        /// The released units by product.
        demand: Vec<(ProductId, i64)>,
    },
    /// The payment was requested.
    PaymentStarted {
        /// Which order.
        order_id: OrderId,
        /// How much was asked for.
        amount: Money,
    },
    /// The money arrived.
    PaymentProcessed {
        /// Which order.
        order_id: OrderId,
        /// How much arrived.
        amount: Money,
    },
    /// The payment failed for good.
    PaymentFailed {
        /// Which order.
        order_id: OrderId,
        /// Why, in the code of the gateway.
        code: String,
    },
    /// The money, or part of it, was refunded.
    PaymentRefunded {
        /// Which order.
        order_id: OrderId,
        /// How much went back.
        amount: Money,
    },
    /// The goods were shipped.
    OrderShipped {
        /// Which order.
        order_id: OrderId,
    },
    /// The goods were delivered.
    OrderDelivered {
        /// Which order.
        order_id: OrderId,
    },
    /// It was cancelled.
    OrderCancelled {
        /// Which order.
        order_id: OrderId,
        /// Why and by whom.
        cancellation: Cancellation,
    },
}

impl OrderEvent {
    /// The event's name, as stored and shown.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OrderCreated { .. } => "OrderCreated",
            Self::OrderValidated { .. } => "OrderValidated",
            Self::InventoryReserved { .. } => "InventoryReserved",
            Self::InventoryReleased { .. } => "InventoryReleased",
            Self::PaymentStarted { .. } => "PaymentStarted",
            Self::PaymentProcessed { .. } => "PaymentProcessed",
            Self::PaymentFailed { .. } => "PaymentFailed",
            Self::PaymentRefunded { .. } => "PaymentRefunded",
            Self::OrderShipped { .. } => "OrderShipped",
            Self::OrderDelivered { .. } => "OrderDelivered",
            Self::OrderCancelled { .. } => "OrderCancelled",
        }
    }

    /// The order it happened to.
    pub const fn order_id(&self) -> OrderId {
        match self {
            Self::OrderCreated { order_id, .. }
            | Self::OrderValidated { order_id }
            | Self::InventoryReserved { order_id, .. }
            | Self::InventoryReleased { order_id, .. }
            | Self::PaymentStarted { order_id, .. }
            | Self::PaymentProcessed { order_id, .. }
            | Self::PaymentFailed { order_id, .. }
            | Self::PaymentRefunded { order_id, .. }
            | Self::OrderShipped { order_id }
            | Self::OrderDelivered { order_id }
            | Self::OrderCancelled { order_id, .. } => *order_id,
        }
    }

    /// The headline status it leads to, if it changes the status.
    pub const fn leads_to(&self) -> Option<OrderStatus> {
        match self {
            Self::OrderCreated { .. } => Some(OrderStatus::Pending),
            Self::OrderValidated { .. } => Some(OrderStatus::Validated),
            Self::PaymentStarted { .. } => Some(OrderStatus::PaymentProcessing),
            Self::PaymentProcessed { .. } => Some(OrderStatus::Paid),
            Self::OrderShipped { .. } => Some(OrderStatus::Shipped),
            Self::OrderDelivered { .. } => Some(OrderStatus::Delivered),
            Self::OrderCancelled { .. } => Some(OrderStatus::Cancelled),
            Self::InventoryReserved { .. }
            | Self::InventoryReleased { .. }
            | Self::PaymentFailed { .. }
            | Self::PaymentRefunded { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Uuid;

    use super::*;
    use crate::{CancelReason, Currency};

    fn one_of_each(order_id: OrderId) -> Vec<OrderEvent> {
        let amount = Money::new(1, Currency::parse("USD").unwrap());
        let customer_id = CustomerId::parse("ALFKI").unwrap();
        let cancellation =
            Cancellation { reason: CancelReason::Customer, actor: String::new(), note: String::new() };
        vec![
            OrderEvent::OrderCreated { order_id, customer_id, total: amount, lines: 1 },
            OrderEvent::OrderValidated { order_id },
            OrderEvent::InventoryReserved { order_id, demand: vec![] },
            OrderEvent::InventoryReleased { order_id, demand: vec![] },
            OrderEvent::PaymentStarted { order_id, amount },
            OrderEvent::PaymentProcessed { order_id, amount },
            OrderEvent::PaymentFailed { order_id, code: String::new() },
            OrderEvent::PaymentRefunded { order_id, amount },
            OrderEvent::OrderShipped { order_id },
            OrderEvent::OrderDelivered { order_id },
            OrderEvent::OrderCancelled { order_id, cancellation },
        ]
    }

    #[test]
    fn every_event_has_a_name_of_its_own_and_knows_its_order() {
        let order_id = OrderId(Uuid::from_u128(7));
        let events = one_of_each(order_id);
        let names: HashSet<_> = events.iter().map(OrderEvent::name).collect();
        assert_eq!(names.len(), events.len());
        assert!(events.iter().all(|event| event.order_id() == order_id));
    }

    #[test]
    fn every_status_is_what_exactly_one_event_leads_to() {
        let mut reached: Vec<_> =
            one_of_each(OrderId(Uuid::nil())).iter().filter_map(OrderEvent::leads_to).collect();
        reached.sort();
        assert_eq!(reached, OrderStatus::ALL);
    }
}
