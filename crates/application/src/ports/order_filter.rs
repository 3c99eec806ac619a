//! Which orders a listing is to show, in which order, and where its pages begin.

use std::str::FromStr;

use domain::{OrderId, OrderStatus, Sku};
use jiff::Timestamp;

use super::readers::OrderView;

/// Which orders are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only this status.
    pub status: Option<OrderStatus>,
    /// Only this customer.
    pub customer_id: Option<String>,
    /// Only those that bear this reference of another system.
    pub external_reference: Option<String>,
    /// Only those with a line for this product.
    pub sku: Option<Sku>,
    /// Only those whose parcel has this tracking number.
    pub tracking_number: Option<String>,
    /// Only those accepted at or after this moment.
    pub created_from: Option<Timestamp>,
    /// Only those accepted before this moment.
    pub created_before: Option<Timestamp>,
    /// Only those whose status last changed at or after this moment.
    pub updated_from: Option<Timestamp>,
    /// Only those whose status last changed before this moment.
    pub updated_before: Option<Timestamp>,
    /// Which comes first.
    pub sort: OrderSort,
    /// Only those after this place, in that order.
    pub after: Option<OrderPlace>,
}

impl OrderFilter {
    /// The order of a listing for which none is asked: by change if it is narrowed down by that, else by acceptance.
    #[must_use]
    pub const fn usual_sort(&self) -> OrderSort {
        if self.updated_from.is_some() || self.updated_before.is_some() {
            OrderSort::EarliestChangeFirst
        } else {
            OrderSort::OldestFirst
        }
    }
}

/// In which order orders are listed. Each is total: no two orders have one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderSort {
    /// By acceptance, the oldest first. An order never changes its place.
    #[default]
    OldestFirst,
    /// By acceptance, the newest first. An order never changes its place.
    NewestFirst,
    /// By the last change of status, the earliest first. An order that changes moves to the end, and is met again there.
    EarliestChangeFirst,
    /// By the last change of status, the latest first. An order that changes moves to the front, past a reader that is
    /// further on.
    LatestChangeFirst,
}

impl OrderSort {
    /// Every order, under the name that it is asked for by.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("created_at", Self::OldestFirst),
        ("-created_at", Self::NewestFirst),
        ("updated_at", Self::EarliestChangeFirst),
        ("-updated_at", Self::LatestChangeFirst),
        ("oldest", Self::OldestFirst),
        ("newest", Self::NewestFirst),
    ];

    /// Whether places are by the last change.
    #[must_use]
    pub const fn is_by_change(self) -> bool {
        match self {
            Self::EarliestChangeFirst | Self::LatestChangeFirst => true,
            Self::OldestFirst | Self::NewestFirst => false,
        }
    }

    /// Whether what is later comes first.
    #[must_use]
    pub const fn is_descending(self) -> bool {
        match self {
            Self::NewestFirst | Self::LatestChangeFirst => true,
            Self::OldestFirst | Self::EarliestChangeFirst => false,
        }
    }
}

impl FromStr for OrderSort {
    type Err = UnknownSort;

    fn from_str(text: &str) -> Result<Self, UnknownSort> {
        Self::NAMES.iter().find(|(name, _)| *name == text).map(|(_, sort)| *sort).ok_or(UnknownSort)
    }
}

/// A word that names no [`OrderSort`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("take one of created_at (oldest), -created_at (newest), updated_at, -updated_at")]
pub struct UnknownSort;

/// A place in a listing of orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderPlace {
    /// The order.
    pub order_id: OrderId,
    /// When its status last changed; counts only where that gives the order.
    pub updated_at: Timestamp,
}

impl OrderPlace {
    /// The place of an order in a listing by acceptance.
    #[must_use]
    pub const fn by_id(order_id: OrderId) -> Self {
        Self { order_id, updated_at: Timestamp::UNIX_EPOCH }
    }
}

/// A page of orders. It may hold fewer than were asked for, or none, although more are to come: no page looks at more than
/// so many orders to find those that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPage {
    /// The orders.
    pub items: Vec<OrderView>,
    /// Where the next page begins; none at the end.
    pub next: Option<OrderPlace>,
}
