//! The messages of the pipeline, as they stand on the wire. Each carries what its consumer needs, so that handling one
//! seldom means asking the store what it is about. Never holds a rule.

use bus::{CorrelationId, Fault, Message, TimerFired, from_json, to_json};
use bytes::Bytes;
use domain::{Currency, Money, OrderId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ports::{Notification, ParcelTrouble};

/// Kind of the message that a saga's timer becomes; its body is [`bus::TimerFired`].
pub const ORDER_TIMEOUT_EVENT: &str = "OrderTimeoutEvent";

/// An amount of money on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Minor units: cents, pence, yen, fils.
    pub minor: i64,
    /// ISO 4217 code.
    pub currency: String,
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        Self { minor: money.minor, currency: money.currency.code().to_owned() }
    }
}

impl Amount {
    /// The amount as the domain's money.
    ///
    /// # Errors
    /// [`bus::Verdict::GiveUp`] for an unknown currency.
    pub fn money(&self) -> Result<Money, Fault> {
        let currency =
            Currency::parse(&self.currency).map_err(|error| Fault::give_up("message.decode", error))?;
        Ok(Money::new(self.minor, currency))
    }
}

/// So many units of a product.
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
        /// Whom it is for.
        customer_id: String,
        /// What it costs in all.
        total: Amount,
        /// What is wanted, merged by product.
        lines: Vec<Demand>,
        /// How the customer pays, in the gateway's terms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_token: Option<String>,
    }
);
message!(
    /// Set stock aside: every line or none.
    InventoryReservationRequested {
        /// What is wanted, merged by product.
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
    /// The gateway told of money in a way that the saga must know of; the payment's row has it already.
    PaymentReported {
        /// What it is.
        matter: MoneyMatter,
        /// In words.
        detail: String,
    }
);
message!(
    /// The carrier told of trouble with a parcel.
    ParcelReported {
        /// What it is.
        trouble: ParcelTrouble,
        /// In words.
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
    /// Find out where a parcel is that nobody has heard of for a while.
    ShipmentTrackingRequested {
        /// Idempotency key of the booking.
        idempotency_key: String,
    }
);
message!(
    /// Have the carrier cancel the booking, or never make it.
    ShipmentCancellationRequested {
        /// Idempotency key of the booking.
        idempotency_key: String,
    }
);
message!(
    /// Have the gateway void or refund the charge, or never make it.
    PaymentRefundRequested {
        /// Idempotency key of the charge.
        idempotency_key: String,
        /// Only a part of it, which leaves the charge as it is otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<RefundPart>,
    }
);
message!(
    /// News: stock is set aside.
    InventoryReserved {}
);
message!(
    /// News: stock could not be set aside.
    InventoryReservationFailed {
        /// The first shortage.
        reason: String,
    }
);
message!(
    /// News: the carrier has the parcel.
    OrderShippedEvent {
        /// The carrier's name for the parcel.
        tracking_number: String,
        /// The carrier.
        carrier: String,
    }
);
message!(
    /// News: the customer has the parcel.
    OrderDeliveredEvent {}
);
message!(
    /// News: the order is cancelled and everything undone.
    OrderCancelledEvent {
        /// Why, as a code.
        reason: String,
    }
);

message!(
    /// Have somebody told by way of one channel.
    NotificationDispatchRequested {
        /// By what way, as [`crate::ports::Channel`] writes it.
        channel: String,
        /// What to tell.
        notification: Notification,
    }
);

/// A part of a charge that is to go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPart {
    /// Idempotency key of this refund, stored before and used for every attempt.
    pub key: String,
    /// How much, in minor units of what was charged.
    pub minor: i64,
    /// Why, in the words of whoever asked.
    pub reason: String,
}

/// What the gateway told of money, beyond that it has it or refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoneyMatter {
    /// All of it went back.
    Refunded,
    /// Part of it went back.
    PartlyRefunded,
    /// It was charged once more.
    SecondCharge,
    /// What was charged once more went back.
    SecondChargeReturned,
    /// Another amount or currency than was asked for.
    AmountMismatch,
    /// The customer's bank disputes it.
    Disputed,
    /// The dispute is over and the money is ours.
    DisputeWon,
    /// The dispute is over and the money is gone.
    DisputeLost,
}

/// What the gateway said about a payment, whether in its answer or by webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentResult {
    /// It has the money.
    Processed(PaymentProcessed),
    /// It refuses.
    Failed(PaymentFailed),
    /// It told of something else.
    Reported(PaymentReported),
}

/// What the carrier told of a parcel, whether in its answer or by webhook.
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

/// The correlation of everything that is about this order.
#[must_use]
pub const fn correlation(order_id: OrderId) -> CorrelationId {
    CorrelationId(order_id.0)
}
