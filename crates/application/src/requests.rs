//! What other services may ask about an order over the broker, and the answers. None of them says who the customer is. Contains no rules.

use bus::{Asked, Message};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The kinds that are requests: their senders wait for an answer.
pub const REQUESTS: &[&str] = OrderRequest::KINDS;

/// Where does this order stand? It is named by one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "GetOrderStatus")]
pub struct GetOrderStatus {
    /// The order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
    /// Its reference in another system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_reference: Option<String>,
}

/// Cancel this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "CancelOrder")]
pub struct CancelOrder {
    /// The order.
    pub order_id: Uuid,
    /// Whose wish it is; the customer's if nothing is said.
    #[serde(default)]
    pub reason: Option<CancelWish>,
    /// A note about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Whose wish a cancellation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelWish {
    /// The customer's.
    #[default]
    Customer,
    /// An operator's.
    Operator,
}

/// Where an order stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "OrderStatus")]
pub struct OrderStatusAnswer {
    /// The order.
    pub order_id: Uuid,
    /// The headline status.
    pub status: String,
    /// The saga's state.
    pub saga_state: String,
    /// Why it is cancelled, or being cancelled: a code.
    pub reason: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub updated_at: Timestamp,
}

/// There is no such order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "OrderNotFound")]
pub struct OrderNotFound {
    /// The order asked for.
    pub order_id: Option<Uuid>,
    /// The reference asked for.
    pub external_reference: Option<String>,
}

/// The order is being cancelled, or was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "OrderCancellationAccepted")]
pub struct OrderCancellationAccepted {
    /// The order.
    pub order_id: Uuid,
    /// Whether it had been cancelled before, or was being cancelled.
    pub already: bool,
}

/// The order is not cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "OrderCancellationRefused")]
pub struct OrderCancellationRefused {
    /// The order.
    pub order_id: Uuid,
    /// The saga's state.
    pub saga_state: String,
    /// Why it is too late, and what can be done instead.
    pub reason: String,
}

/// What the queue of requests takes.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
pub enum OrderRequest {
    /// A question.
    Status(Asked<GetOrderStatus>),
    /// A wish.
    Cancel(Asked<CancelOrder>),
}
