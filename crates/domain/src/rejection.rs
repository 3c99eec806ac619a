//! Why the business says no. A rejection is a value and an everyday answer: it is neither retried nor logged as an error.
//! It must never stand for something that failed; that is a fault, and belongs to whoever tried.

use thiserror::Error;
use uuid::Uuid;

use crate::{
    AMOUNT_MINOR_MAX, Currency, InvalidQuantity, Money, MoneyError, MovementKind, OrderId, OrderStatus,
    PaymentStatus, ProductId, ShipmentStatus, Sku, TransitionReason, UNITS_MAX,
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
    /// Nothing costs more than can be summed up.
    #[error("the price of {sku} is {minor} minor units; a price is at most {AMOUNT_MINOR_MAX}")]
    PriceTooHigh {
        /// What was priced so.
        sku: Sku,
        /// The price.
        minor: i64,
    },
    /// No order comes to more than can be summed up.
    #[error(
        "the order comes to more than {AMOUNT_MINOR_MAX} minor units, the most that an order may come to"
    )]
    TotalTooHigh,
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
    #[error("{sku} is no longer sold; leave it out, or order another product")]
    DiscontinuedProduct {
        /// What was asked for.
        sku: Sku,
    },
    /// What is sold in one currency is not ordered in another.
    #[error("{sku} is sold in {expected}, not in {found}")]
    WrongCurrency {
        /// What was asked for.
        sku: Sku,
        /// The currency of the catalogue.
        expected: Currency,
        /// The one of the order.
        found: Currency,
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
    #[error("{quantity} units cannot be {kind}")]
    InvalidMovement {
        /// Whose stock was to move.
        product_id: ProductId,
        /// Which way.
        kind: MovementKind,
        /// How much, in units.
        quantity: i64,
    },
    /// A count finds nothing, or something, and never more than can be counted.
    #[error("{counted} units cannot be counted; a count is from 0 to {UNITS_MAX}")]
    InvalidCount {
        /// Whose stock was counted.
        product_id: ProductId,
        /// How many were said to be there, in units.
        counted: i64,
    },
    /// Only what is there can be set aside.
    #[error("{requested} requested, {available} available")]
    InsufficientStock {
        /// Of which product.
        product_id: ProductId,
        /// How much was asked for, in units.
        requested: i64,
        /// How much there is, in units.
        available: i64,
    },
    /// Only what is set aside can be given back or handed over.
    #[error("{requested} requested, {reserved} reserved")]
    InsufficientReservation {
        /// Of which product.
        product_id: ProductId,
        /// How much was asked for, in units.
        requested: i64,
        /// How much is set aside, in units.
        reserved: i64,
    },
    /// No counter of stock grows beyond its bound.
    #[error("{quantity} more units are too many; the most there can be is {UNITS_MAX}")]
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
            Self::PriceTooHigh { .. } => (4, "price_too_high"),
            Self::TotalTooHigh => (5, "total_too_high"),
            Self::MixedCurrencies { .. } => (6, "mixed_currencies"),
            Self::Money(_) => (7, "invalid_amount"),
            Self::Quantity(_) => (8, "invalid_quantity"),
            Self::UnknownProduct { .. } => (9, "unknown_product"),
            Self::DiscontinuedProduct { .. } => (10, "discontinued_product"),
            Self::WrongCurrency { .. } => (11, "wrong_currency"),
            Self::IllegalTransition { .. } => (12, "illegal_transition"),
            Self::InvalidMovement { .. } => (13, "invalid_movement"),
            Self::InvalidCount { .. } => (14, "invalid_count"),
            Self::InsufficientStock { .. } => (15, "insufficient_stock"),
            Self::InsufficientReservation { .. } => (16, "insufficient_reservation"),
            Self::StockOutOfRange { .. } => (17, "stock_out_of_range"),
            Self::DuplicateCharge { .. } => (18, "duplicate_charge"),
            Self::AmountMismatch { .. } => (19, "amount_mismatch"),
            Self::RefundExceedsCapture { .. } => (20, "refund_exceeds_capture"),
            Self::IllegalPaymentMove { .. } => (21, "illegal_payment_move"),
            Self::DuplicateShipment { .. } => (22, "duplicate_shipment"),
            Self::IllegalShipmentMove { .. } => (23, "illegal_shipment_move"),
        }
    }
}
