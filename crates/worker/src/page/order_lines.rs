//! Cancels units of one order.

use std::collections::BTreeMap;

use application::commands::too_late_to_cancel_lines;
use bus_page::{Action, Field, Forbidden};
use maud::{Markup, html};
use serde_json::Value;

use super::value::{list, minor, number, text};
use super::visit::Visit;

/// A form to cancel units of one product; nothing of an order that has no other.
pub(super) fn action(visit: &Visit, order: &Value, saga: &Value) -> Markup {
    let mut units = BTreeMap::<&str, i64>::new();
    for line in list(order, "lines") {
        *units.entry(text(line, "sku")).or_default() += number(line, "quantity") - number(line, "cancelled");
    }
    let left = units.iter().filter(|(_, units)| **units > 0);
    let left: Vec<(&str, String)> = left.map(|(sku, units)| (*sku, format!("{sku} ({units})"))).collect();
    if left.is_empty() {
        return html! {};
    }
    let id = text(order, "order_id");
    let currency = text(&order["total"], "currency");
    let label =
        format!("Costs less in {currency}, such as {}; empty for their price", minor(1_250, currency));
    let choices = left.iter().map(|(sku, label)| (*sku, label.as_str())).collect();
    let cancel = Action {
        to: visit.at(format!("/orders/{id}/cancel-lines")),
        text: "Cancel units",
        does: "What was reserved for them is for sale again, and their money is not taken, or goes back.",
        fields: vec![
            Field::Choice("sku", "Of", choices),
            Field::Optional("units", "Units; empty for all that are left of it"),
            Field::Optional("amount", &label),
            Field::Text("note", "Why"),
            Field::Hidden("currency", currency.to_owned()),
            Field::Hidden("seen", text(saga, "updated_at").to_owned()),
            Field::Hidden("once", visit.once()),
        ],
        is_grave: true,
        forbidden: not_now(order, saga).or_else(|| visit.forbidden(&format!("/orders/{id}/cancel-lines"))),
    };
    cancel.render()
}

fn not_now(order: &Value, saga: &Value) -> Option<Forbidden> {
    let status = text(order, "status").parse().ok()?;
    let (state, shipment) = (text(saga, "state").parse().ok()?, text(saga, "shipment").parse().ok()?);
    too_late_to_cancel_lines(status, state, shipment, !saga["reason"].is_null()).map(Forbidden)
}
