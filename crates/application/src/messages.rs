//! The messages of the pipeline, as on the wire. Each carries what its consumer needs, so that handling it seldom
//! needs a read. Contains no rules.

use bus::{CorrelationId, Fault, Message, TimerFired, from_json, to_json};
use bytes::Bytes;
use domain::OrderId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use crate::amount::Amount;
use crate::ports::{Notification, ParcelTrouble};

/// Kind of the message that a saga's timer becomes; its body is [`bus::TimerFired`].
pub const ORDER_TIMEOUT_EVENT: &str = "OrderTimeoutEvent";

/// A quantity of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The product.
    pub product_id: Uuid,
    /// Units, at least one.
    pub quantity: i64,
}

/// Declares a message struct with its kind.
macro_rules! message {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            /// The order that it is about.
            pub order_id: Uuid,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            /// Its kind on the wire.
            pub const KIND: &'static str = stringify!($name);
        }

        impl Message for $name {
            const KINDS: &'static [&'static str] = &[stringify!($name)];

            fn kind(&self) -> &'static str {
                Self::KIND
            }

            fn encode(&self) -> Bytes {
                to_json(self)
            }

            fn decode(_kind: &str, body: &[u8]) -> Result<Self, Fault> {
                from_json(body)
            }
        }
    };
}

message!(
    /// An order was accepted.
    OrderCreatedEvent {
        /// The customer.
        customer_id: String,
        /// What it costs in all.
        total: Amount,
        /// The requested units, merged by product.
        lines: Vec<Demand>,
        /// How the customer pays, in the gateway's terms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_token: Option<String>,
    }
);
message!(
    /// Reserve stock: every line or none.
    InventoryReservationRequested {
        /// The requested units, merged by product.
        lines: Vec<Demand>,
        /// How the customer pays, in the gateway's terms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_token: Option<String>,
    }
);
message!(
    /// Take the money.
    PaymentProcessingRequested {
        /// How much.
        amount: Amount,
        /// Idempotency key, stored before and used for every attempt.
        idempotency_key: String,
        /// How the customer pays, in the gateway's terms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_token: Option<String>,
    }
);
message!(
    /// The gateway has the money.
    PaymentProcessed {
        /// How much.
        amount: Amount,
        /// The gateway's name for the charge.
        provider_reference: String,
    }
);
message!(
    /// The gateway refuses for good.
    PaymentFailed {
        /// The gateway's reason.
        code: String,
    }
);
message!(
    /// The gateway reported something about money that the saga must know; the payment's row has it already.
    PaymentReported {
        /// The kind.
        matter: MoneyMatter,
        /// As text.
        detail: String,
    }
);
message!(
    /// The carrier reported trouble with a parcel.
    ParcelReported {
        /// The kind.
        trouble: ParcelTrouble,
        /// As text.
        detail: String,
    }
);
message!(
    /// Have the order shipped.
    OrderShippingRequested {
        /// Idempotency key, stored before and used for every attempt.
        idempotency_key: String,
    }
);
message!(
    /// The customer has the parcel.
    ShippingCompleted {
        /// The carrier's name for the parcel.
        tracking_number: String,
    }
);
message!(
    /// Look up a parcel of which no event has come for a while.
    ShipmentTrackingRequested {
        /// Idempotency key of the booking.
        idempotency_key: String,
    }
);
message!(
    /// Have the carrier cancel the booking, or close its key.
    ShipmentCancellationRequested {
        /// Idempotency key of the booking.
        idempotency_key: String,
    }
);
message!(
    /// Have the gateway void or refund the charge, or close its key.
    PaymentRefundRequested {
        /// Idempotency key of the charge.
        idempotency_key: String,
        /// Refund only this part; the charge stays otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<RefundPart>,
    }
);
message!(
    /// Fact: stock is reserved.
    InventoryReserved {}
);
message!(
    /// Fact: stock could not be reserved.
    InventoryReservationFailed {
        /// The first shortage.
        reason: String,
    }
);
message!(
    /// Fact: the carrier has the parcel.
    OrderShippedEvent {
        /// The carrier's name for the parcel.
        tracking_number: String,
        /// The carrier.
        carrier: String,
    }
);
message!(
    /// Fact: the customer has the parcel.
    OrderDeliveredEvent {}
);
message!(
    /// Fact: the order is cancelled, with everything reversed.
    OrderCancelledEvent {
        /// Why, as a code.
        reason: String,
    }
);

