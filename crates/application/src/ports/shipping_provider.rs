//! The shipping provider: the authority on parcels, keyed by our idempotency keys.

use async_trait::async_trait;
use domain::{Money, ShippingFacts, Sku};

use super::Unanswered;
use crate::order_details::{Address, Contact};

/// A parcel to be shipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BookingRequest {
    /// Our idempotency key.
    pub key: String,
    /// Our reference of the parcel.
    pub reference: String,
    /// Where it goes, if the order says so.
    pub address: Option<Address>,
    /// Whom the carrier may reach about it.
    pub contact: Option<Contact>,
    /// What is in it, if the order says where it goes.
    pub items: Vec<ParcelItem>,
}

impl BookingRequest {
    /// What it weighs in grams, if that is known of everything in it.
    #[must_use]
    pub fn weight_g(&self) -> Option<i64> {
        let weigh = |item: &ParcelItem| item.shipping.weight_g?.checked_mul(item.quantity);
        let all = self.items.iter().try_fold(0_i64, |sum, item| sum.checked_add(weigh(item)?));
        all.filter(|_| !self.items.is_empty())
    }
}

/// So many of one product in a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParcelItem {
    /// The product.
    pub sku: Sku,
    /// What it is called.
    pub name: String,
    /// How many.
    pub quantity: i64,
    /// What one was sold for.
    pub unit_price: Money,
    /// What is known of one.
    pub shipping: ShippingFacts,
}

/// The provider's answer to a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BookingOutcome {
    /// Booked.
    Booked {
        /// Their name for the parcel.
        tracking_number: String,
        /// Who carries it.
        carrier: String,
    },
    /// Refused for good under this key.
    Refused {
        /// Their reason.
        code: String,
    },
    /// The key was closed before anything was booked.
    Closed,
}

/// The result of cancelling a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShipmentCancelOutcome {
    /// Cancelled: nothing is booked, and nothing will be.
    Cancelled,
    /// Too late: the carrier has it.
    AlreadyHandedOver,
}

/// Where a parcel is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackingOutcome {
    /// The key is unknown.
    UnknownKey,
    /// With the carrier.
    Booked {
        /// Their name for the parcel.
        tracking_number: String,
        /// Who carries it.
        carrier: String,
    },
    /// With the customer.
    Delivered {
        /// Their name for the parcel.
        tracking_number: String,
        /// Who carried it.
        carrier: String,
    },
    /// Cancelled.
    Cancelled,
}

/// A shipping provider.
#[async_trait]
pub trait ShippingProvider: Send + Sync + 'static {
    /// Books a parcel.
    async fn create_shipment(&self, request: &BookingRequest) -> Result<BookingOutcome, Unanswered>;

    /// Looks up the parcel of this key.
    async fn look_up(&self, key: &str) -> Result<TrackingOutcome, Unanswered>;

    /// Cancels the parcel of this key, or makes sure that it is never booked.
    async fn cancel(&self, key: &str) -> Result<ShipmentCancelOutcome, Unanswered>;
}
