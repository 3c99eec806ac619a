//! Why the business says no. A rejection is a value and an everyday answer: it is neither retried nor logged as an error.
//! It must never stand for something that failed; that is a fault, and belongs to whoever tried.

use thiserror::Error;
use uuid::Uuid;

use crate::{
    Currency, InvalidQuantity, Money, MoneyError, MovementKind, OrderId, OrderStatus, PaymentStatus,
    ProductId, ShipmentStatus, Sku, TransitionReason,
};

/// A broken rule, with what broke it. Declared in order of precedence: where several rules are broken, the first
/// is the one to tell.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// A fact about one thing was told to another.
    #[error("this is about {found}, not about {expected}")]
    WrongSubject {
        /// The one that was told.
        expected: Uuid,
        /// The one it was about.
        found: Uuid,
    },
    /// An order is for something.
    #[error("the order has no lines")]
    NoLines,
    /// An order is of a bounded size.
    #[error("the order has {lines} lines, at most {lines_max} are allowed")]
    TooManyLines {
        /// How many it has.
        lines: usize,
        /// How many it may have.
        lines_max: usize,
    },
    /// Nothing costs less than nothing.
    #[error("the price of {sku} is negative")]
    NegativePrice {
        /// What was priced so.
        sku: Sku,
    },
    /// One order, one currency.
    #[error("{found} does not go with {expected}")]
    MixedCurrencies {
        /// The currency of what came first.
        expected: Currency,
        /// The other one.
        found: Currency,
    },
    /// The amounts do not add up.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A line is for at least one unit, and not for too many.
    #[error(transparent)]
    Quantity(#[from] InvalidQuantity),
    /// Only what is in the catalogue can be ordered.
    #[error("there is no product {sku}")]
    UnknownProduct {
        /// What was asked for.
        sku: Sku,
    },
    /// Only what is on sale can be ordered.
    #[error("{sku} is no longer sold")]
    DiscontinuedProduct {
        /// What was asked for.
        sku: Sku,
    },
    /// An order moves along the table of legal moves.
    #[error("an order that is {from} cannot become {to}: {reason}")]
    IllegalTransition {
        /// Where it is.
        from: OrderStatus,
        /// Where it was to go.
        to: OrderStatus,
        /// Why it cannot.
        reason: TransitionReason,
    },
    /// Stock moves by a whole number of units that makes sense for the movement.
    #[error("{quantity} units of product {product_id} cannot be {kind}")]
    InvalidMovement {
        /// Whose stock was to move.
        product_id: ProductId,
        /// Which way.
        kind: MovementKind,
        /// How much, in units.
        quantity: i64,
    },
    /// Only what is there can be set aside.
    #[error("product {product_id}: {requested} requested, {available} available")]
    InsufficientStock {
        /// Of which product.
        product_id: ProductId,
        /// How much was asked for, in units.
        requested: i64,
        /// How much there is, in units.
        available: i64,
    },
    /// Only what is set aside can be given back or handed over.
    #[error("product {product_id}: {requested} requested, {reserved} reserved")]
    InsufficientReservation {
        /// Of which product.
        product_id: ProductId,
        /// How much was asked for, in units.
        requested: i64,
        /// How much is set aside, in units.
        reserved: i64,
    },
    /// No counter of stock grows beyond its bound.
    #[error("product {product_id}: {quantity} more units are too many to count")]
    StockOutOfRange {
        /// Of which product.
        product_id: ProductId,
        /// How much was to be added, in units.
        quantity: i64,
    },
    /// One charge per order: the money arrived already, by another charge.
    #[error("order {order_id} was charged by {first} already, and again by {second}")]
    DuplicateCharge {
        /// Of which order.
        order_id: OrderId,
        /// The charge that counts.
        first: String,
        /// The one too many, which has to be given back.
        second: String,
    },
    /// What arrives is what was asked for.
    #[error("order {order_id}: {expected} expected, {found} found")]
    AmountMismatch {
        /// Of which order.
        order_id: OrderId,
        /// What was asked for.
        expected: Money,
        /// What was told.
        found: Money,
    },
    /// No more goes back than arrived.
    #[error("order {order_id}: {refunded} to be refunded, {captured} captured")]
    RefundExceedsCapture {
        /// Of which order.
        order_id: OrderId,
        /// What was to go back, all in all.
        refunded: Money,
        /// What had arrived.
        captured: Money,
    },
    /// A payment moves along its own table.
    #[error("the payment of order {order_id} is {from} and cannot become {to}")]
    IllegalPaymentMove {
        /// Of which order.
        order_id: OrderId,
        /// Where the payment is.
        from: PaymentStatus,
        /// Where it was to go.
        to: PaymentStatus,
    },
    /// One parcel per order.
    #[error("order {order_id} has parcel {first} already, and now also {second}")]
    DuplicateShipment {
        /// Of which order.
        order_id: OrderId,
        /// The parcel that counts.
        first: String,
        /// The one too many, which has to be cancelled.
        second: String,
    },
    /// A shipment moves along its own table.
    #[error("the shipment of order {order_id} is {from} and cannot become {to}")]
    IllegalShipmentMove {
        /// Of which order.
        order_id: OrderId,
        /// Where the shipment is.
        from: ShipmentStatus,
        /// Where it was to go.
        to: ShipmentStatus,
    },
}

impl Rejection {
    /// The stable snake_case name of the broken rule.
    pub const fn code(&self) -> &'static str {
        self.rank_and_code().1
    }

    /// The lower, the sooner it is told.
    pub const fn precedence(&self) -> u8 {
        self.rank_and_code().0
    }

    const fn rank_and_code(&self) -> (u8, &'static str) {
        match self {
            Self::WrongSubject { .. } => (0, "wrong_subject"),
            Self::NoLines => (1, "no_lines"),
            Self::TooManyLines { .. } => (2, "too_many_lines"),
            Self::NegativePrice { .. } => (3, "negative_price"),
            Self::MixedCurrencies { .. } => (4, "mixed_currencies"),
            Self::Money(_) => (5, "invalid_amount"),
            Self::Quantity(_) => (6, "invalid_quantity"),
            Self::UnknownProduct { .. } => (7, "unknown_product"),
            Self::DiscontinuedProduct { .. } => (8, "discontinued_product"),
            Self::IllegalTransition { .. } => (9, "illegal_transition"),
            Self::InvalidMovement { .. } => (10, "invalid_movement"),
            Self::InsufficientStock { .. } => (11, "insufficient_stock"),
            Self::InsufficientReservation { .. } => (12, "insufficient_reservation"),
            Self::StockOutOfRange { .. } => (13, "stock_out_of_range"),
            Self::DuplicateCharge { .. } => (14, "duplicate_charge"),
            Self::AmountMismatch { .. } => (15, "amount_mismatch"),
            Self::RefundExceedsCapture { .. } => (16, "refund_exceeds_capture"),
            Self::IllegalPaymentMove { .. } => (17, "illegal_payment_move"),
            Self::DuplicateShipment { .. } => (18, "duplicate_shipment"),
            Self::IllegalShipmentMove { .. } => (19, "illegal_shipment_move"),
        }
    }
}
