//! Filter, sort order and cursor of an order listing.

use std::str::FromStr;

use domain::{OrderId, OrderStatus, Sku};
use jiff::Timestamp;

use crate::saga::SagaState;

/// A filter for orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only this status.
    pub status: Option<OrderStatus>,
    /// Only this customer.
    pub customer_id: Option<String>,
    /// Only those with this external reference.
    pub external_reference: Option<String>,
    /// Only those with a line for this product.
    pub sku: Option<Sku>,
    /// Only those whose parcel has this tracking number.
    pub tracking_number: Option<String>,
    /// Only those whose saga stands here.
    pub saga_state: Option<SagaState>,
    /// Only those that this names: an order's id, external reference or customer, the sku of a line, the parcel's tracking
    /// number, or the gateway's name for the charge. Listed by acceptance only.
    pub find: Option<String>,
    /// Only those accepted at or after this moment.
    pub created_from: Option<Timestamp>,
    /// Only those accepted before this moment.
    pub created_before: Option<Timestamp>,
    /// Only those whose status or money last changed at or after this moment.
    pub updated_from: Option<Timestamp>,
    /// Only those whose status or money last changed before this moment.
    pub updated_before: Option<Timestamp>,
    /// The sort order.
    pub sort: OrderSort,
    /// Only those after this cursor.
    pub after: Option<OrderPlace>,
}

impl OrderFilter {
    /// The default sort order: the newest first of what is found by name, by change if the filter uses it, otherwise by
    /// acceptance.
    #[must_use]
    pub const fn usual_sort(&self) -> OrderSort {
        if self.find.is_some() {
            OrderSort::NewestFirst
        } else if self.updated_from.is_some() || self.updated_before.is_some() {
            OrderSort::EarliestChangeFirst
        } else {
            OrderSort::OldestFirst
        }
    }
}

/// Sort orders. Each is total: no two orders share a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderSort {
    /// By acceptance, oldest first. An order never changes its position.
    #[default]
    OldestFirst,
    /// By acceptance, newest first. An order never changes its position.
    NewestFirst,
    /// By the last change of status or money, earliest first. An order that changes moves to the end and is met again there.
    EarliestChangeFirst,
    /// By the last change of status or money, latest first. An order that changes moves to the front, behind a reader that is
    /// further on.
    LatestChangeFirst,
}

/// Why orders that are found by name are not listed by change.
pub const FOUND_BY_ACCEPTANCE: &str =
    "what is found by name is listed by acceptance: take created_at or -created_at";

impl OrderSort {
    /// Every sort order with its name in requests.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("created_at", Self::OldestFirst),
        ("-created_at", Self::NewestFirst),
        ("updated_at", Self::EarliestChangeFirst),
        ("-updated_at", Self::LatestChangeFirst),
        ("oldest", Self::OldestFirst),
        ("newest", Self::NewestFirst),
    ];

    /// Whether it sorts by the last change.
    #[must_use]
    pub const fn is_by_change(self) -> bool {
        match self {
            Self::EarliestChangeFirst | Self::LatestChangeFirst => true,
            Self::OldestFirst | Self::NewestFirst => false,
        }
    }

    /// Whether the latest comes first.
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

/// A cursor in an order listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderPlace {
    /// The order.
    pub order_id: OrderId,
    /// When its status last changed; used only if the listing sorts by it.
    pub updated_at: Timestamp,
}

impl OrderPlace {
    /// The cursor of an order in a listing by acceptance.
    #[must_use]
    pub const fn by_id(order_id: OrderId) -> Self {
        Self { order_id, updated_at: Timestamp::UNIX_EPOCH }
    }
}
