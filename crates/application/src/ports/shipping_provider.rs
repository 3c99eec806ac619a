//! The shipping provider: it holds the truth about parcels, keyed by our idempotency keys.

use async_trait::async_trait;

use super::Unanswered;

/// A parcel to be shipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookingRequest {
    /// Our idempotency key.
    pub key: String,
    /// Our name for what is shipped.
    pub reference: String,
}

/// What the provider said about a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BookingOutcome {
    /// The parcel is theirs.
    Booked {
        /// Their name for the parcel.
        tracking_number: String,
        /// Who carries it.
        carrier: String,
    },
    /// They will not carry it, and never will under this key.
    Refused {
        /// Their reason.
        code: String,
    },
    /// The key was closed before anything was booked.
    Closed,
}

/// What became of a booking that was called off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShipmentCancelOutcome {
    /// Nothing is under way, and nothing will be.
    Cancelled,
    /// Too late: the carrier has it.
    AlreadyHandedOver,
}

/// Where a parcel is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackingOutcome {
    /// They never heard of the key.
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
    /// Called off.
    Cancelled,
}

/// A shipping provider.
#[async_trait]
pub trait ShippingProvider: Send + Sync + 'static {
    /// Books a parcel.
    async fn create_shipment(&self, request: &BookingRequest) -> Result<BookingOutcome, Unanswered>;

    /// Where the parcel of this key is.
    async fn look_up(&self, key: &str) -> Result<TrackingOutcome, Unanswered>;

    /// Calls the parcel of this key off, or sees to it that it is never booked.
    async fn cancel(&self, key: &str) -> Result<ShipmentCancelOutcome, Unanswered>;
}
