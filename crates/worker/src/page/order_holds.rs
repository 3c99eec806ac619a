//! The holds of one order: which there are and were, and what can be done about them.

use bus_page::{Action, Column, Field, Forbidden, table};
use maud::{Markup, html};
use serde_json::Value;

use super::value::{list, text, when};
use super::visit::Visit;

/// The holds that an order has and had; nothing for an order that never had one.
pub(super) fn holds(visit: &Visit, order: &Value) -> Markup {
    let all = list(order, "holds");
    if all.is_empty() {
        return html! {};
    }
    let columns = [
        Column::text("Before"),
        Column::text("Why"),
        Column::text("Placed"),
        Column::text("By"),
        Column::text("Released"),
        Column::text("By"),
    ];
    let row = |hold: &Value| {
        vec![
            html! { (text(hold, "before")) },
            html! { (text(hold, "reason")) },
            when(hold, "placed_at", visit.now),
            html! { @if text(hold, "actor").is_empty() { "a rule" } @else { (text(hold, "actor")) } },
            if is_open(hold) {
                html! { strong { "not yet" } }
            } else {
                when(hold, "released_at", visit.now)
            },
            html! { (text(hold, "released_by")) " " (text(hold, "release_note")) },
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    html! { h2 { "Holds" } (table("Why it waits, or waited", &columns, &rows, "It has no holds.")) }
}

/// A form to release one of the open holds, and one to place another.
pub(super) fn actions(visit: &Visit, order: &Value, saga: &Value) -> Markup {
    let id = text(order, "order_id");
    let forbidden = || visit.forbidden(&format!("/orders/{id}/holds"));
    let all = list(order, "holds");
    let open: Vec<(&str, String)> = all.iter().filter(|hold| is_open(hold)).map(choice).collect();
    let open: Vec<(&str, &str)> = open.iter().map(|(id, label)| (*id, label.as_str())).collect();
    let release = (!open.is_empty()).then(|| Action {
        to: visit.at(format!("/orders/{id}/release")),
        text: "Release a hold",
        does: "The order goes on if it was the last before its next step.",
        fields: signed(Field::Choice("hold", "Which", open), visit, saga),
        is_grave: false,
        forbidden: forbidden(),
    });
    let steps = vec![("payment", "its payment"), ("shipping", "its parcel")];
    let place = Action {
        to: visit.at(format!("/orders/{id}/holds")),
        text: "Put on hold",
        does: "It waits before its payment or its parcel until the hold is released; its limit stops and its stock stays reserved.",
        fields: signed(Field::Choice("before", "Before", steps), visit, saga),
        is_grave: false,
        forbidden: not_held(order, saga).or_else(forbidden),
    };
    html! {
        @if let Some(release) = release { (release.render()) }
        (place.render())
    }
}

fn signed<'a>(field: Field<'a>, visit: &Visit, saga: &Value) -> Vec<Field<'a>> {
    vec![
        field,
        Field::Text("note", "Why"),
        Field::Hidden("seen", text(saga, "updated_at").to_owned()),
        Field::Hidden("once", visit.once()),
    ]
}

/// An open hold, to choose it by.
fn choice(hold: &Value) -> (&str, String) {
    const REASON_CHARS_MAX: usize = 60;
    let reason: String = text(hold, "reason").chars().take(REASON_CHARS_MAX).collect();
    (text(hold, "hold_id"), format!("before {}: {reason}", text(hold, "before")))
}

fn is_open(hold: &Value) -> bool {
    text(hold, "released_at").is_empty()
}

/// Why an order cannot be put on hold any more, as far as its state alone tells.
fn not_held(order: &Value, saga: &Value) -> Option<Forbidden> {
    let why = match (text(order, "status"), text(saga, "shipment")) {
        ("cancelled", _) => "it is cancelled",
        _ if !saga["reason"].is_null() => "it is being cancelled",
        (_, "none") => return None,
        (_, _) => "its carrier was asked for the parcel",
    };
    Some(Forbidden(why.to_owned()))
}