message!(
    /// Send a notification through one channel.
    NotificationDispatchRequested {
        /// The channel, as [`crate::ports::Channel`] writes it.
        channel: String,
        /// The notification.
        notification: Notification,
    }
);

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentResult {
    /// It has the money.
    Processed(PaymentProcessed),
    /// It refuses.
    Failed(PaymentFailed),
    /// It reported something else.
    Reported(PaymentReported),
}

/// What the carrier said about a parcel, in an answer or by webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParcelNews {
    /// It arrived.
    Completed(ShippingCompleted),
    /// It is in trouble.
    Reported(ParcelReported),
}

impl Message for ParcelNews {
    const KINDS: &'static [&'static str] = &[ShippingCompleted::KIND, ParcelReported::KIND];

    fn kind(&self) -> &'static str {
        match self {
            Self::Completed(message) => message.kind(),
            Self::Reported(message) => message.kind(),
        }
    }

    fn encode(&self) -> Bytes {
        match self {
            Self::Completed(message) => message.encode(),
            Self::Reported(message) => message.encode(),
        }
    }

    fn decode(kind: &str, body: &[u8]) -> Result<Self, Fault> {
        match kind {
            ShippingCompleted::KIND => from_json(body).map(Self::Completed),
            ParcelReported::KIND => from_json(body).map(Self::Reported),
            other => Err(Fault::give_up("message.decode", format!("no consumer here for kind '{other}'"))),
        }
    }
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

impl Message for PaymentResult {
    const KINDS: &'static [&'static str] =
        &[PaymentProcessed::KIND, PaymentFailed::KIND, PaymentReported::KIND];

    fn kind(&self) -> &'static str {
        match self {
            Self::Processed(_) => PaymentProcessed::KIND,
            Self::Failed(_) => PaymentFailed::KIND,
            Self::Reported(_) => PaymentReported::KIND,
        }
    }

    fn encode(&self) -> Bytes {
        match self {
            Self::Processed(message) => message.encode(),
            Self::Failed(message) => message.encode(),
            Self::Reported(message) => message.encode(),
        }
    }

    fn decode(kind: &str, body: &[u8]) -> Result<Self, Fault> {
        match kind {
            PaymentProcessed::KIND => from_json(body).map(Self::Processed),
            PaymentFailed::KIND => from_json(body).map(Self::Failed),
            PaymentReported::KIND => from_json(body).map(Self::Reported),
            other => Err(Fault::give_up("message.decode", format!("no consumer here for kind '{other}'"))),
        }
    }
}

impl PaymentResult {
    /// The order that it is about.
    #[must_use]
    pub const fn order_id(&self) -> OrderId {
        match self {
            Self::Processed(message) => OrderId(message.order_id),
            Self::Failed(message) => OrderId(message.order_id),
            Self::Reported(message) => OrderId(message.order_id),
        }
    }
}

/// A timer of the order saga that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderTimeoutEvent(pub TimerFired);

impl Message for OrderTimeoutEvent {
    const KINDS: &'static [&'static str] = &[ORDER_TIMEOUT_EVENT];

    fn kind(&self) -> &'static str {
        ORDER_TIMEOUT_EVENT
    }

    fn encode(&self) -> Bytes {
        to_json(&self.0)
    }

    fn decode(_kind: &str, body: &[u8]) -> Result<Self, Fault> {
        from_json(body).map(Self)
    }
}

/// The correlation id of all messages about this order.
#[must_use]
pub const fn correlation(order_id: OrderId) -> CorrelationId {
    CorrelationId(order_id.0)
}
