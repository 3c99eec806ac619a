//! The messages of the pipeline, as on the wire. Each carries what its consumer needs, so that handling it seldom
//! needs a read. Contains no rules.

use bus::{CorrelationId, Envelope, Message, MessageId, TimerFired};
use domain::{Capture, OrderId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use crate::amount::Amount;
use crate::ports::{Notification, ParcelTrouble};

/// A quantity of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The product.
    pub product_id: Uuid,
    /// Units, at least one.
    pub quantity: i64,
}

/// An order was accepted. How the customer pays is not in it: anybody may listen to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "OrderCreatedEvent")]
pub struct OrderCreatedEvent {
    /// The order that it is about.
    pub order_id: Uuid,
    /// The customer.
    pub customer_id: String,
    /// What it costs in all.
    pub total: Amount,
    /// The requested units, merged by product.
    pub lines: Vec<Demand>,
}

/// Reserve stock: every line or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "InventoryReservationRequested")]
pub struct InventoryReservationRequested {
    /// The order that it is about.
    pub order_id: Uuid,
    /// The requested units, merged by product.
    pub lines: Vec<Demand>,
}

/// Units of these products became available, and orders wait for some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "StockArrived")]
pub struct StockArrived {
    /// The products.
    pub product_ids: Vec<Uuid>,
}

/// Take the money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "PaymentProcessingRequested")]
pub struct PaymentProcessingRequested {
    /// The order that it is about.
    pub order_id: Uuid,
    /// How much.
    pub amount: Amount,
    /// Idempotency key, stored before and used for every attempt.
    pub idempotency_key: String,
    /// How the customer pays, in the gateway's terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_token: Option<String>,
    /// When the money is taken.
    #[serde(with = "crate::word", default = "at_once", skip_serializing_if = "is_at_once")]
    pub capture: Capture,
}

/// Capture the authorised money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "PaymentCaptureRequested")]
pub struct PaymentCaptureRequested {
    /// The order that it is about.
    pub order_id: Uuid,
    /// How much: all of it.
    pub amount: Amount,
    /// Idempotency key of the charge.
    pub idempotency_key: String,
}

/// The money is authorised, and is captured once the goods are shipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "PaymentAuthorised")]
pub struct PaymentAuthorised {
    /// The order that it is about.
    pub order_id: Uuid,
    /// How much.
    pub amount: Amount,
    /// The gateway's name for the charge.
    pub provider_reference: String,
    /// Until when the authorisation holds, if the gateway says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The gateway has the money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "PaymentProcessed")]
pub struct PaymentProcessed {
    /// The order that it is about.
    pub order_id: Uuid,
    /// How much.
    pub amount: Amount,
    /// The gateway's name for the charge.
    pub provider_reference: String,
}

/// The gateway refuses for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "PaymentFailed")]
pub struct PaymentFailed {
    /// The order that it is about.
    pub order_id: Uuid,
    /// The gateway's reason.
    pub code: String,
}

/// The gateway reported something about money that the saga must know; the payment's row has it already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "PaymentReported")]
pub struct PaymentReported {
    /// The order that it is about.
    pub order_id: Uuid,
    /// The kind.
    pub matter: MoneyMatter,
    /// As text.
    pub detail: String,
}

/// The carrier reported trouble with a parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "ParcelReported")]
pub struct ParcelReported {
    /// The order that it is about.
    pub order_id: Uuid,
    /// The kind.
    #[serde(with = "crate::word")]
    pub trouble: ParcelTrouble,
    /// As text.
    pub detail: String,
}

/// Have the order shipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "OrderShippingRequested")]
pub struct OrderShippingRequested {
    /// The order that it is about.
    pub order_id: Uuid,
    /// Idempotency key, stored before and used for every attempt.
    pub idempotency_key: String,
    /// Whether the order says where its goods go. Where that is, no message says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_address: bool,
}

/// The customer has the parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "ShippingCompleted")]
pub struct ShippingCompleted {
    /// The order that it is about.
    pub order_id: Uuid,
    /// The carrier's name for the parcel.
    pub tracking_number: String,
}

/// Look up a parcel of which no event has come for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "ShipmentTrackingRequested")]
pub struct ShipmentTrackingRequested {
    /// The order that it is about.
    pub order_id: Uuid,
    /// Idempotency key of the booking.
    pub idempotency_key: String,
}

/// Have the carrier cancel the booking, or close its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "ShipmentCancellationRequested")]
pub struct ShipmentCancellationRequested {
    /// The order that it is about.
    pub order_id: Uuid,
    /// Idempotency key of the booking.
    pub idempotency_key: String,
}

/// Have the gateway void or refund the charge, or close its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "PaymentRefundRequested")]
pub struct PaymentRefundRequested {
    /// The order that it is about.
    pub order_id: Uuid,
    /// Idempotency key of the charge.
    pub idempotency_key: String,
    /// Refund only this part; the charge stays otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<RefundPart>,
}

/// Fact: stock is reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "InventoryReserved")]
pub struct InventoryReserved {
    /// The order that it is about.
    pub order_id: Uuid,
}

/// Fact: stock could not be reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "InventoryReservationFailed")]
pub struct InventoryReservationFailed {
    /// The order that it is about.
    pub order_id: Uuid,
    /// The first shortage.
    pub reason: String,
}

/// Fact: the carrier has the parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "OrderShippedEvent")]
pub struct OrderShippedEvent {
    /// The order that it is about.
    pub order_id: Uuid,
    /// The carrier's name for the parcel.
    pub tracking_number: String,
    /// The carrier.
    pub carrier: String,
}

/// Fact: the customer has the parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "OrderDeliveredEvent")]
pub struct OrderDeliveredEvent {
    /// The order that it is about.
    pub order_id: Uuid,
}

/// Fact: the order is cancelled, with everything reversed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "OrderCancelledEvent")]
pub struct OrderCancelledEvent {
    /// The order that it is about.
    pub order_id: Uuid,
    /// Why, as a code.
    pub reason: String,
}

/// Send a notification through one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "NotificationDispatchRequested")]
pub struct NotificationDispatchRequested {
    /// The order that it is about.
    pub order_id: Uuid,
    /// The channel, as [`crate::ports::Channel`] writes it.
    pub channel: String,
    /// The notification.
    pub notification: Notification,
}

/// A part of a charge to refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPart {
    /// Idempotency key of this refund, stored before and used for every attempt.
    pub key: String,
    /// The amount, in minor units of the charge.
    pub minor: i64,
    /// The reason given by the person who asked.
    pub reason: String,
}

