//! An event of a provider as it is stored, whole, so that it can be taken once more.

use bus::Fault;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{NewsKind, ProviderNews};
use crate::amount::Amount;

#[derive(Serialize, Deserialize)]
struct Stored {
    event_id: String,
    type_name: String,
    occurred_at: Timestamp,
    reference: String,
    idempotency_key: String,
    told: Told,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    PaymentCaptured { amount: Amount, reference: String },
    PaymentDeclined { code: String },
    PaymentLapsed { code: String },
    PaymentRefunded { amount: Amount, total: Option<Amount>, reference: String },
    PaymentDisputed { dispute: String, reference: Option<String> },
    ShipmentInTransit { tracking_number: String },
    ShipmentDelivered { tracking_number: String },
    ShipmentTroubled { trouble: String, tracking_number: String },
    Unknown { told: String },
    Malformed { told: String },
}

impl From<NewsKind> for Told {
    fn from(kind: NewsKind) -> Self {
        match kind {
            NewsKind::PaymentCaptured { amount, reference } => {
                Self::PaymentCaptured { amount: amount.into(), reference }
            }
            NewsKind::PaymentDeclined { code } => Self::PaymentDeclined { code },
            NewsKind::PaymentLapsed { code } => Self::PaymentLapsed { code },
            NewsKind::PaymentRefunded { amount, total, reference } => {
                Self::PaymentRefunded { amount: amount.into(), total: total.map(Amount::from), reference }
            }
            NewsKind::PaymentDisputed { dispute, reference } => {
                Self::PaymentDisputed { dispute: dispute.to_string(), reference }
            }
            NewsKind::ShipmentInTransit { tracking_number } => Self::ShipmentInTransit { tracking_number },
            NewsKind::ShipmentDelivered { tracking_number } => Self::ShipmentDelivered { tracking_number },
            NewsKind::ShipmentTroubled { trouble, tracking_number } => {
                Self::ShipmentTroubled { trouble: trouble.to_string(), tracking_number }
            }
            NewsKind::Unknown { told } => Self::Unknown { told },
            NewsKind::Malformed { told } => Self::Malformed { told },
        }
    }
}

impl TryFrom<Told> for NewsKind {
    type Error = Fault;

    fn try_from(told: Told) -> Result<Self, Fault> {
        let unknown = |error: domain::UnknownName| unreadable(&error);
        Ok(match told {
            Told::PaymentCaptured { amount, reference } => {
                Self::PaymentCaptured { amount: amount.money()?, reference }
            }
            Told::PaymentDeclined { code } => Self::PaymentDeclined { code },
            Told::PaymentLapsed { code } => Self::PaymentLapsed { code },
            Told::PaymentRefunded { amount, total, reference } => {
                let total = total.map(|total| total.money()).transpose()?;
                Self::PaymentRefunded { amount: amount.money()?, total, reference }
            }
            Told::PaymentDisputed { dispute, reference } => {
                Self::PaymentDisputed { dispute: dispute.parse().map_err(unknown)?, reference }
            }
            Told::ShipmentInTransit { tracking_number } => Self::ShipmentInTransit { tracking_number },
            Told::ShipmentDelivered { tracking_number } => Self::ShipmentDelivered { tracking_number },
            Told::ShipmentTroubled { trouble, tracking_number } => {
                Self::ShipmentTroubled { trouble: trouble.parse().map_err(unknown)?, tracking_number }
            }
            Told::Unknown { told } => Self::Unknown { told },
            Told::Malformed { told } => Self::Malformed { told },
        })
    }
}

fn unreadable(why: &dyn std::fmt::Display) -> Fault {
    Fault::give_up("unmatched.read", format!("a stored event cannot be read: {why}"))
}

impl ProviderNews {
    /// The event as a text to store.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let Self { event_id, type_name, occurred_at, reference, idempotency_key, kind } = self.clone();
        let told = kind.into();
        let stored = Stored { event_id, type_name, occurred_at, reference, idempotency_key, told };
        serde_json::to_string(&stored).unwrap_or_default()
    }

    /// The event of such a text.
    ///
    /// # Errors
    /// [`bus::Verdict::GiveUp`] for another text.
    pub fn of_stored(text: &str) -> Result<Self, Fault> {
        let stored: Stored = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
        let Stored { event_id, type_name, occurred_at, reference, idempotency_key, told } = stored;
        Ok(Self { event_id, type_name, occurred_at, reference, idempotency_key, kind: told.try_into()? })
    }
}

#[cfg(test)]
mod tests {
    use domain::{Currency, Dispute, Money, OrderId, ParcelTrouble};

    use super::*;

    #[test]
    fn an_event_of_each_kind_is_read_as_it_was_stored() {
        let (amount, text) = (Money::new(1_250, Currency::parse("EUR").expect("euros")), || "x-1".to_owned());
        let kinds = [
            NewsKind::PaymentCaptured { amount, reference: text() },
            NewsKind::PaymentDeclined { code: text() },
            NewsKind::PaymentLapsed { code: text() },
            NewsKind::PaymentRefunded { amount, total: None, reference: text() },
            NewsKind::PaymentRefunded { amount, total: Some(amount), reference: text() },
            NewsKind::PaymentDisputed { dispute: Dispute::Lost, reference: Some(text()) },
            NewsKind::ShipmentInTransit { tracking_number: text() },
            NewsKind::ShipmentDelivered { tracking_number: text() },
            NewsKind::ShipmentTroubled { trouble: ParcelTrouble::Damaged, tracking_number: text() },
            NewsKind::Unknown { told: text() },
            NewsKind::Malformed { told: text() },
        ];
        for kind in kinds {
            let order_id = OrderId(uuid::Uuid::from_u128(7));
            let news = ProviderNews::honest("evt-1", order_id, kind, Timestamp::UNIX_EPOCH);
            assert_eq!(ProviderNews::of_stored(&news.to_stored()).expect("it was stored"), news);
        }
        assert!(ProviderNews::of_stored("{}").is_err());
    }
}
