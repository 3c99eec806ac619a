//! Holds: why an order waits before its payment or its parcel although nothing is wrong with it, and who lets it go on.

use jiff::Timestamp;

use crate::closed_set::{closed_set, set_of};
use crate::ids::{HoldId, OrderId};

closed_set! {
    /// The step that a hold keeps an order from.
    pub enum HoldPoint {
        /// The customer is not charged yet.
        Payment = 0, "payment";
        /// The carrier is not asked yet.
        Shipping = 1, "shipping";
    }
}

set_of! {
    /// The steps that an order is kept from.
    pub struct HoldPoints of HoldPoint
}

/// One hold of an order. An order may have several; it goes on when none is left before its next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its id, by which it is released.
    pub id: HoldId,
    /// The order.
    pub order_id: OrderId,
    /// The step that it keeps the order from.
    pub before: HoldPoint,
    /// Why, in the words of whoever placed it, or the name of the rule that did.
    pub reason: String,
    /// Who placed it; none for a rule of the configuration.
    pub actor: Option<String>,
    /// When.
    pub placed_at: Timestamp,
    /// Who let the order go on, if anybody has.
    pub released: Option<HoldRelease>,
}

/// The end of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRelease {
    /// Who released it.
    pub actor: String,
    /// Why; may be empty.
    pub note: String,
    /// When.
    pub at: Timestamp,
}
