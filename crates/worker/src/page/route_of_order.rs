//! The way of an order: its steps, where it stands, what it waits for, and how long each stretch took.

use bus_page::{Bar, BarKind, TimerRow, ago};
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use super::value::{list, text, time};

/// The states of a saga on the way of an order that goes well, the fourth for one whose money is captured at its shipment.
const WAY: [&str; 6] =
    ["created", "inventory_reserved", "payment_processing", "paid", "shipped", "completed"];
const WAY_WITH_CAPTURE: [&str; 6] =
    ["created", "inventory_reserved", "payment_processing", "authorised", "shipped", "completed"];

/// What an open order waits for, in a word or two.
pub(super) fn waits_for(saga: &Value) -> String {
    let timer = timers(saga).first().map_or_else(String::new, |timer| format!(" (timer '{}')", timer.name));
    match text(saga, "state") {
        "created" => "stock".to_owned(),
        "inventory_reserved" => "the payment gateway's turn".to_owned(),
        "payment_processing" => format!("the payment gateway's answer{timer}"),
        "authorised" | "paid" => "the carrier to take the parcel".to_owned(),
        "shipped" if text(saga, "payment") == "capturing" && text(saga, "shipment") == "delivered" => {
            format!("the capture of its money{timer}")
        }
        "shipped" => "the parcel's delivery".to_owned(),
        "compensating" => match text(saga, "pending_undo") {
            "" => format!("its steps to be undone{timer}"),
            undo => format!("the undoing '{}'{timer}", undo.replace('_', " ")),
        },
        "needs_attention" => "a person".to_owned(),
        "on_hold" => "its holds to be released".to_owned(),
        "awaiting_stock" => format!("its goods to be in stock{timer}"),
        _ => "nothing".to_owned(),
    }
}

/// The timers of a saga, the next one first.
pub(super) fn timers(saga: &Value) -> Vec<TimerRow> {
    let timer = |timer: &Value| {
        Some(TimerRow { name: text(timer, "name").to_owned(), due_at: time(timer, "due_at")? })
    };
    list(saga, "timers").iter().filter_map(timer).collect()
}

/// The steps of the saga: those that are past, the one where it stands, those that remain.
pub(super) fn steps(saga: &Value, past: &[&str]) -> Markup {
    let state = text(saga, "state");
    let is_captured_late = past.contains(&"authorised") || state == "authorised";
    let way = if is_captured_late { WAY_WITH_CAPTURE } else { WAY };
    let off = !way.contains(&state);
    let reached = way.iter().rposition(|step| past.contains(step));
    let detour: Vec<&str> = match state {
        "compensating" => vec!["compensating", "failed"],
        "needs_attention" => vec!["needs_attention"],
        "on_hold" => vec!["on_hold"],
        "awaiting_stock" => vec!["awaiting_stock"],
        "failed" if past.contains(&"compensating") => vec!["compensating", "failed"],
        "failed" => vec!["failed"],
        _ => Vec::new(),
    };
    let ends = matches!(state, "failed" | "compensating");
    html! {
        ol .steps aria-label="Steps of the saga" {
            @for (at, step) in way.iter().enumerate() {
                @let passed = reached.is_some_and(|reached| at < reached || at == reached && (off || state == "completed"));
                @if !ends || passed {
                    li .past[passed] aria-current=[(*step == state).then_some("step")] { (words(step)) }
                }
            }
            @for step in detour {
                li .past[step != state && state == "failed"] .stuck[matches!(step, "needs_attention" | "on_hold")]
                    aria-current=[(step == state).then_some("step")] { (words(step)) }
            }
        }
    }
}

fn words(state: &str) -> String {
    state.replace('_', " ")
}

/// What the order was about between two entries of its timeline.
fn stretch(state: &str) -> (&'static str, BarKind) {
    match state {
        "inventory_reserved" => ("queued for the payment gateway", BarKind::Own),
        "payment_processing" => ("at the payment gateway", BarKind::Outside),
        "authorised" | "paid" => ("queued for the carrier, and booked", BarKind::Own),
        "shipped" => ("on its way", BarKind::Outside),
        "compensating" => ("being undone", BarKind::Undoing),
        "needs_attention" => ("waiting for a person", BarKind::Person),
        "on_hold" => ("on hold", BarKind::Person),
        "awaiting_stock" => ("waiting for its goods", BarKind::Outside),
        _ => ("validated and reserved", BarKind::Own),
    }
}

