//! One entry of the stock ledger: what moved, how many, and why. A movement is never changed or removed; another
//! movement corrects a mistake.

use crate::{OrderId, ProductId, closed_set::closed_set};

closed_set! {
    /// Which way units moved.
    pub enum MovementKind {
        /// Units came in: available grows.
        Received = 0, "received";
        /// Reserved for an order: from available to reserved.
        Reserved = 1, "reserved";
        /// Released: from reserved back to available.
        Released = 2, "released";
        /// Shipped: reserved shrinks.
        Shipped = 3, "shipped";
        /// Corrected after a count: available grows or shrinks.
        Adjusted = 4, "adjusted";
    }
}

/// Why units moved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MovementCause {
    /// An order reserved or released them.
    Order(OrderId),
    /// A person corrected the count or booked a receipt.
    Adjustment {
        /// In their own words.
        reason: String,
    },
    /// A catalogue import brought them; with the import's name.
    Import(String),
}

/// A fact about the stock of one product.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StockMovement {
    /// The product.
    pub product_id: ProductId,
    /// Which way.
    pub kind: MovementKind,
    /// How many units: positive, or for [`MovementKind::Adjusted`] anything but zero.
    pub quantity: i64,
    /// Because of what.
    pub cause: MovementCause,
}
