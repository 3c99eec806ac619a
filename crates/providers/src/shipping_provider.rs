//! The shipping provider over HTTP. Turns the provider's words into outcomes and adds none of its own.

use std::borrow::Cow;
use std::sync::Arc;

use application::messages::Amount;
use application::order_details::{Address, Contact};
use application::ports::{
    BookingOutcome, BookingRequest, ParcelItem, ShipmentCancelOutcome, ShippingProvider, TrackingOutcome,
    Unanswered,
};
use application::shipping_facts::ShippingFactsView;
use async_trait::async_trait;
use bus::{BreakerState, Clock};
use http::Uri;
use serde::{Deserialize, Serialize};

use super::address::InvalidAddress;
use super::answer::{Refusal, same, unknown};
use super::client::{Call, ProviderClient};
use super::settings::ProviderSettings;

const BY_KEY: &str = "/shipments/by-key/";
const ALREADY_HANDED_OVER: &str = "already_handed_over";

/// A shipping provider that is reached over HTTP.
pub struct HttpShippingProvider {
    client: ProviderClient,
    shipments: Uri,
}

#[derive(Serialize)]
struct BookingBody<'a> {
    reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<&'a Contact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_g: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<ItemBody<'a>>,
}

#[derive(Serialize)]
struct ItemBody<'a> {
    sku: &'a str,
    name: &'a str,
    quantity: i64,
    unit_price: Amount,
    #[serde(flatten)]
    shipping: ShippingFactsView,
}

#[derive(Deserialize)]
struct ShipmentAnswer<'a> {
    #[serde(borrow, default)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reference: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tracking_number: Cow<'a, str>,
    #[serde(borrow)]
    carrier: Cow<'a, str>,
    status: ShipmentStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ShipmentStatus {
    Booked,
    Rejected,
    InTransit,
    Delivered,
    Cancelled,
}

#[derive(Deserialize)]
struct CancelAnswer {
    /// Read to be sure that it is this answer.
    #[serde(rename = "outcome")]
    _outcome: CancelWord,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CancelWord {
    Cancelled,
}

impl HttpShippingProvider {
    /// A provider at the address that the settings name. Connects when first called.
    ///
    /// # Errors
    /// An address that is none.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "settings belong to the one adapter they were made for"
    )]
    pub fn new(settings: ProviderSettings, clock: Arc<dyn Clock>) -> Result<Self, InvalidAddress> {
        let client = ProviderClient::new(&settings, clock)?;
        Ok(Self { shipments: client.address.target("/shipments"), client })
    }

    /// Whether the provider is being called, rested or probed.
    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        self.client.breaker_state()
    }
}

#[async_trait]
impl ShippingProvider for HttpShippingProvider {
    async fn create_shipment(&self, request: &BookingRequest) -> Result<BookingOutcome, Unanswered> {
        let BookingRequest { key: _, reference, address, contact, items } = request;
        let body = BookingBody {
            reference,
            address: address.as_ref(),
            contact: contact.as_ref(),
            weight_g: request.weight_g(),
            items: items.iter().map(ItemBody::from).collect(),
        };
        let call = Call::post_json(self.shipments.clone(), &body).under(&request.key)?;
        let answer = self.client.make(call).await?;
        Ok(match answer.verdict::<ShipmentAnswer<'_>>()? {
            Ok(shipment) => {
                same("reference", shipment.reference.as_deref(), request.reference.as_str())?;
                shipment.under(&request.key)?.into()
            }
            Err(Refusal::KeyClosed) => BookingOutcome::Closed,
            Err(Refusal::UnknownKey) => BookingOutcome::Refused { code: "unknown_key".to_owned() },
            Err(Refusal::Refused { code }) => BookingOutcome::Refused { code },
        })
    }

    async fn look_up(&self, key: &str) -> Result<TrackingOutcome, Unanswered> {
        let call = Call::get(self.client.address.keyed(BY_KEY, key, ""));
        let answer = self.client.make(call).await?;
        match answer.verdict::<ShipmentAnswer<'_>>()? {
            Ok(shipment) => shipment.under(key).map(TrackingOutcome::from),
            Err(Refusal::UnknownKey) => Ok(TrackingOutcome::UnknownKey),
            Err(Refusal::KeyClosed) => Ok(TrackingOutcome::Cancelled),
            // A question that is refused says nothing about the parcel.
            Err(Refusal::Refused { code }) => Err(unknown(code)),
        }
    }

    async fn cancel(&self, key: &str) -> Result<ShipmentCancelOutcome, Unanswered> {
        let call = Call::post(self.client.address.keyed(BY_KEY, key, "/cancel"));
        let answer = self.client.make(call).await?;
        match answer.verdict::<CancelAnswer>()? {
            Ok(_) => Ok(ShipmentCancelOutcome::Cancelled),
            Err(Refusal::Refused { code }) if code == ALREADY_HANDED_OVER => {
                Ok(ShipmentCancelOutcome::AlreadyHandedOver)
            }
            Err(refusal) => Err(refusal.into()),
        }
    }
}

impl<'a> From<&'a ParcelItem> for ItemBody<'a> {
    fn from(item: &'a ParcelItem) -> Self {
        let ParcelItem { sku, name, quantity, unit_price, shipping } = item;
        let (unit_price, shipping) = ((*unit_price).into(), shipping.clone().into());
        Self { sku: sku.as_str(), name, quantity: *quantity, unit_price, shipping }
    }
}

impl ShipmentAnswer<'_> {
    /// The answer, if it is about this key; one that names none is.
    fn under(self, key: &str) -> Result<Self, Unanswered> {
        same("key", self.key.as_deref(), key)?;
        Ok(self)
    }
}

impl From<ShipmentAnswer<'_>> for BookingOutcome {
    fn from(shipment: ShipmentAnswer<'_>) -> Self {
        match shipment.status {
            ShipmentStatus::Booked | ShipmentStatus::InTransit | ShipmentStatus::Delivered => Self::Booked {
                tracking_number: shipment.tracking_number.into_owned(),
                carrier: shipment.carrier.into_owned(),
            },
            ShipmentStatus::Rejected => Self::Refused { code: "rejected".to_owned() },
            ShipmentStatus::Cancelled => Self::Closed,
        }
    }
}

impl From<ShipmentAnswer<'_>> for TrackingOutcome {
    fn from(shipment: ShipmentAnswer<'_>) -> Self {
        let tracking_number = shipment.tracking_number.into_owned();
        let carrier = shipment.carrier.into_owned();
        match shipment.status {
            ShipmentStatus::Booked | ShipmentStatus::InTransit => Self::Booked { tracking_number, carrier },
            ShipmentStatus::Delivered => Self::Delivered { tracking_number, carrier },
            ShipmentStatus::Cancelled => Self::Cancelled,
            // There is no parcel; another booking under the key gets the reason.
            ShipmentStatus::Rejected => Self::UnknownKey,
        }
    }
}