/// The stretches of a timeline as bars: neighbours of one kind are one. An order that is under way goes on until now.
pub(super) fn stretches(history: &[Value], is_over: bool, now: Timestamp) -> Vec<Bar> {
    let mut stretches: Vec<(&str, Timestamp, Timestamp)> = Vec::new();
    let mut state = "created";
    let mut begun = None;
    for entry in history {
        let Some(at) = time(entry, "at") else { continue };
        if let Some(from) = begun {
            match stretches.last_mut() {
                Some((last, _, end)) if *last == state => *end = at,
                Some(_) | None => stretches.push((state, from, at)),
            }
        }
        begun = Some(at);
        if let Some(after) = entry["saga_state"].as_str() {
            state = after;
        }
    }
    if let Some(from) = begun.filter(|_| !is_over) {
        match stretches.last_mut() {
            Some((last, _, end)) if *last == state => *end = now,
            Some(_) | None => stretches.push((state, from, now)),
        }
    }
    bars(&stretches)
}

fn bars(stretches: &[(&str, Timestamp, Timestamp)]) -> Vec<Bar> {
    let (Some((_, begin, _)), Some((_, _, end))) = (stretches.first(), stretches.last()) else {
        return Vec::new();
    };
    let seconds = |at: &Timestamp| at.duration_since(*begin).as_secs_f64();
    let whole = seconds(end).max(f64::MIN_POSITIVE);
    let bar = |(state, from, to): &(&str, Timestamp, Timestamp)| {
        let (label, kind) = stretch(state);
        let span = (seconds(from) / whole, seconds(to) / whole);
        Bar { label: label.to_owned(), took: took(*from, *to), kind, span }
    };
    stretches.iter().map(bar).collect()
}

/// A time as a person reads it: in milliseconds below a second.
pub(super) fn took(from: Timestamp, to: Timestamp) -> String {
    let millis = to.duration_since(from).as_millis();
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => ago(from, to),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_waterfall_joins_neighbours_and_tells_waiting_apart_from_work() {
        let history = [
            json!({"at": "2026-03-04T09:00:00Z", "event": "order_created", "saga_state": "created"}),
            json!({"at": "2026-03-04T09:00:00.010Z", "event": "order_validated"}),
            json!({"at": "2026-03-04T09:00:00.020Z", "event": "reserved", "saga_state": "inventory_reserved"}),
            json!({"at": "2026-03-04T09:00:02Z", "event": "called", "saga_state": "payment_processing"}),
            json!({"at": "2026-03-04T09:00:04Z", "event": "paid", "saga_state": "paid"}),
        ];
        let bars = stretches(&history, false, at("2026-03-04T09:00:08Z"));
        let seen: Vec<_> = bars.iter().map(|bar| (bar.label.as_str(), bar.took.as_str(), bar.kind)).collect();
        assert_eq!(
            seen,
            [
                ("validated and reserved", "20 ms", BarKind::Own),
                ("queued for the payment gateway", "1.9 s", BarKind::Own),
                ("at the payment gateway", "2.0 s", BarKind::Outside),
                ("queued for the carrier, and booked", "4.0 s", BarKind::Own),
            ]
        );
        assert_eq!(bars[2].span, (0.25, 0.5));
        let over = stretches(&history, true, at("2026-03-05T09:00:00Z"));
        assert_eq!(over.last().map(|bar| bar.span.1), Some(1.0));
        assert!(stretches(&[], true, at("2026-03-05T09:00:00Z")).is_empty());
    }

    #[test]
    fn the_steps_say_where_the_order_stands_and_what_remains() {
        let shown = |state: &str, past: &[&str]| steps(&json!({"state": state}), past).into_string();
        let on_its_way = shown("paid", &["created", "inventory_reserved", "payment_processing", "paid"]);
        assert!(on_its_way.contains("aria-current=\"step\">paid<"), "{on_its_way}");
        assert_eq!(on_its_way.matches("class=\"past\"").count(), 3);
        assert!(on_its_way.contains(">completed<"), "what remains");
        let undone = shown("failed", &["created", "inventory_reserved", "compensating"]);
        assert!(
            !undone.contains(">shipped<") && undone.contains("aria-current=\"step\">failed<"),
            "{undone}"
        );
        let asked =
            shown("needs_attention", &["created", "inventory_reserved", "payment_processing", "paid"]);
        assert!(asked.contains(">needs attention<") && asked.contains(">shipped<"), "{asked}");
    }
}
