//! What an order says beside who wants what, on its page.

use application::commands::needed_by_carrier;
use application::order_details::{Address, OrderDetails};
use bus_page::{Column, Forbidden, table};
use domain::OrderStatus;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::value::{amount, list, text};

/// Everything that the order says; nothing if it says nothing.
pub(super) fn details(order: &Value) -> Markup {
    let said = said(order);
    if said.is_empty() {
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
                (fact("Ships to", &address(said.shipping_address.as_ref())))
                (fact("Bill to", &address(said.billing_address.as_ref())))
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

/// Why nothing can be erased, if nothing can.
pub(super) fn not_erased(order: &Value) -> Option<Forbidden> {
    let said = said(order);
    if said.erased() == said {
        return Some(Forbidden("it does not say who it is for".to_owned()));
    }
    let status = text(order, "status").parse::<OrderStatus>().ok()?;
    needed_by_carrier(&said, status).map(Forbidden)
}

/// What it says, out of all that is told of it.
fn said(order: &Value) -> OrderDetails {
    OrderDetails::deserialize(order).unwrap_or_default()
}

fn fact(name: &str, value: &str) -> Markup {
    html! { @if !value.is_empty() { dt { (name) } dd { (value) } } }
}

fn joined(part: &Value, members: &[&str]) -> String {
    let texts: Vec<&str> =
        members.iter().map(|member| text(part, member)).filter(|text| !text.is_empty()).collect();
    texts.join(", ")
}

fn address(address: Option<&Address>) -> String {
    address.map(Address::to_string).unwrap_or_default()
}
