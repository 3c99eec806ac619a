//! One line of the stock ledger: what moved, how much of it, and because of what.
//! A movement is never changed or removed once it is written; a mistake is put right by another movement.

use crate::{OrderId, ProductId, closed_set::closed_set};

closed_set! {
    /// Which way units moved.
    pub enum MovementKind {
        /// Came in: available grows.
        Received = 0, "received";
        /// Set aside for an order: from available to reserved.
        Reserved = 1, "reserved";
        /// No longer set aside: from reserved back to available.
        Released = 2, "released";
        /// Left the house: reserved shrinks.
        Shipped = 3, "shipped";
        /// Counted and found to be different: available grows or shrinks.
        Adjusted = 4, "adjusted";
    }
}

/// Because of what units moved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MovementCause {
    /// An order asked for them, or gave them back.
    Order(OrderId),
    /// Somebody corrected the count or booked a delivery.
    Adjustment {
        /// In their own words.
        reason: String,
    },
    /// They came with a catalogue; names the import.
    Import(String),
}

/// A fact about the stock of one product.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StockMovement {
    /// Whose stock moved.
    pub product_id: ProductId,
    /// Which way.
    pub kind: MovementKind,
    /// How many units: positive, or for [`MovementKind::Adjusted`] anything but zero.
    pub quantity: i64,
    /// Because of what.
    pub cause: MovementCause,
}
