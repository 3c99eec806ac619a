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

/// A row that is left out because the mapping says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Line of the file.
    pub line: u64,
    /// The other system's name for the order.
    pub order: String,
    /// Why.
    pub why: Omission,
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
    /// Why a row became nothing. One such row holds its whole order back.
    Reason {
        /// It cannot be read as a row.
        Unreadable = "unreadable",
        /// It names no order.
        NoOrder = "no_order",
        /// Its order's number cannot be one.
        InvalidOrder = "invalid_order",
        /// It names no product.
        NoProduct = "no_product",
        /// Its product code cannot be a sku.
        InvalidSku = "invalid_sku",
        /// Its quantity is no number, or too large.
        InvalidQuantity = "invalid_quantity",
        /// It is no cancellation, and asks for nothing or less.
        QuantityNotPositive = "quantity_not_positive",
        /// Its price is no price of the currency.
        InvalidPrice = "invalid_price",
        /// Its price is less than nothing.
        PriceNegative = "price_negative",
        /// Its time is no time.
        InvalidTime = "invalid_time",
        /// Its customer cannot be one.
        InvalidCustomer = "invalid_customer",
        /// What it says of contact or addresses cannot be.
        InvalidDetails = "invalid_details",
        /// It says something else of its order than the rows before.
        RowsDisagree = "rows_disagree",
        /// Nobody has said what its status means.
        UnknownStatus = "unknown_status",
        /// Its order has money beside its lines, and the mapping does not say what becomes of it.
        OtherCharges = "other_charges",
        /// What its order comes to is not what the file says.
        SumDiffers = "sum_differs",
        /// The catalogue does not have its product.
        UnknownProduct = "unknown_product",
        /// Its product is sold in another currency.
        WrongCurrency = "wrong_currency",
        /// There is nothing wrong with it, but with another row of its order.
        HeldBack = "held_back",
        /// The same row stands in its order twice, and nothing tells whether both are meant.
        RepeatedRow = "repeated_row",
        /// A part of its order was refunded, cancelled or shipped where it comes from.
        PartlyDone = "partly_done",
        /// Its order was imported before and is another now.
        ChangedSinceImport = "changed_since_import",
        /// The service would not have its order.
        RefusedByService = "refused_by_service",
    }
}

words! {
    /// Why a row is left out.
    Omission {
        /// It is postage, a fee, a voucher or the like.
        NotAProduct = "not_a_product",
        /// It costs nothing, and the mapping leaves such lines out.
        Free = "free",
        /// It stands in the file already, under the same id of its line.
        Repeated = "repeated",
        /// Its order is left out.
        Skipped = "skipped",
        /// Its order has left the house already.
        AlreadyShipped = "already_shipped",
        /// Its order was cancelled where it comes from, and never taken in.
        CancelledElsewhere = "cancelled_elsewhere",
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
    /// Rows that are left out, by reason.
    pub rows_left_out: BTreeMap<Omission, u64>,
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
    /// Of those, orders of which the service took a part before it refused another; what it took is being cancelled.
    pub orders_torn: u64,
    /// Orders that are held back until the file is mended.
    pub orders_held_back: u64,
    /// Orders whose cancellation was accepted.
    pub orders_cancelled: u64,
}

impl Tally {
    /// Rows of which it is known what became of them.
    #[must_use]
    pub fn rows_accounted_for(&self) -> u64 {
        let rejected: u64 = self.rows_rejected.values().sum();
        let cancelling: u64 = self.rows_cancelling.values().sum();
        let left_out: u64 = self.rows_left_out.values().sum();
        self.rows_imported + self.rows_replayed + rejected + cancelling + left_out
    }

    /// Rows that became nothing although they should have.
    #[must_use]
    pub fn rows_rejected_in_all(&self) -> u64 {
        self.rows_rejected.values().sum()
    }

    /// Whether nothing was changed.
    #[must_use]
    pub const fn changed_nothing(&self) -> bool {
        self.orders_new == 0 && self.orders_cancelled == 0 && self.products_new == 0 && self.orders_torn == 0
    }

    /// Asserts that no row was lost or counted twice.
    ///
    /// # Panics
    /// If one was: that is a bug of the import.
    pub fn assert_complete(&self) {
        assert_eq!(
            self.rows,
            self.rows_accounted_for(),
            "every row is imported, rejected, left out or a cancellation: {self:?}"
        );
    }
}
