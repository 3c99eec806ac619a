//! The calls that an order made to its providers: under which key, when, and what came of each. Read from its timeline, so it
//! costs an order nothing.

use application::saga::EventKind;
use bus_page::{Column, table};
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use super::route_of_order::took;
use super::value::{text, time, when};

/// A call, by the entries of a timeline that begin it and end it.
struct Call {
    what: &'static str,
    /// The part of the order that holds its key.
    part: &'static str,
    /// The entry that is written when the call begins; none for what undoes another call.
    begins: Option<EventKind>,
    ends: &'static [EventKind],
}

const CALLS: [Call; 4] = [
    Call {
        what: "Charge",
        part: "payment",
        begins: Some(EventKind::PaymentStarted),
        ends: &[
            EventKind::PaymentAuthorised,
            EventKind::PaymentCaptured,
            EventKind::PaymentDeclined,
            EventKind::PaymentTimedOut,
            EventKind::PaymentVoided,
            EventKind::AmountMismatch,
        ],
    },
    Call {
        what: "Book the parcel",
        part: "shipment",
        begins: Some(EventKind::ShippingStarted),
        ends: &[EventKind::ShipmentBooked, EventKind::ShipmentRefused, EventKind::ShippingTimedOut],
    },
    Call {
        what: "Call the parcel off",
        part: "shipment",
        begins: None,
        ends: &[EventKind::ShipmentCancelled, EventKind::ShipmentKept],
    },
    Call { what: "Give the money back", part: "payment", begins: None, ends: &[EventKind::PaymentRefunded] },
];

/// The calls as a table, oldest first.
pub(super) fn calls(order: &Value, history: &[Value], now: Timestamp) -> Markup {
    let columns = [
        Column::text("Call"),
        Column::text("Our key"),
        Column::text("Asked"),
        Column::text("Answer"),
        Column::number("Took"),
    ];
    let rows: Vec<_> = made(history)
        .into_iter()
        .map(|(call, asked, answer)| {
            let told = answer.map(|entry| {
                let (words, reference) = in_words(order, text(entry, "event"));
                html! {
                    (words)
                    @if !reference.is_empty() { " " code { (reference) } }
                    @if !text(entry, "detail").is_empty() { span .soft { " " (text(entry, "detail")) } }
                }
            });
            let span =
                asked.and_then(|asked| time(asked, "at")).zip(answer.and_then(|answer| time(answer, "at")));
            vec![
                html! { (call.what) },
                html! { code { (text(&order[call.part], "idempotency_key")) } },
                asked.map_or_else(|| html! { "–" }, |asked| when(asked, "at", now)),
                told.unwrap_or_else(|| html! { em { "none yet" } }),
                span.map_or_else(|| html! { "–" }, |(from, to)| html! { (took(from, to)) }),
            ]
        })
        .collect();
    table("What was asked of the providers", &columns, &rows, "No provider was asked yet.")
}

/// Each call with the entries at its beginning and its end.
fn made(history: &[Value]) -> Vec<(&'static Call, Option<&Value>, Option<&Value>)> {
    let mut made = Vec::new();
    for (at, entry) in history.iter().enumerate() {
        let event = text(entry, "event");
        for call in &CALLS {
            let is_end = |entry: &Value| call.ends.iter().any(|end| end.as_str() == text(entry, "event"));
            if call.begins.is_some_and(|begins| begins.as_str() == event) {
                // A call that began anew took over from the one before.
                let until = |later: &&Value| text(later, "event") != event;
                let later = history[at + 1..].iter().take_while(until);
                made.push((call, Some(entry), later.into_iter().find(|later| is_end(later))));
            } else if call.begins.is_none() && is_end(entry) {
                made.push((call, None, Some(entry)));
            }
        }
    }
    made
}

/// What an answer says, and the provider's own word for it.
fn in_words<'a>(order: &'a Value, event: &str) -> (String, &'a str) {
    let (payment, shipment) = (&order["payment"], &order["shipment"]);
    let known = [
        (EventKind::PaymentAuthorised, "authorised", text(payment, "provider_reference")),
        (EventKind::PaymentCaptured, "captured", text(payment, "provider_reference")),
        (EventKind::PaymentDeclined, "declined", text(payment, "decline_code")),
        (EventKind::ShipmentBooked, "booked", text(shipment, "tracking_number")),
        (EventKind::PaymentTimedOut, "not in time", ""),
        (EventKind::PaymentVoided, "given up", ""),
        (EventKind::AmountMismatch, "another amount", ""),
        (EventKind::ShippingTimedOut, "not in time", ""),
        (EventKind::ShipmentRefused, "refused", ""),
        (EventKind::ShipmentCancelled, "called off", ""),
        (EventKind::ShipmentKept, "cannot be called off", ""),
        (EventKind::PaymentRefunded, "given back", ""),
    ];
    let found = known.into_iter().find(|(kind, _, _)| kind.as_str() == event);
    found.map_or_else(|| (event.to_owned(), ""), |(_, words, reference)| (words.to_owned(), reference))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_has_its_own_answer_and_one_without_is_shown_as_open() {
        let history: Vec<Value> = [
            ("PaymentStarted", 0),
            ("PaymentStarted", 5),
            ("PaymentProcessed", 6),
            ("ShippingStarted", 7),
            ("ShippingTimedOut", 9),
            ("PaymentRefunded", 10),
        ]
        .into_iter()
        .map(|(event, second)| json!({"event": event, "at": format!("2026-03-04T09:00:{second:02}Z")}))
        .collect();
        let seen: Vec<_> = made(&history)
            .into_iter()
            .map(|(call, asked, answer)| {
                (call.what, asked.is_some(), answer.map(|entry| text(entry, "event")))
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("Charge", true, None),
                ("Charge", true, Some("PaymentProcessed")),
                ("Book the parcel", true, Some("ShippingTimedOut")),
                ("Give the money back", false, Some("PaymentRefunded")),
            ]
        );
        let order = json!({"payment": {"idempotency_key": "pay-1", "provider_reference": "ch_7"}});
        let shown = calls(&order, &history, "2026-03-04T10:00:00Z".parse().expect("a time")).into_string();
        assert!(shown.contains("pay-1") && shown.contains("ch_7") && shown.contains("1.0 s"), "{shown}");
        assert!(shown.contains("none yet"), "{shown}");
    }
}
