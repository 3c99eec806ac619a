//! Events of providers, in words of no particular provider, and the list of those that belong to no order of ours.
//! Adapters create them; only the use cases interpret them.

mod stored;

use async_trait::async_trait;
use bus::Fault;
use domain::{Money, OrderId, ParcelTrouble};
use jiff::Timestamp;
use serde::Serialize;

use crate::saga::named;

/// Which provider sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// The payment gateway.
    Payments,
    /// The shipping provider.
    Shipping,
}

named!(Provider: Payments = "payments", Shipping = "shipping");

/// The content of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewsKind {
    /// The gateway has the money.
    PaymentCaptured {
        /// How much.
        amount: Money,
        /// The gateway's name for the charge.
        reference: String,
    },
    /// The gateway refuses for good.
    PaymentDeclined {
        /// Its reason.
        code: String,
    },
    /// Nothing is taken any more: an authorisation has ended, or somebody gave it up.
    PaymentLapsed {
        /// Which of them: `expired` or `voided`.
        code: String,
    },
    /// A refund.
    PaymentRefunded {
        /// The amount of this refund.
        amount: Money,
        /// The refunds in total, if reported.
        total: Option<Money>,
        /// The gateway's name for the charge.
        reference: String,
    },
    /// The customer's bank disputes a charge, or has decided the dispute.
    PaymentDisputed {
        /// The state of the dispute.
        dispute: domain::Dispute,
        /// The gateway's name for the charge, if reported.
        reference: Option<String>,
    },
    /// The carrier has the parcel.
    ShipmentInTransit {
        /// The carrier's name for the parcel.
        tracking_number: String,
    },
    /// The customer has the parcel.
    ShipmentDelivered {
        /// The carrier's name for the parcel.
        tracking_number: String,
    },
    /// There is trouble with the parcel.
    ShipmentTroubled {
        /// The kind of trouble.
        trouble: ParcelTrouble,
        /// The carrier's name for the parcel.
        tracking_number: String,
    },
    /// An event of an unknown kind.
    Unknown {
        /// Its content, shortened.
        told: String,
    },
    /// An event of a known kind without the data it needs.
    Malformed {
        /// Its content, shortened.
        told: String,
    },
}

impl NewsKind {
    /// Our sandbox's name for it.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::PaymentCaptured { .. } => "payment.captured",
            Self::PaymentDeclined { .. } => "payment.declined",
            Self::PaymentLapsed { .. } => "payment.lapsed",
            Self::PaymentRefunded { .. } => "payment.refunded",
            Self::PaymentDisputed { dispute: domain::Dispute::Open, .. } => "payment.disputed",
            Self::PaymentDisputed { dispute: domain::Dispute::Won, .. } => "payment.dispute_won",
            Self::PaymentDisputed { dispute: domain::Dispute::Lost, .. } => "payment.dispute_lost",
            Self::ShipmentInTransit { .. } => "shipment.in_transit",
            Self::ShipmentDelivered { .. } => "shipment.delivered",
            Self::ShipmentTroubled { trouble: ParcelTrouble::Exception, .. } => "shipment.exception",
            Self::ShipmentTroubled { trouble: ParcelTrouble::Lost, .. } => "shipment.lost",
            Self::ShipmentTroubled { trouble: ParcelTrouble::Damaged, .. } => "shipment.damaged",
            Self::ShipmentTroubled { trouble: ParcelTrouble::Returned, .. } => "shipment.returned",
            Self::Unknown { .. } => "unknown",
            Self::Malformed { .. } => "malformed",
        }
    }

    /// The provider that sends such events; none if unknown.
    #[must_use]
    pub const fn told_by(&self) -> Option<Provider> {
        match self {
            Self::PaymentCaptured { .. }
            | Self::PaymentDeclined { .. }
            | Self::PaymentLapsed { .. }
            | Self::PaymentRefunded { .. }
            | Self::PaymentDisputed { .. } => Some(Provider::Payments),
            Self::ShipmentInTransit { .. }
            | Self::ShipmentDelivered { .. }
            | Self::ShipmentTroubled { .. } => Some(Provider::Shipping),
            Self::Unknown { .. } | Self::Malformed { .. } => None,
        }
    }
}

/// One event of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderNews {
    /// The provider's id of the event; it counts once.
    pub event_id: String,
    /// The provider's name for its kind.
    pub type_name: String,
    /// When it happened, by the provider's clock.
    pub occurred_at: Timestamp,
    /// Our reference of the payment or parcel, as the provider reports it.
    pub reference: String,
    /// Our idempotency key of the charge or booking, as the provider reports it; may be empty.
    pub idempotency_key: String,
    /// Its content.
    pub kind: NewsKind,
}

