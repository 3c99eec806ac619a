//! Why the business says no. A rejection is a value and an ordinary answer: it is neither retried nor logged as an
//! error. An operation that failed is a fault instead.

use thiserror::Error;
use uuid::Uuid;

use crate::{
    AMOUNT_MINOR_MAX, Currency, InvalidQuantity, Money, MoneyError, MoneyLineKind, MovementKind, OrderId,
    OrderStatus, PaymentStatus, ProductId, ShipmentStatus, Sku, TransitionReason, UNITS_MAX,
};

/// A broken rule, with what broke it. Declared in order of precedence: if several rules are broken, the first one is
/// reported.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// An event about one thing was applied to another.
    #[error("this is about {found}, not about {expected}")]
    WrongSubject {
        /// The one it was applied to.
        expected: Uuid,
        /// The one it was about.
        found: Uuid,
    },
    /// An order has lines.
    #[error("the order has no lines")]
    NoLines,
    /// An order has a bounded number of lines.
    #[error("the order has {lines} lines, at most {lines_max} are allowed")]
    TooManyLines {
        /// How many it has.
        lines: usize,
        /// How many it may have.
        lines_max: usize,
    },
    /// A price does not exceed the maximum.
    #[error("the price of {sku} is {minor} minor units; a price is at most {AMOUNT_MINOR_MAX}")]
    PriceTooHigh {
        /// The product with this price.
        sku: Sku,
        /// The price.
        minor: i64,
    },
    /// An order's total does not exceed the maximum.
    #[error(
        "the order comes to more than {AMOUNT_MINOR_MAX} minor units, the most that an order may come to"
    )]
    TotalTooHigh,
    /// An order has a bounded number of money lines.
    #[error("the order has {lines} money lines, at most {lines_max} are allowed")]
    TooManyMoneyLines {
        /// How many it has.
        lines: usize,
        /// How many it may have.
        lines_max: usize,
    },
    /// All amounts of an order are in one currency.
    #[error(
        "a money line is in {found}, and the order in {expected}; all amounts of an order are in one currency"
    )]
    MoneyLineCurrency {
        /// The currency of the order's lines.
        expected: Currency,
        /// The other one.
        found: Currency,
    },
    /// The amount of a money line is in bounds.
    #[error(
        "the {kind} is {minor} minor units; a money line is from 0 to {AMOUNT_MINOR_MAX}, a discount too"
    )]
    MoneyLineOutOfRange {
        /// What it is for.
        kind: MoneyLineKind,
        /// The amount.
        minor: i64,
    },
    /// An order comes to nothing at least.
    #[error("the discounts come to {excess} more than everything else")]
    NegativeTotal {
        /// How far below zero.
        excess: Money,
    },
    /// A price is not negative.
    #[error("the price of {sku} is negative")]
    NegativePrice {
        /// The product with this price.
        sku: Sku,
    },
    /// An order has one currency.
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
    /// A line's quantity is in bounds.
    #[error(transparent)]
    Quantity(#[from] InvalidQuantity),
    /// Only a product of the catalogue can be ordered.
    #[error("there is no product {sku}")]
    UnknownProduct {
        /// What was requested.
        sku: Sku,
    },
    /// Only a product on sale can be ordered.
    #[error("{sku} is no longer sold; leave it out, or order another product")]
    DiscontinuedProduct {
        /// What was requested.
        sku: Sku,
    },
    /// A product is ordered in its currency.
    #[error("{sku} is sold in {expected}, not in {found}")]
    WrongCurrency {
        /// What was requested.
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
        /// Where it was to move.
        to: OrderStatus,
        /// Why it cannot.
        reason: TransitionReason,
    },
    /// Stock moves by a quantity that fits the movement.
    #[error("{quantity} units cannot be {kind}")]
    InvalidMovement {
        /// The product.
        product_id: ProductId,
        /// Which way.
        kind: MovementKind,
        /// How much, in units.
        quantity: i64,
    },
    /// A count is not negative and in bounds.
    #[error("{counted} units cannot be counted; a count is from 0 to {UNITS_MAX}")]
    InvalidCount {
        /// The product.
        product_id: ProductId,
        /// The counted units.
        counted: i64,
    },
    /// Only available units can be reserved.
    #[error("{requested} requested, {available} available")]
    InsufficientStock {
        /// Of which product.
        product_id: ProductId,
        /// The requested units.
        requested: i64,
        /// The available units.
        available: i64,
    },
    /// Only reserved units can be released or shipped.
    #[error("{requested} requested, {reserved} reserved")]
    InsufficientReservation {
        /// Of which product.
        product_id: ProductId,
        /// The requested units.
        requested: i64,
        /// The reserved units.
        reserved: i64,
    },
    /// No stock counter exceeds its bound.
    #[error("{quantity} more units are too many; the most there can be is {UNITS_MAX}")]
    StockOutOfRange {
        /// Of which product.
        product_id: ProductId,
        /// How much was to be added, in units.
        quantity: i64,
    },
    /// One charge per order: another charge has paid already.
    #[error("order {order_id} was charged by {first} already, and again by {second}")]
    DuplicateCharge {
        /// Of which order.
        order_id: OrderId,
        /// The charge that counts.
        first: String,
        /// The extra charge, which must be refunded.
        second: String,
    },
    /// The captured amount is the requested one.
    #[error("order {order_id}: {expected} expected, {found} found")]
    AmountMismatch {
        /// Of which order.
        order_id: OrderId,
        /// What was requested.
        expected: Money,
        /// What was reported.
        found: Money,
    },
    /// Refunds do not exceed what was captured.
    #[error("order {order_id}: {refunded} to be refunded, {captured} captured")]
    RefundExceedsCapture {
        /// Of which order.
        order_id: OrderId,
        /// The refunds in total.
        refunded: Money,
        /// What was captured.
        captured: Money,
    },
    /// A payment moves along its own table.
    #[error("the payment of order {order_id} is {from} and cannot become {to}")]
    IllegalPaymentMove {
        /// Of which order.
        order_id: OrderId,
        /// Where the payment is.
        from: PaymentStatus,
        /// Where it was to move.
        to: PaymentStatus,
    },
    /// One parcel per order.
    #[error("order {order_id} has parcel {first} already, and now also {second}")]
    DuplicateShipment {
        /// Of which order.
        order_id: OrderId,
        /// The parcel that counts.
        first: String,
        /// The extra parcel, which must be cancelled.
        second: String,
    },
    /// A shipment moves along its own table.
    #[error("the shipment of order {order_id} is {from} and cannot become {to}")]
    IllegalShipmentMove {
        /// Of which order.
        order_id: OrderId,
        /// Where the shipment is.
        from: ShipmentStatus,
        /// Where it was to move.
        to: ShipmentStatus,
    },
}

impl Rejection {
    /// The stable snake_case name of the broken rule.
    pub const fn code(&self) -> &'static str {
        self.rank_and_code().1
    }

    /// Its precedence: the lowest is reported first.
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
            Self::TooManyMoneyLines { .. } => (24, "too_many_money_lines"),
            Self::MoneyLineOutOfRange { .. } => (25, "money_line_out_of_range"),
            Self::NegativeTotal { .. } => (26, "negative_total"),
            Self::MoneyLineCurrency { .. } => (27, "money_line_currency"),
        }
    }
}
