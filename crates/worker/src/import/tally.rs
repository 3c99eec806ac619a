//! What became of every row. The sum of the parts is the whole, or the import has a bug and says so.

use std::collections::BTreeMap;

use serde::Serialize;

/// A row that became nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Line of the file.
    pub line: u64,
    /// The other system's name for the order; may be empty.
    pub order: String,
    /// Why.
    pub reason: Reason,
    /// Why, in words.
    pub detail: String,
}

/// What became of a row that takes something back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBack {
    /// Line of the file.
    pub line: u64,
    /// The other system's name for the cancellation.
    pub order: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The same in words.
    pub detail: String,
}

/// Writes a closed list with the words under which it is reported.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// The word under which it is reported.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words! {
    /// Why a row became nothing.
    Reason {
        /// It is not text.
        Unreadable = "unreadable",
        /// It names no order.
        NoOrder = "no_order",
        /// It names no product.
        NoProduct = "no_product",
        /// It is postage, a fee, a voucher or the like.
        NotAProduct = "not_a_product",
        /// Its product code cannot be a sku.
        InvalidSku = "invalid_sku",
        /// Its quantity is no number, or too large.
        InvalidQuantity = "invalid_quantity",
        /// It is no cancellation, and asks for nothing or less.
        QuantityNotPositive = "quantity_not_positive",
        /// Its price is no price of the currency.
        InvalidPrice = "invalid_price",
        /// Its price is nothing or less.
        PriceNotPositive = "price_not_positive",
        /// Its time is no time.
        InvalidTime = "invalid_time",
        /// Its customer cannot be one.
        InvalidCustomer = "invalid_customer",
        /// The service would not have its order.
        RefusedByService = "refused_by_service",
    }
}

words! {
    /// What became of a row that takes something back.
    Outcome {
        /// The whole order was cancelled.
        Cancelled = "cancelled",
        /// The whole order was cancelled before, or never came about.
        AlreadyCancelled = "already_cancelled",
        /// The order has left the house.
        TooLate = "too_late",
        /// Only a part of an order is taken back.
        Partial = "partial",
        /// The customer has ordered nothing of the kind before.
        NoSuchOrder = "no_such_order",
        /// Nobody knows whose order it would be.
        UnknownCustomer = "unknown_customer",
        /// It takes back postage, a fee, a voucher or the like.
        NotAProduct = "not_a_product",
    }
}

/// Counts over a whole import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Rows read.
    pub rows: u64,
    /// Rows that became lines of new orders.
    pub rows_imported: u64,
    /// Rows of orders that were there before.
    pub rows_replayed: u64,
    /// Rows that became nothing, by reason.
    pub rows_rejected: BTreeMap<Reason, u64>,
    /// Rows that take something back, by what became of them.
    pub rows_cancelling: BTreeMap<Outcome, u64>,
    /// Products that were new.
    pub products_new: u64,
    /// Products in the file.
    pub products: u64,
    /// Orders that were new.
    pub orders_new: u64,
    /// Orders that were there before.
    pub orders_replayed: u64,
    /// Orders that the service would not have.
    pub orders_refused: u64,
    /// Orders whose cancellation was accepted.
    pub orders_cancelled: u64,
}

impl Tally {
    /// Rows of which it is known what became of them.
    #[must_use]
    pub fn rows_accounted_for(&self) -> u64 {
        let rejected: u64 = self.rows_rejected.values().sum();
        let cancelling: u64 = self.rows_cancelling.values().sum();
        self.rows_imported + self.rows_replayed + rejected + cancelling
    }

    /// Whether nothing was changed.
    #[must_use]
    pub const fn changed_nothing(&self) -> bool {
        self.orders_new == 0 && self.orders_cancelled == 0 && self.products_new == 0
    }

    /// Asserts that no row was lost or counted twice.
    ///
    /// # Panics
    /// If one was: that is a bug of the import.
    pub fn assert_complete(&self) {
        assert_eq!(
            self.rows,
            self.rows_accounted_for(),
            "every row is imported, rejected or a cancellation: {self:?}"
        );
    }
}
