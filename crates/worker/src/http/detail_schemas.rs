//! The forms of what orders say beside their lines, as clients write and read them.

use super::shape::{AMOUNT, Schema, Shape, may, need};

/// Whom to reach.
pub(super) const CONTACT: Shape = Shape::Named(&Schema {
    name: "Contact",
    shape: Shape::Object(&[
        may("name", Shape::Text, "Their name."),
        may("email", Shape::Text, "Their mail address."),
        may("phone", Shape::Text, "Their telephone number."),
    ]),
});
/// A postal address.
pub(super) const ADDRESS: Shape = Shape::Named(&Schema {
    name: "Address",
    shape: Shape::Object(&[
        may("name", Shape::Text, "The person."),
        may("company", Shape::Text, "The company."),
        may("lines", Shape::List(&Shape::Text), "Street and number, or whatever stands there: at most 6."),
        may("city", Shape::Text, "The town."),
        may("region", Shape::Text, "State, province or county."),
        may("postal_code", Shape::Text, "The postal code."),
        need("country", Shape::Text, "The country: two capital letters of ISO 3166-1."),
    ]),
});
/// A money line.
pub(super) const MONEY_LINE: Shape = Shape::Named(&Schema {
    name: "MoneyLine",
    shape: Shape::Object(&[
        need("kind", Shape::Choice(&["shipping", "tax", "discount", "fee"]), "What it is for."),
        may("label", Shape::Text, "What it is called."),
        need("amount", AMOUNT, "How much, never below zero; a discount takes it off."),
    ]),
});
