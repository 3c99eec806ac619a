//! The returns of one order: what came back or is awaited, and what can be done about it.

use bus_page::{Action, Column, Field, Forbidden, table};
use maud::{Markup, html};
use serde_json::Value;

use super::value::{list, minor, number, text, when};
use super::visit::Visit;

/// What came back of an order, or is awaited; nothing if nothing is.
pub(super) fn returns(visit: &Visit, order: &Value) -> Markup {
    let all = list(order, "returns");
    if all.is_empty() {
        return html! {};
    }
    let columns = [
        Column::text("Status"),
        Column::text("Goods"),
        Column::text("Why"),
        Column::text("Asked"),
        Column::text("By"),
        Column::text("Ended"),
        Column::text("By"),
        Column::number("Paid back"),
    ];
    let currency = text(&order["total"], "currency");
    let row = |it: &Value| {
        vec![
            html! { @if is_open(it) { strong { "awaited" } } @else { (text(it, "status")) } },
            html! { @for line in list(it, "lines") { div { (goods(it, line)) } } },
            html! { (text(it, "reason")) },
            when(it, "requested_at", visit.now),
            html! { @if text(it, "actor").is_empty() { "the carrier" } @else { (text(it, "actor")) } },
            if is_open(it) {
                html! {}
            } else {
                when(it, "ended_at", visit.now)
            },
            html! { (text(it, "ended_by")) " " (text(it, "end_note")) },
            html! { @if it["refund_minor"].is_i64() {
                (minor(number(it, "refund_minor"), currency))
                @if text(it, "refunded_at").is_empty() { " asked for" }
            } },
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    html! { h2 { "Returns" } (table("What came back, or is awaited", &columns, &rows, "Nothing came back.")) }
}

fn goods(it: &Value, line: &Value) -> String {
    let (sku, quantity) = (text(line, "sku"), number(line, "quantity"));
    match text(it, "status") {
        "received" => {
            let (received, restocked) = (number(line, "received"), number(line, "restocked"));
            format!("{received} of {quantity} {sku}, {restocked} for sale again")
        }
        _ => format!("{quantity} {sku}"),
    }
}

/// A form to await goods, one to take them in, and one to await them no longer.
pub(super) fn actions(visit: &Visit, order: &Value, saga: &Value) -> Markup {
    let id = text(order, "order_id");
    let forbidden = || visit.forbidden(&format!("/orders/{id}/returns"));
    let all = list(order, "returns");
    let open: Vec<(&str, String)> = all.iter().filter(|it| is_open(it)).map(choice).collect();
    let open = || open.iter().map(|(id, label)| (*id, label.as_str())).collect::<Vec<_>>();
    let currency = text(&order["total"], "currency");
    let label = format!("Pay back in {currency}, such as {}; empty for nothing", minor(1_250, currency));
    let receive = (!open().is_empty()).then(|| Action {
        to: visit.at(format!("/orders/{id}/receive-return")),
        text: "Take a return in",
        does: "All that was awaited is here. What is for sale again is booked as received; money is asked back of the gateway.",
        fields: signed(
            vec![
                Field::Choice("return", "Which", open()),
                Field::Choice("restock", "Goods", vec![("no", "not for sale again"), ("yes", "for sale again")]),
                Field::Optional("amount", &label),
                Field::Hidden("currency", currency.to_owned()),
            ],
            visit,
            saga,
        ),
        is_grave: true,
        forbidden: forbidden(),
    });
    let cancel = (!open().is_empty()).then(|| Action {
        to: visit.at(format!("/orders/{id}/cancel-return")),
        text: "Await a return no longer",
        does: "Its goods may be asked for again.",
        fields: signed(vec![Field::Choice("return", "Which", open())], visit, saga),
        is_grave: false,
        forbidden: forbidden(),
    });
    let request = Action {
        to: visit.at(format!("/orders/{id}/returns")),
        text: "Await goods back",
        does: "All units of it that have not come back are awaited. For some of them, use `orders return` or the API.",
        fields: signed(Vec::new(), visit, saga),
        is_grave: false,
        forbidden: not_sent(order).or_else(forbidden),
    };
    html! {
        @if let Some(receive) = receive { (receive.render()) }
        @if let Some(cancel) = cancel { (cancel.render()) }
        (request.render())
    }
}

fn signed<'a>(mut fields: Vec<Field<'a>>, visit: &Visit, saga: &Value) -> Vec<Field<'a>> {
    fields.extend([
        Field::Text("note", "Why"),
        Field::Hidden("seen", text(saga, "updated_at").to_owned()),
        Field::Hidden("once", visit.once()),
    ]);
    fields
}

/// An awaited return, to choose it by.
fn choice(it: &Value) -> (&str, String) {
    const LABEL_CHARS_MAX: usize = 60;
    let goods: Vec<String> = list(it, "lines").iter().map(|line| goods(it, line)).collect();
    (text(it, "return_id"), goods.join(", ").chars().take(LABEL_CHARS_MAX).collect())
}

fn is_open(it: &Value) -> bool {
    text(it, "status") == "requested"
}

/// Why nothing of an order can come back, as far as its status alone tells.
fn not_sent(order: &Value) -> Option<Forbidden> {
    let why = match text(order, "status") {
        "shipped" | "delivered" => return None,
        "cancelled" => "it is cancelled",
        _ => "nothing of it has left yet",
    };
    Some(Forbidden(why.to_owned()))
}