/// What the gateway reported about money, besides captures and refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoneyMatter {
    /// All of it was refunded.
    Refunded,
    /// Part of it was refunded.
    PartlyRefunded,
    /// It was charged a second time.
    SecondCharge,
    /// The second charge was refunded.
    SecondChargeReturned,
    /// Another amount or currency than was requested.
    AmountMismatch,
    /// The customer's bank disputes it.
    Disputed,
    /// The dispute is over and the money is ours.
    DisputeWon,
    /// The dispute is over and the money is gone.
    DisputeLost,
}

/// What the gateway said about a payment, in an answer or by webhook.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
pub enum PaymentResult {
    /// The money is authorised.
    Authorised(PaymentAuthorised),
    /// It has the money.
    Processed(PaymentProcessed),
    /// It refuses.
    Failed(PaymentFailed),
    /// It reported something else.
    Reported(PaymentReported),
}

/// What the carrier said about a parcel, in an answer or by webhook.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
pub enum ParcelNews {
    /// It arrived.
    Completed(ShippingCompleted),
    /// It is in trouble.
    Reported(ParcelReported),
}

impl ParcelNews {
    /// The order that it is about.
    #[must_use]
    pub const fn order_id(&self) -> OrderId {
        match self {
            Self::Completed(message) => OrderId(message.order_id),
            Self::Reported(message) => OrderId(message.order_id),
        }
    }
}

impl PaymentResult {
    /// Until when an authorisation holds, if the message tells of one that ends.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Authorised(message) => message.until,
            Self::Processed(_) | Self::Failed(_) | Self::Reported(_) => None,
        }
    }

    /// The order that it is about.
    #[must_use]
    pub const fn order_id(&self) -> OrderId {
        match self {
            Self::Authorised(message) => OrderId(message.order_id),
            Self::Processed(message) => OrderId(message.order_id),
            Self::Failed(message) => OrderId(message.order_id),
            Self::Reported(message) => OrderId(message.order_id),
        }
    }
}

const fn at_once() -> Capture {
    Capture::AtOnce
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
fn is_at_once(capture: &Capture) -> bool {
    *capture == Capture::AtOnce
}

/// A timer of the order saga that fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "OrderTimeoutEvent")]
pub struct OrderTimeoutEvent(pub TimerFired);

/// The correlation id of all messages about this order.
#[must_use]
pub const fn correlation(order_id: OrderId) -> CorrelationId {
    CorrelationId(order_id.0)
}

/// The conversation of all messages about this order, those that a webhook, a timer or a person begins included. It is the id of the
/// order's first message, which derives from the order's own.
#[must_use]
pub fn conversation(order_id: OrderId) -> MessageId {
    MessageId(order_id.0).child(OrderCreatedEvent::KIND, 0)
}

/// The same message as one about this order.
#[must_use]
pub fn about_order(envelope: Envelope, order_id: OrderId) -> Envelope {
    Envelope { correlation_id: correlation(order_id), conversation_id: conversation(order_id), ..envelope }
}

/// The message that tells a fact about an order. Its id comes from order, kind and `what`, so it is the same whether an answer or a
/// webhook tells of it, and a listener that hears it twice can see that.
#[must_use]
pub fn fact(envelope: Envelope, order_id: OrderId, what: &str) -> Envelope {
    let id = MessageId(order_id.0).child(&format!("{} {what}", envelope.kind), 0);
    Envelope { id, ..about_order(envelope, order_id) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_fact_has_one_id_however_it_is_told_and_lies_in_the_conversation_of_its_order() {
        let order_id = OrderId(Uuid::from_u128(7));
        let completed =
            |number: &str| ShippingCompleted { order_id: order_id.0, tracking_number: number.into() };
        let at = Timestamp::UNIX_EPOCH;
        let cause =
            Envelope::first(MessageId(Uuid::from_u128(8)), correlation(order_id), "K", Bytes::new(), at);
        let by_answer = fact(completed("A").caused_by(&cause, 1, at), order_id, "A");
        let by_webhook = completed("A").first(MessageId(Uuid::from_u128(9)), correlation(order_id), at);
        let by_webhook = fact(by_webhook, order_id, "A");
        assert_eq!(by_answer.id, by_webhook.id);
        assert_eq!(by_answer.causation_id, Some(cause.id));
        let other = fact(completed("B").caused_by(&cause, 1, at), order_id, "B");
        assert_ne!(by_answer.id, other.id);
        for told in [by_answer, by_webhook, other] {
            assert_eq!(told.conversation_id, conversation(order_id));
            assert_eq!(told.correlation_id, correlation(order_id));
        }
    }
}
