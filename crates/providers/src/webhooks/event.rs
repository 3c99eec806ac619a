//! What providers tell by webhook, as the use cases know it. One event that makes no sense does not take the others of its
//! batch with it, and is handed on as what it is: nothing that a provider tells is dropped here.

use std::borrow::Cow;
use std::fmt;

use application::json_text::{Form, harmless};
use application::ports::{NewsKind, ParcelTrouble, ProviderNews};
use domain::text::{Lines, clean};
use domain::{Currency, Dispute, Money};
use jiff::Timestamp;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::limits;

/// How the texts of a webhook may be; one that is too long is refused by itself.
const TEXTS: Form = Form { lines: Lines::One, chars_max: usize::MAX };

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
pub fn parse_batch(body: &[u8]) -> Result<Vec<ProviderNews>, BatchRefused> {
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
    taken: Vec<ProviderNews>,
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

/// What can be told of an event that is not one.
#[derive(Deserialize, Default)]
struct LooseEvent<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
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
    /// What was refunded in all, this refund included.
    #[serde(default)]
    refunded_minor: Option<i64>,
    #[serde(borrow, default)]
    code: Option<Text<'a>>,
    /// How a dispute ended.
    #[serde(borrow, default)]
    outcome: Option<Text<'a>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
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
        while let Some(event) = sequence.next_element::<&'de RawValue>()? {
            if events.taken.len() == limits::EVENTS_PER_BATCH_MAX {
                events.surplus = Surplus::Some;
            } else {
                events.taken.push(read(event.get()));
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

/// One event, whatever it is: what cannot be read as one is handed on as malformed, under a name of its own.
fn read(raw: &str) -> ProviderNews {
    if let Ok(event) = serde_json::from_str::<WireEvent<'_>>(raw) {
        return event.into();
    }
    let loose: LooseEvent<'_> = serde_json::from_str(raw).unwrap_or_default();
    let data: WireData<'_> =
        loose.data.map(RawValue::get).and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default();
    let named = |text: Option<&RawValue>| text.map(|text| excerpt(text.get().trim_matches('"')));
    ProviderNews {
        event_id: named(loose.id).unwrap_or_else(|| format!("unnamed-{:016x}", fingerprint(raw))),
        type_name: named(loose.kind).unwrap_or_else(|| "unknown".to_owned()),
        occurred_at: Timestamp::UNIX_EPOCH,
        reference: data.reference.as_ref().map(Text::to_text).unwrap_or_default(),
        idempotency_key: data.idempotency_key.as_ref().map(Text::to_text).unwrap_or_default(),
        kind: NewsKind::Malformed { told: excerpt(raw) },
    }
}

/// FNV-1a: the same for the same event whenever and wherever it is read.
fn fingerprint(raw: &str) -> u64 {
    raw.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl From<WireEvent<'_>> for ProviderNews {
    fn from(event: WireEvent<'_>) -> Self {
        let raw = event.data.map(RawValue::get).unwrap_or_default();
        let data: WireData<'_> = serde_json::from_str(raw).unwrap_or_default();
        let occurred_at = Timestamp::from_microsecond(event.created_at).ok();
        Self {
            event_id: event.id.into_string(),
            occurred_at: occurred_at.unwrap_or(Timestamp::UNIX_EPOCH),
            reference: data.reference.as_ref().map(Text::to_text).unwrap_or_default(),
            idempotency_key: data.idempotency_key.as_ref().map(Text::to_text).unwrap_or_default(),
            kind: match occurred_at {
                Some(_) => data.kind(&event.kind.0, raw),
                None => NewsKind::Malformed { told: excerpt(raw) },
            },
            type_name: event.kind.into_string(),
        }
    }
}

/// The beginning of an unknown event, enough for a person to look it up.
fn excerpt(raw: &str) -> String {
    clean(raw, Lines::One, limits::EVENT_EXCERPT_CHARS_MAX).into_owned()
}

impl WireData<'_> {
    /// Providers and their versions word the same thing differently; all of these words are taken.
    fn kind(self, type_name: &str, raw: &str) -> NewsKind {
        let word = type_name.to_ascii_lowercase().replace(['-', ' '], "_");
        let known = match word.as_str() {
            "payment.captured" | "payment.succeeded" => self.captured(),
            "payment.declined" | "payment.failed" => self.declined(),
            "payment.expired" | "payment.authorisation_expired" | "payment.authorization_expired" => {
                self.lapsed("expired")
            }
            "payment.voided" | "payment.cancelled" | "payment.canceled" => self.lapsed("voided"),
            "payment.refunded"
            | "payment.refund"
            | "payment.refund.created"
            | "payment.refund.succeeded"
            | "payment.partially_refunded"
            | "payment.partly_refunded" => self.refunded(),
            "payment.disputed"
            | "payment.chargeback"
            | "payment.dispute_opened"
            | "payment.dispute_created"
            | "payment.dispute.opened"
            | "payment.dispute.created" => self.disputed(Dispute::Open),
            "payment.dispute_won" | "payment.dispute.won" => self.disputed(Dispute::Won),
            "payment.dispute_lost" | "payment.dispute.lost" => self.disputed(Dispute::Lost),
            "payment.dispute_closed" | "payment.dispute.closed" => self.dispute_closed(),
            "shipment.in_transit"
            | "shipment.shipped"
            | "shipment.picked_up"
            | "shipment.out_for_delivery" => {
                self.tracked().map(|tracking_number| NewsKind::ShipmentInTransit { tracking_number })
            }
            "shipment.delivered" => {
                self.tracked().map(|tracking_number| NewsKind::ShipmentDelivered { tracking_number })
            }
            "shipment.exception"
            | "shipment.failure"
            | "shipment.delivery_failed"
            | "shipment.delivery_attempted"
            | "shipment.attempted_delivery"
            | "shipment.held"
            | "shipment.delayed" => self.troubled(ParcelTrouble::Exception),
            "shipment.lost" => self.troubled(ParcelTrouble::Lost),
            "shipment.damaged" => self.troubled(ParcelTrouble::Damaged),
            "shipment.returned"
            | "shipment.returning"
            | "shipment.return_to_sender"
            | "shipment.returned_to_sender"
            | "shipment.refused"
            | "shipment.rejected" => self.troubled(ParcelTrouble::Returned),
            _ => return NewsKind::Unknown { told: excerpt(raw) },
        };
        known.unwrap_or_else(|| NewsKind::Malformed { told: excerpt(raw) })
    }

    fn captured(self) -> Option<NewsKind> {
        let amount = self.amount()?;
        Some(NewsKind::PaymentCaptured { reference: self.charge()?, amount })
    }

    fn refunded(self) -> Option<NewsKind> {
        let amount = self.amount()?;
        let total = self.refunded_minor.filter(|minor| *minor > 0);
        let total = total.map(|minor| Money::new(minor, amount.currency));
        Some(NewsKind::PaymentRefunded { reference: self.charge()?, amount, total })
    }

    fn declined(self) -> Option<NewsKind> {
        self.idempotency_key.as_ref()?;
        Some(NewsKind::PaymentDeclined {
            code: self.code.map_or_else(|| "declined".to_owned(), Text::into_string),
        })
    }

    fn lapsed(self, code: &str) -> Option<NewsKind> {
        self.idempotency_key.as_ref()?;
        Some(NewsKind::PaymentLapsed { code: code.to_owned() })
    }

    fn disputed(self, dispute: Dispute) -> Option<NewsKind> {
        self.idempotency_key.as_ref()?;
        Some(NewsKind::PaymentDisputed { dispute, reference: self.charge_id.map(Text::into_string) })
    }

    fn dispute_closed(self) -> Option<NewsKind> {
        let ended = self.outcome.as_ref().or(self.status.as_ref())?.0.parse().ok()?;
        self.disputed(ended)
    }

    fn troubled(self, trouble: ParcelTrouble) -> Option<NewsKind> {
        self.tracked().map(|tracking_number| NewsKind::ShipmentTroubled { trouble, tracking_number })
    }

    /// News of money names its key: without it, it cannot be told whose money it is.
    fn charge(self) -> Option<String> {
        self.idempotency_key.as_ref()?;
        self.charge_id.map(Text::into_string)
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
