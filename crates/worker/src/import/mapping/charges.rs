//! Money beside the lines of an order: discounts, shipping, tax, and the sum of it all. What of it an order is
//! charged with must be said, since files do not tell whether their prices have taxes and discounts in them.

use serde::Deserialize;

/// What a mapping says of money beside the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Charges {
    /// What the customer saved.
    pub discount: Option<Charge>,
    /// What sending costs.
    pub shipping: Option<Charge>,
    /// Taxes on top of the prices.
    pub tax: Option<Charge>,
    /// What the customer paid in all.
    pub total: Option<Charge>,
}

/// A column of such money. Without a column only the treatment is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Charge {
    /// Its heading.
    pub column: Option<String>,
    /// Whether each row has its part, or the order has one amount.
    pub per: Per,
    /// What becomes of an order that has some.
    pub treat: Treat,
}

/// Of what an amount is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Of the order: it stands in its first row, or the same in each.
    #[default]
    Order,
    /// Of the line: each row has its own, and the order has their sum.
    Line,
}

/// What becomes of an order that has such money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Treat {
    /// It is held back: what would be charged is not what the customer agreed to.
    #[default]
    HoldBack,
    /// It becomes a money line of the order, and is charged.
    Take,
    /// It is left aside: the order is charged without it, though the file's sum has it.
    Ignore,
    /// The prices have it in them: the file's sum does not add it.
    Included,
}

/// Columns that hold discounts wherever they stand. An order with one is held back even if the mapping names none of them.
const KNOWN_DISCOUNTS: &[&str] = &[
    "Discount Amount",
    "Lineitem discount",
    "Discount",
    "Discounts",
    "Cart Discount Amount",
    "Order Discount",
    "item-promotion-discount",
    "discount",
    "discount_amount",
    "discount_total",
    "cart_discount",
    "order_discount",
];

/// Columns that hold what was given back or called off of an order, wherever they stand; in lower case.
const KNOWN_UNDONE: &[&str] = &[
    "refunded_total",
    "refunded_amount",
    "refunded amount",
    "refund_total",
    "refund amount",
    "refund_amount",
    "order refund amount",
    "amount_refunded",
    "total_refunded",
    "item_refunded",
    "item_refunded_qty",
    "qty_refunded",
    "qty_returned",
    "qty_canceled",
    "total_canceled",
    "quantity-refunded",
    "quantity-canceled",
    "quantity-cancelled",
];

/// Whether a heading is one of what was refunded or cancelled.
#[must_use]
pub(crate) fn is_known_undone(heading: &str) -> bool {
    KNOWN_UNDONE.contains(&heading.to_lowercase().as_str())
}

/// Whether a field of such a column says that something was: anything but nothing, a dash or a zero.
#[must_use]
pub(crate) fn says_something(field: &str) -> bool {
    let is_more = field.chars().any(|c| c.is_numeric() && c != '0');
    is_more || !field.contains('0') && field.chars().any(char::is_alphanumeric)
}

/// Whether a heading is one of a discount.
#[must_use]
pub(crate) fn is_known_discount(heading: &str) -> bool {
    KNOWN_DISCOUNTS.contains(&heading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_and_dashes_say_that_nothing_was_given_back() {
        for nothing in ["", "0", "0.00", "0,00 €", "EUR 0.0000", "-0", "-", "$0.00"] {
            assert!(!says_something(nothing), "{nothing}");
        }
        for something in ["1", "0.01", "-1", "EUR 4.50", "yes", "٣", "10"] {
            assert!(says_something(something), "{something}");
        }
        assert!(is_known_undone("Refunded Amount") && is_known_undone("qty_canceled"));
        assert!(!is_known_undone("qty_ordered"));
    }
}
