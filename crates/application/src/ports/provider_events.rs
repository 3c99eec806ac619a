//! What providers tell without being asked, in words of no particular provider, and what is kept of those events that belong
//! to no order of ours. The adapters make these; nobody else gives them meaning.

use async_trait::async_trait;
use bus::Fault;
use domain::{Money, OrderId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::saga::named;

/// Which provider tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// The payment gateway.
    Payments,
    /// The shipping provider.
    Shipping,
}

named!(Provider: Payments = "payments", Shipping = "shipping");

/// What a provider has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewsKind {
    /// The gateway has the money.
    PaymentCaptured {
        /// How much.
        amount: Money,
        /// The gateway's name for the charge.
        reference: String,
    },
    /// The gateway refuses for good, or what it held has lapsed.
    PaymentDeclined {
        /// Its reason.
        code: String,
    },
    /// Money went back.
    PaymentRefunded {
        /// How much, this time.
        amount: Money,
        /// How much in all, if it tells.
        total: Option<Money>,
        /// The gateway's name for the charge.
        reference: String,
    },
    /// The customer's bank disputes a charge, or has decided about it.
    PaymentDisputed {
        /// Where the dispute stands.
        dispute: domain::Dispute,
        /// The gateway's name for the charge, if it tells.
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
    /// The parcel is in trouble.
    ShipmentTroubled {
        /// What kind of trouble.
        trouble: ParcelTrouble,
        /// The carrier's name for the parcel.
        tracking_number: String,
    },
    /// Something of a kind that nobody here knows.
    Unknown {
        /// What it told, shortened.
        told: String,
    },
    /// Something of a kind that is known, without what that kind must tell.
    Malformed {
        /// What it told, shortened.
        told: String,
    },
}

/// What may befall a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParcelTrouble {
    /// It cannot be delivered for now: an exception, a failed attempt, held somewhere.
    Exception,
    /// It is lost.
    Lost,
    /// It is damaged.
    Damaged,
    /// It comes back, or is back.
    Returned,
}

named!(ParcelTrouble: Exception = "exception", Lost = "lost", Damaged = "damaged", Returned = "returned");

impl NewsKind {
    /// The word of our own sandbox for it.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::PaymentCaptured { .. } => "payment.captured",
            Self::PaymentDeclined { .. } => "payment.declined",
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

    /// Whose news it is; none if nobody knows.
    #[must_use]
    pub const fn told_by(&self) -> Option<Provider> {
        match self {
            Self::PaymentCaptured { .. }
            | Self::PaymentDeclined { .. }
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
    /// The provider's id of the event; seen twice, it counts once.
    pub event_id: String,
    /// The provider's word for what it is.
    pub type_name: String,
    /// When it happened, by the provider's clock.
    pub occurred_at: Timestamp,
    /// Our name for what was paid or shipped, as the provider tells it.
    pub reference: String,
    /// Our idempotency key of the charge or booking, as the provider tells it; may be empty.
    pub idempotency_key: String,
    /// What it tells.
    pub kind: NewsKind,
}

impl ProviderNews {
    /// An event as an honest provider tells it of this order: with the key under which it was paid or shipped.
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

    /// What it tells, in one line for a person.
    #[must_use]
    pub fn in_words(&self) -> String {
        let told = match &self.kind {
            NewsKind::PaymentCaptured { amount, reference } => format!("{amount} captured as {reference}"),
            NewsKind::PaymentDeclined { code } => format!("declined: {code}"),
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
    /// Its reference is no id of an order.
    UnreadableReference,
    /// No such order, or nothing was asked of this provider for it.
    UnknownOrder,
    /// Its key is not the one under which this order was paid or shipped.
    AnotherKey,
    /// Its tracking number is not that of this order's parcel.
    AnotherParcel,
    /// It came to the address of the other provider.
    WrongProvider,
    /// A kind of event that is not known.
    UnknownKind,
    /// A known kind without what it must tell.
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
    /// Whose it is.
    pub provider: Provider,
    /// The event.
    pub news: ProviderNews,
    /// Why it belongs to no order.
    pub mismatch: Mismatch,
}

/// Events that belong to no order, within a unit of work.
#[async_trait]
pub trait UnmatchedRepository: Send {
    /// Adds events; one that is there already stays as it is.
    async fn keep(&mut self, events: &[UnmatchedEvent], at: Timestamp) -> Result<(), Fault>;

    /// Notes that a person has seen to this one; tells whether it was there and not seen to before.
    async fn mark_seen(
        &mut self,
        position: i64,
        actor: &str,
        note: &str,
        at: Timestamp,
    ) -> Result<Seen, Fault>;
}

/// What became of the wish to mark an event as seen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is.
    Now,
    /// It was before.
    Before,
    /// There is no such event.
    NotFound,
}

/// An event that belongs to no order, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnmatchedView {
    /// Its place in the list.
    pub position: i64,
    /// `payments` or `shipping`.
    pub provider: String,
    /// The provider's id of the event.
    pub event_id: String,
    /// The provider's word for what it is.
    pub kind: String,
    /// Why it belongs to no order.
    pub reason: String,
    /// Whose it is, as the provider says.
    pub reference: String,
    /// Under which key, as the provider says.
    pub idempotency_key: String,
    /// What it tells, in words.
    pub detail: String,
    /// When it happened, by the provider's clock.
    pub occurred_at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
    /// When a person saw to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// Who that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_by: Option<String>,
    /// What they said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Which unmatched events are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnmatchedFilter {
    /// Only those of this provider.
    pub provider: Option<Provider>,
    /// Whether those that were seen to are meant too.
    pub which: Which,
    /// Only those after this position.
    pub after: Option<i64>,
}

/// Which of the unmatched events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Those that nobody has seen to.
    #[default]
    Unseen,
    /// All of them.
    All,
}
