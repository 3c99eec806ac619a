//! What providers tell by webhook, in words of no particular provider. One event that makes no sense does not take the
//! others of its batch with it.

use std::borrow::Cow;
use std::fmt;

use domain::text::Lines;
use domain::{Currency, Money};
use jiff::Timestamp;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::json_text::{Form, harmless};
use crate::providers::limits;

/// How the texts of a webhook may be; one that is too long is refused by itself.
const TEXTS: Form = Form { lines: Lines::One, chars_max: usize::MAX };

/// Something that happened at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderEvent {
    /// The provider's id of the event: the same event sent twice has the same id.
    pub id: String,
    /// When it happened, by the provider's clock.
    pub occurred_at: Timestamp,
    /// Our name for what was paid or shipped.
    pub reference: String,
    /// Our idempotency key of the charge or booking.
    pub idempotency_key: String,
    /// What happened.
    pub news: News,
}

/// What happened at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The money is ours.
    PaymentCaptured {
        /// The gateway's name for the charge.
        charge_reference: String,
        /// How much.
        amount: Money,
    },
    /// No money, and none to come under this key.
    PaymentDeclined {
        /// The gateway's reason.
        code: String,
    },
    /// Money went back.
    PaymentRefunded {
        /// The gateway's name for the charge.
        charge_reference: String,
        /// How much, this time.
        amount: Money,
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
    /// News of a type that means nothing to us.
    Unknown {
        /// The type.
        kind: String,
    },
    /// News of a type that we know, without what that type must tell.
    Malformed {
        /// The type.
        kind: String,
    },
}

/// Why a whole batch is not taken.
#[derive(Debug, Error)]
pub enum BatchRefused {
    /// It is not a list of events.
    #[error("not a batch of events: {0}")]
    Malformed(serde_json::Error),
    /// It has more events than are taken at once.
    #[error("more than {events_max} events in one batch")]
    TooMany {
        /// How many are.
        events_max: usize,
    },
}

/// Reads the body of a webhook.
///
/// # Errors
/// A body that is no batch of events, or of too many.
pub fn parse_batch(body: &[u8]) -> Result<Vec<ProviderEvent>, BatchRefused> {
    let body = harmless(body, TEXTS);
    let Batch { events: Events { taken, surplus } } =
        serde_json::from_slice(&body).map_err(BatchRefused::Malformed)?;
    match surplus {
        Surplus::None => Ok(taken),
        Surplus::Some => Err(BatchRefused::TooMany { events_max: limits::EVENTS_PER_BATCH_MAX }),
    }
}

#[derive(Deserialize)]
struct Batch {
    events: Events,
}

/// Keeps no more events than the bound, however many there are.
struct Events {
    taken: Vec<ProviderEvent>,
    surplus: Surplus,
}

enum Surplus {
    None,
    Some,
}

#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    /// Unix time in microseconds.
    created_at: i64,
    /// Read by itself, so that what is wrong with it stays with this event.
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct WireData<'a> {
    #[serde(borrow, default)]
    reference: Option<Text<'a>>,
    #[serde(borrow, default)]
    idempotency_key: Option<Text<'a>>,
    #[serde(borrow, default)]
    charge_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    tracking_number: Option<Text<'a>>,
    #[serde(default)]
    amount_minor: Option<i64>,
    #[serde(borrow, default)]
    currency: Option<Text<'a>>,
    #[serde(borrow, default)]
    code: Option<Text<'a>>,
}

/// A text of bounded length.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Events {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EventsVisitor)
    }
}

struct EventsVisitor;

impl<'de> Visitor<'de> for EventsVisitor {
    type Value = Events;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Events, A::Error> {
        let mut events = Events { taken: Vec::new(), surplus: Surplus::None };
        while let Some(event) = sequence.next_element::<WireEvent<'de>>()? {
            if events.taken.len() == limits::EVENTS_PER_BATCH_MAX {
                events.surplus = Surplus::Some;
            } else {
                events.taken.push(event.into());
            }
        }
        Ok(events)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = borrowed(deserializer)?;
        if text.len() > limits::EVENT_TEXT_CHARS_MAX {
            return Err(serde::de::Error::custom("a text is too long"));
        }
        Ok(Self(text))
    }
}

fn borrowed<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'a, str>, D::Error> {
    #[derive(Deserialize)]
    struct Borrowed<'b>(#[serde(borrow)] Cow<'b, str>);
    Borrowed::deserialize(deserializer).map(|text| text.0)
}

impl From<WireEvent<'_>> for ProviderEvent {
    fn from(event: WireEvent<'_>) -> Self {
        let data = event.data.and_then(|data| serde_json::from_str::<WireData<'_>>(data.get()).ok());
        let data = data.unwrap_or_default();
        let occurred_at = Timestamp::from_microsecond(event.created_at).ok();
        Self {
            id: event.id.into_string(),
            occurred_at: occurred_at.unwrap_or(Timestamp::UNIX_EPOCH),
            reference: data.reference.as_ref().map(Text::to_text).unwrap_or_default(),
            idempotency_key: data.idempotency_key.as_ref().map(Text::to_text).unwrap_or_default(),
            news: match occurred_at {
                Some(_) => data.news(&event.kind.0),
                None => News::Malformed { kind: event.kind.into_string() },
            },
        }
    }
}

impl WireData<'_> {
    fn news(self, kind: &str) -> News {
        let named = self.idempotency_key.is_some();
        let news = match kind {
            "payment.captured" => self.captured(),
            "payment.refunded" => self.refunded(),
            "payment.declined" => Some(self.declined()),
            "shipment.in_transit" => {
                self.tracked().map(|tracking_number| News::ShipmentInTransit { tracking_number })
            }
            "shipment.delivered" => {
                self.tracked().map(|tracking_number| News::ShipmentDelivered { tracking_number })
            }
            _ => return News::Unknown { kind: kind.to_owned() },
        };
        news.filter(|_| named).unwrap_or_else(|| News::Malformed { kind: kind.to_owned() })
    }

    fn captured(self) -> Option<News> {
        let amount = self.amount()?;
        Some(News::PaymentCaptured { charge_reference: self.charge_id?.into_string(), amount })
    }

    fn refunded(self) -> Option<News> {
        let amount = self.amount()?;
        Some(News::PaymentRefunded { charge_reference: self.charge_id?.into_string(), amount })
    }

    fn declined(self) -> News {
        News::PaymentDeclined { code: self.code.map_or_else(|| "declined".to_owned(), Text::into_string) }
    }

    fn tracked(self) -> Option<String> {
        self.tracking_number.map(Text::into_string)
    }

    fn amount(&self) -> Option<Money> {
        let currency = Currency::parse(&self.currency.as_ref()?.0).ok()?;
        self.amount_minor.filter(|minor| *minor > 0).map(|minor| Money::new(minor, currency))
    }
}

impl Text<'_> {
    fn to_text(&self) -> String {
        self.0.clone().into_owned()
    }

    fn into_string(self) -> String {
        self.0.into_owned()
    }
}

#[cfg(test)]
mod tests;
