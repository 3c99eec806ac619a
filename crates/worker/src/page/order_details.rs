//! What an order says beside who wants what, on its page.

use bus_page::{Column, Forbidden, table};
use maud::{Markup, html};
use serde_json::Value;

use super::value::{amount, list, text};

/// Everything that the order says; nothing if it says nothing.
pub(super) fn details(order: &Value) -> Markup {
    let said =
        ["contact", "shipping_address", "billing_address", "money_lines", "tags", "order_note", "metadata"];
    if said.iter().all(|member| order[*member].is_null()) {
        return html! {};
    }
    let columns = [Column::text("For"), Column::text("Called"), Column::number("Amount")];
    let line = |line: &Value| {
        vec![
            html! { (text(line, "kind")) },
            html! { (text(line, "label")) },
            html! { (amount(line, "amount")) },
        ]
    };
    let lines: Vec<_> = list(order, "money_lines").iter().map(line).collect();
    let tags: Vec<&str> = list(order, "tags").iter().filter_map(Value::as_str).collect();
    let metadata = order["metadata"].as_object();
    html! {
        h2 { "What it says" }
        div .two {
            dl .facts {
                (fact("Contact", &joined(&order["contact"], &["name", "email", "phone"])))
                (fact("Ships to", &address(&order["shipping_address"])))
                (fact("Bill to", &address(&order["billing_address"])))
                (fact("Tags", &tags.join(", ")))
                (fact("Note", text(order, "order_note")))
                @for (name, value) in metadata.into_iter().flatten() {
                    dt { (name) } dd { (value.as_str().unwrap_or_default()) }
                }
            }
            @if !lines.is_empty() { (table("What it costs beside the goods", &columns, &lines, "")) }
        }
    }
}

/// Why there is nothing to erase, if there is not.
pub(super) fn not_erased(order: &Value) -> Option<Forbidden> {
    let says = ["contact", "order_note", "metadata"].iter().any(|member| !order[*member].is_null());
    let leads_there = |place: &str| address(&order[place]) != text(&order[place], "country");
    let says = says || leads_there("shipping_address") || leads_there("billing_address");
    (!says).then(|| Forbidden("it does not say who it is for".to_owned()))
}

fn fact(name: &str, value: &str) -> Markup {
    html! { @if !value.is_empty() { dt { (name) } dd { (value) } } }
}

fn joined(part: &Value, members: &[&str]) -> String {
    let texts: Vec<&str> =
        members.iter().map(|member| text(part, member)).filter(|text| !text.is_empty()).collect();
    texts.join(", ")
}

fn address(address: &Value) -> String {
    let lines = list(address, "lines").iter().filter_map(Value::as_str);
    let who = joined(address, &["name", "company"]);
    let place = joined(address, &["postal_code", "city", "region", "country"]);
    let parts = std::iter::once(who.as_str()).chain(lines).chain([place.as_str()]);
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}
