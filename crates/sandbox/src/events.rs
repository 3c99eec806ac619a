//! What the provider announces by webhook: the events and their shape on the wire. Knows nothing of how they travel.

use std::sync::Arc;

use serde::Serialize;

use crate::money::Currency;

/// One thing that happened, announced under an id of its own; a duplicate repeats the id.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: EventKind,
    /// Unix time in microseconds.
    pub(crate) created_at: i64,
    pub(crate) data: EventData,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum EventKind {
    #[serde(rename = "payment.captured")]
    PaymentCaptured,
    #[serde(rename = "payment.declined")]
    PaymentDeclined,
    #[serde(rename = "payment.refunded")]
    PaymentRefunded,
    #[serde(rename = "payment.expired")]
    PaymentExpired,
    #[serde(rename = "payment.dispute.opened")]
    DisputeOpened,
    #[serde(rename = "payment.dispute.closed")]
    DisputeClosed,
    #[serde(rename = "shipment.in_transit")]
    ShipmentInTransit,
    #[serde(rename = "shipment.delivered")]
    ShipmentDelivered,
    #[serde(rename = "shipment.exception")]
    ShipmentException,
    #[serde(rename = "shipment.return_to_sender")]
    ShipmentReturned,
    #[serde(rename = "shipment.lost")]
    ShipmentLost,
    #[serde(rename = "shipment.damaged")]
    ShipmentDamaged,
}

/// Which of the two receivers an event goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Payments,
    Shipping,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum EventData {
    Payment(PaymentData),
    Shipment(ShipmentData),
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct PaymentData {
    pub(crate) reference: Arc<str>,
    pub(crate) idempotency_key: String,
    pub(crate) charge_id: String,
    pub(crate) amount_minor: i64,
    pub(crate) currency: Currency,
    /// What went back in all.
    pub(crate) refunded_minor: i64,
    pub(crate) status: &'static str,
    /// How a dispute ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<&'static str>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ShipmentData {
    pub(crate) reference: Arc<str>,
    pub(crate) idempotency_key: Arc<str>,
    pub(crate) shipment_id: String,
    pub(crate) tracking_number: String,
    pub(crate) status: &'static str,
}

/// The body of one webhook post.
#[derive(Debug, Serialize)]
pub(crate) struct Batch<'a> {
    pub(crate) events: &'a [Event],
}

impl EventKind {
    pub(crate) fn topic(self) -> Topic {
        match self {
            Self::PaymentCaptured
            | Self::PaymentDeclined
            | Self::PaymentRefunded
            | Self::PaymentExpired
            | Self::DisputeOpened
            | Self::DisputeClosed => Topic::Payments,
            Self::ShipmentInTransit
            | Self::ShipmentDelivered
            | Self::ShipmentException
            | Self::ShipmentReturned
            | Self::ShipmentLost
            | Self::ShipmentDamaged => Topic::Shipping,
        }
    }

    /// Tells the events of one key apart; `nth` counts those that can happen more than once.
    pub(crate) fn ordinal(self, nth: usize) -> u64 {
        let kind = match self {
            Self::PaymentCaptured => 1,
            Self::PaymentDeclined => 2,
            Self::PaymentRefunded => 3,
            Self::ShipmentInTransit => 4,
            Self::ShipmentDelivered => 5,
            Self::PaymentExpired => 6,
            Self::DisputeOpened => 7,
            Self::DisputeClosed => 8,
            Self::ShipmentException => 9,
            Self::ShipmentReturned => 10,
            Self::ShipmentLost => 11,
            Self::ShipmentDamaged => 12,
        };
        kind << 32 | nth as u64
    }
}