impl ProviderNews {
    /// An event as an honest provider sends it for this order: with the right key.
    #[must_use]
    pub fn honest(event_id: &str, order_id: OrderId, kind: NewsKind, occurred_at: Timestamp) -> Self {
        let idempotency_key = match kind.told_by() {
            Some(Provider::Payments) => format!("pay-{order_id}"),
            Some(Provider::Shipping) => format!("ship-{order_id}"),
            None => String::new(),
        };
        Self {
            event_id: event_id.to_owned(),
            type_name: kind.type_name().to_owned(),
            occurred_at,
            reference: order_id.to_string(),
            idempotency_key,
            kind,
        }
    }

    /// Its content in one line for a person.
    #[must_use]
    pub fn in_words(&self) -> String {
        let told = match &self.kind {
            NewsKind::PaymentCaptured { amount, reference } => format!("{amount} captured as {reference}"),
            NewsKind::PaymentDeclined { code } => format!("declined: {code}"),
            NewsKind::PaymentLapsed { code } => format!("nothing is taken any more: {code}"),
            NewsKind::PaymentRefunded { amount, total: None, reference } => {
                format!("{amount} of {reference} given back")
            }
            NewsKind::PaymentRefunded { amount, total: Some(total), reference } => {
                format!("{amount} of {reference} given back, {total} in all")
            }
            NewsKind::PaymentDisputed { dispute, reference } => {
                format!("dispute of {}: {dispute}", reference.as_deref().unwrap_or("the charge"))
            }
            NewsKind::ShipmentInTransit { tracking_number } => format!("{tracking_number} is on its way"),
            NewsKind::ShipmentDelivered { tracking_number } => format!("{tracking_number} was delivered"),
            NewsKind::ShipmentTroubled { trouble, tracking_number } => {
                format!("{tracking_number}: {trouble}")
            }
            NewsKind::Unknown { told } => format!("a kind of event that this version does not know: {told}"),
            NewsKind::Malformed { told } => format!("without what such an event must tell: {told}"),
        };
        format!("{} ({}): {told}", self.type_name, self.event_id)
    }
}

/// Why an event belongs to no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mismatch {
    /// Its reference is not an order id.
    UnreadableReference,
    /// The order does not exist, or nothing was requested from this provider for it.
    UnknownOrder,
    /// Its key is not the key of this order's payment or parcel.
    AnotherKey,
    /// Its tracking number is not the one of this order's parcel.
    AnotherParcel,
    /// It came to the other provider's address.
    WrongProvider,
    /// Its kind is unknown.
    UnknownKind,
    /// Its kind is known, but its data is incomplete.
    Malformed,
}

named!(Mismatch:
    UnreadableReference = "unreadable_reference",
    UnknownOrder = "unknown_order",
    AnotherKey = "another_key",
    AnotherParcel = "another_parcel",
    WrongProvider = "wrong_provider",
    UnknownKind = "unknown_kind",
    Malformed = "malformed",
);

/// An event that belongs to no order of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmatchedEvent {
    /// The provider.
    pub provider: Provider,
    /// The event.
    pub news: ProviderNews,
    /// Why it belongs to no order.
    pub mismatch: Mismatch,
}

/// Events that belong to no order, within a unit of work.
#[async_trait]
pub trait UnmatchedRepository: Send {
    /// Adds events; an existing one stays as it is.
    async fn keep(&mut self, events: &[UnmatchedEvent], at: Timestamp) -> Result<(), Fault>;

    /// An event with its provider, as it was told; none if there is no such event. Locked until the unit ends.
    async fn get(&mut self, position: i64) -> Result<Option<(Provider, ProviderNews)>, Fault>;

    /// Marks an event as seen by a person; returns whether it existed and was not seen before.
    async fn mark_seen(
        &mut self,
        position: i64,
        actor: &str,
        note: &str,
        at: Timestamp,
    ) -> Result<Seen, Fault>;
}

/// The result of marking an event as seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is marked.
    Now,
    /// It was marked before.
    Before,
    /// There is no such event.
    NotFound,
}

/// An unmatched event, as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnmatchedView {
    /// Its place in the list.
    pub position: i64,
    /// `payments` or `shipping`.
    pub provider: String,
    /// The provider's id of the event.
    pub event_id: String,
    /// The provider's name for its kind.
    pub kind: String,
    /// Why it belongs to no order.
    pub reason: String,
    /// The order reference, as the provider reports it.
    pub reference: String,
    /// The key, as the provider reports it.
    pub idempotency_key: String,
    /// Its content as text.
    pub detail: String,
    /// When it happened, by the provider's clock.
    pub occurred_at: Timestamp,
    /// When we received it.
    pub received_at: Timestamp,
    /// When a person marked it as seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// Who did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_by: Option<String>,
    /// Their note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A filter for unmatched events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnmatchedFilter {
    /// Only those of this provider.
    pub provider: Option<Provider>,
    /// Whether seen events are included.
    pub which: Which,
    /// Only those after this position.
    pub after: Option<i64>,
}

/// Seen events or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Those not seen yet.
    #[default]
    Unseen,
    /// All of them.
    All,
}
