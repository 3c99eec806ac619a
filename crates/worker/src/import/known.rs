//! What the service knows of products and orders, as far as an import is concerned.

use application::order_details::MoneyLineView;
use serde::Deserialize;

/// A product of the catalogue, as far as an order is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownProduct {
    /// Its name in the trade.
    pub sku: String,
    /// ISO 4217 code of its price.
    pub currency: String,
    /// Whether it may be ordered no more.
    pub discontinued: bool,
}

/// An order that is here already.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KnownOrder {
    /// Whom it is for.
    pub customer_id: String,
    /// The headline status.
    pub status: String,
    /// Its lines.
    pub lines: Vec<KnownLine>,
    /// What it costs beside them.
    #[serde(default)]
    pub money_lines: Vec<MoneyLineView>,
}

/// A line of an order that is here already.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KnownLine {
    /// The product.
    pub sku: String,
    /// Units.
    pub quantity: u32,
    /// Price of one.
    pub unit_price: KnownPrice,
}

/// A price of an order that is here already.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KnownPrice {
    /// Minor units.
    pub minor: i64,
    /// ISO 4217 code.
    pub currency: String,
}
