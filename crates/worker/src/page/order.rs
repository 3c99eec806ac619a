//! One order: where it stands and why, its way in time, money, parcel, stock, calls, and what can be done.

use application::commands::too_late_to_change;
use axum::extract::Path;
use axum::response::Response;
use bus_page::{Action, Column, Field, Forbidden, fragment, table, timer, waterfall};
use http::Method;
use maud::{Markup, html};
use serde_json::Value;
use tokio::join;

use super::acting::{ADDRESS_FIELDS, CONTACT_FIELDS};
use super::calls::calls;
use super::order_details::{details, not_erased};
use super::route_of_order::{steps, stretches, timers, waits_for};
use super::value::{amount, list, minor, number, segment, state, text, when};
use super::visit::{Shown, Visit};
use super::{order_holds, order_lines, order_returns};

/// Lines of an order, and entries of its timeline, that are shown unless all are asked for.
const LINES_SHOWN_MAX: usize = 25;
const ENTRIES_SHOWN_MAX: usize = 25;

pub(super) async fn show(visit: Visit, Path(id): Path<String>) -> Response {
    let at = format!("/orders/{}", segment(&id));
    let (of_history, of_saga) = (format!("{at}/history"), format!("{at}/saga"));
    let (order, history, saga) = join!(visit.get(&at), visit.get(&of_history), visit.get(&of_saga));
    if !order.is_success() {
        return visit.fail("/orders", &order);
    }
    let order = order.body;
    let (history, saga) = (history.body, saga.body);
    let id = text(&order, "order_id");
    let topic = format!("order:{id}");
    let history = list(&history, "items");
    let shown = if is_whole(&visit) { history } else { latest(history) };
    let content = html! {
        (fragment("head", &topic, &head(&visit, &order, &saga)))
        (fragment("way", &topic, &way(&visit, &saga, history, shown)))
        (fragment("holds", &topic, &order_holds::holds(&visit, &order)))
        (fragment("returns", &topic, &order_returns::returns(&visit, &order)))
        (fragment("parts", &topic, &parts(&visit, &order)))
        (fragment("details", &topic, &details(&order)))
        h2 { "Calls" }
        (fragment("calls", &topic, &calls(&order, shown, visit.now)))
        h2 { "What can be done" }
        (fragment("actions", &topic, &actions(&visit, &order, &saga)))
        h2 { "Timeline" }
        (fragment("timeline", &topic, &html! { (rest(history.len(), shown.len())) (timeline(&visit, shown)) }))
    };
    let title = match text(&order, "external_reference") {
        "" => format!("Order {id}"),
        reference => format!("Order {reference}"),
    };
    visit.show(&Shown { title: &title, here: "/orders", topics: &topic }, &content)
}

/// Whether somebody wants to see all of an order, however much that is.
fn is_whole(visit: &Visit) -> bool {
    visit.asked("all") == "yes"
}

/// The last entries of a timeline.
fn latest(history: &[Value]) -> &[Value] {
    &history[history.len().saturating_sub(ENTRIES_SHOWN_MAX)..]
}

/// How many are not shown, and where all are.
fn rest(all: usize, shown: usize) -> Markup {
    html! {
        @if all > shown { p .soft { (shown) " of " (all) " are shown. " a href="?all=yes" { "Show all" } } }
    }
}

fn head(visit: &Visit, order: &Value, saga: &Value) -> Markup {
    let is_over = matches!(text(saga, "state"), "completed" | "failed");
    // An order's trace has the order's id.
    let trace = text(order, "order_id").replace('-', "");
    let template = &visit.page.parts.trace_link;
    let link = (!template.is_empty()).then(|| template.replace("{trace_id}", &trace));
    html! {
        dl .facts {
            dt { "Status" } dd { (state(order, "status")) }
            @if !is_over { dt { "Waits for" } dd { strong { (waits_for(saga)) } } }
            dt { "Order" } dd { code { (text(order, "order_id")) } }
            @if !text(order, "external_reference").is_empty() {
                dt { "Reference" } dd { (text(order, "external_reference")) }
            }
            dt { "Customer" } dd { (text(order, "customer_id")) }
            dt { "Total" } dd { (amount(order, "total")) }
            dt { "Accepted" } dd { (when(order, "created_at", visit.now)) }
            @for row in timers(saga) { dt { "Timer" } dd { (timer(&row, visit.now)) } }
            @if !text(order, "cancel_reason").is_empty() {
                dt { "Cancelled because" }
                dd { (text(order, "cancel_reason").replace('_', " ")) " " (text(order, "cancel_note")) }
            }
            dt { "Trace" }
            dd {
                @match link {
                    Some(link) => a href=(link) rel="noreferrer" { code { (trace) } },
                    None => code { (trace) },
                }
            }
        }
    }
}

fn way(visit: &Visit, saga: &Value, history: &[Value], shown: &[Value]) -> Markup {
    let mut past = vec!["created"];
    past.extend(history.iter().filter_map(|entry| entry["saga_state"].as_str()));
    let is_over = matches!(text(saga, "state"), "completed" | "failed");
    let bars = stretches(shown, is_over, visit.now);
    let kinds = [
        ("own", "our own work and queues"),
        ("outside", "waiting for outside"),
        ("person", "waiting for a person"),
        ("undoing", "undoing"),
    ];
    html! {
        h2 { "Its way" }
        (steps(saga, &past))
        @if !bars.is_empty() {
            (waterfall("How long each stretch took", &bars))
            p .key {
                @for (class, words) in kinds {
                    span { svg aria-hidden="true" viewBox="0 0 12 12" { rect class=(class) width="12" height="12" {} } (words) }
                }
            }
        }
    }
}

fn parts(visit: &Visit, order: &Value) -> Markup {
    let columns = [
        Column::text("Product"),
        Column::number("Units"),
        Column::number("Cancelled"),
        Column::number("Price of one"),
    ];
    let line = |line: &Value| {
        let sku = text(line, "sku");
        vec![
            html! { a href=(visit.at(format!("/stock/{}", segment(sku)))) { (sku) } },
            html! { (number(line, "quantity")) },
            html! { @if line["cancelled"].is_u64() { (number(line, "cancelled")) } },
            html! { (amount(line, "unit_price")) },
        ]
    };
    let all = list(order, "lines");
    let shown_max = if is_whole(visit) { all.len() } else { LINES_SHOWN_MAX };
    let lines: Vec<_> = all.iter().take(shown_max).map(line).collect();
    let currency = text(&order["total"], "currency");
    html! {
        div .two {
            div { h2 { "Lines" } (table("What was ordered", &columns, &lines, "It has no lines."))
                (rest(all.len(), lines.len()))
            }
            div {
                h2 { "Money" }
                (money(&order["payment"], currency))
                h2 { "Parcel" }
                (parcel(&order["shipment"]))
            }
        }
    }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { @if !value.is_empty() { dt { (name) } dd { (value) } } }
}

fn money(payment: &Value, currency: &str) -> Markup {
    if payment.is_null() {
        return html! { p .none { "No payment was asked for yet." } };
    }
    html! {
        dl .facts {
            dt { "Status" } dd { (state(payment, "status")) }
            dt { "Captured" } dd { (minor(number(payment, "captured_minor"), currency)) }
            dt { "Refunded" } dd { (minor(number(payment, "refunded_minor"), currency)) }
            dt { "Our key" } dd { code { (text(payment, "idempotency_key")) } }
            (fact("Charge at the gateway", text(payment, "provider_reference")))
            (fact("Declined because", text(payment, "decline_code")))
            (fact("Authorised until", text(payment, "authorised_until")))
            @if !text(payment, "disputed").is_empty() { dt { "Dispute" } dd { (state(payment, "disputed")) } }
        }
    }
}

fn parcel(shipment: &Value) -> Markup {
    if shipment.is_null() {
        return html! { p .none { "No parcel was asked for yet." } };
    }
    html! {
        dl .facts {
            dt { "Status" } dd { (state(shipment, "status")) }
            dt { "Our key" } dd { code { (text(shipment, "idempotency_key")) } }
            (fact("Tracking number", text(shipment, "tracking_number")))
            (fact("Carrier", text(shipment, "carrier")))
        }
    }
}

/// Why an order in this state cannot be cancelled, as far as its state alone tells.
fn not_cancelled(order: &Value) -> Option<Forbidden> {
    let why = match text(order, "status") {
        "shipped" => "the parcel is with the carrier; refund it or have it sent back",
        "delivered" => "it is delivered; money can be refunded",
        "cancelled" => "it is cancelled",
        _ => return None,
    };
    Some(Forbidden(why.to_owned()))
}

fn not_refunded(order: &Value) -> Option<Forbidden> {
    let payment = &order["payment"];
    let held = number(payment, "captured_minor") - number(payment, "refunded_minor");
    let why = match (held, text(payment, "disputed"), text(order, "status")) {
        (..=0, _, _) => "no money is held",
        (_, "open", _) => "the customer's bank decides about the money",
        (_, "lost", _) => "the dispute was lost, so the bank has taken the money",
        (_, _, "shipped" | "delivered") => return None,
        (_, _, _) => "it is not shipped; cancelling it gives the money back",
    };
    Some(Forbidden(why.to_owned()))
}

/// Why it is too late to send it elsewhere, if it is.
fn not_changed(order: &Value, saga: &Value) -> Option<Forbidden> {
    let status = text(order, "status").parse().ok()?;
    let (state, shipment) = (text(saga, "state").parse().ok()?, text(saga, "shipment").parse().ok()?);
    too_late_to_change(status, state, shipment, !saga["reason"].is_null()).map(Forbidden)
}

fn not_told(visit: &Visit, order: &Value) -> Option<Forbidden> {
    let why = match text(order, "status") {
        _ if visit.page.parts.channels.is_empty() => {
            "no channel for notifications is configured (notifications.ways)"
        }
        "pending" | "validated" | "payment_processing" => "the customer was told nothing yet",
        _ => return None,
    };
    Some(Forbidden(why.to_owned()))
}

fn actions(visit: &Visit, order: &Value, saga: &Value) -> Markup {
    let id = text(order, "order_id");
    let at = |action: &str| visit.at(format!("/orders/{id}/{action}"));
    let forbidden = |action: &str| visit.forbidden(&format!("/orders/{id}/{action}"));
    let cancel = Action {
        to: at("cancel"),
        text: "Cancel the order",
        does: "Undoes what was done, last step first, and gives the money back.",
        fields: vec![
            Field::Choice("reason", "Whose wish", vec![("customer", "the customer's"), ("operator", "ours")]),
            Field::Text("note", "Why"),
            Field::Hidden("once", visit.once()),
        ],
        is_grave: true,
        forbidden: not_cancelled(order).or_else(|| forbidden("cancel")),
    };
    let currency = text(&order["total"], "currency");
    let label = format!("Amount in {currency}, such as {}", minor(1_250, currency));
    let refund = Action {
        to: at("refunds"),
        text: "Refund",
        does: "Gives a part of the money back, or all of it.",
        fields: vec![
            Field::Text("amount", &label),
            Field::Text("note", "Why"),
            Field::Hidden("currency", currency.to_owned()),
            Field::Hidden("seen", text(saga, "updated_at").to_owned()),
            Field::Hidden("once", visit.once()),
        ],
        is_grave: true,
        forbidden: not_refunded(order).or_else(|| forbidden("refunds")),
    };
    let tell = Action {
        to: at("notifications"),
        text: "Tell the customer again",
        does: "Sends the notification about where the order stands once more, under the same id, through every channel.",
        fields: vec![Field::Text("note", "Why"), Field::Hidden("once", visit.once())],
        is_grave: false,
        forbidden: not_told(visit, order).or_else(|| forbidden("notifications")),
    };
    let erase = Action {
        to: at("erase-contact"),
        text: "Erase who it is for",
        does: "Contact, addresses but for their countries, note and metadata are gone for good. Lines, money and history stay.",
        fields: vec![Field::Text("note", "Why"), Field::Hidden("once", visit.once())],
        is_grave: true,
        forbidden: not_erased(order).or_else(|| forbidden("erase-contact")),
    };
    html! {
        (cancel.render())
        (refund.render())
        (tell.render())
        (order_holds::actions(visit, order, saga))
        (order_lines::action(visit, order, saga))
        (order_returns::actions(visit, order, saga))
        (change(visit, order, saga))
        (erase.render())
        (choices(visit, saga))
    }
}

/// The form that sends an order elsewhere.
fn change(visit: &Visit, order: &Value, saga: &Value) -> Markup {
    let id = text(order, "order_id");
    let changed = |part: &str, fields: &[(&str, &'static str)]| -> Vec<(String, &'static str)> {
        fields.iter().map(|(member, label)| (format!("{part}.{member}"), *label)).collect()
    };
    let changes = [changed("shipping_address", ADDRESS_FIELDS), changed("contact", CONTACT_FIELDS)].concat();
    let mut fields: Vec<Field<'_>> =
        changes.iter().map(|(name, label)| Field::Optional(name, label)).collect();
    fields.extend([
        Field::Text("note", "Why"),
        Field::Hidden("seen", text(saga, "updated_at").to_owned()),
        Field::Hidden("once", visit.once()),
    ]);
    let action = Action {
        to: visit.at(format!("/orders/{id}/change")),
        text: "Send it elsewhere",
        does: "What is filled in takes the place of the whole address, or of the whole contact.",
        fields,
        is_grave: false,
        forbidden: not_changed(order, saga)
            .or_else(|| visit.forbidden_by(&Method::PATCH, &format!("/orders/{id}"))),
    };
    action.render()
}

/// What a person may decide about a saga that waits for one, each choice with what it would do.
pub(super) fn choices(visit: &Visit, saga: &Value) -> Markup {
    let attention = &saga["attention"];
    if attention.is_null() {
        return html! {};
    }
    let id = text(saga, "order_id");
    let choice = |name: &str| Action {
        to: visit.at(format!("/orders/{id}/{name}")),
        text: match name {
            "retry" => "Retry",
            "skip" => "Skip",
            _ => "Force",
        },
        does: text(attention, name),
        fields: vec![
            Field::Text("note", "Why"),
            Field::Hidden("seen", text(saga, "updated_at").to_owned()),
            Field::Hidden("once", visit.once()),
        ],
        is_grave: name == "force",
        forbidden: visit.forbidden(&format!("/sagas/{id}/{name}")),
    };
    html! {
        p { strong { "It needs a person: " } (text(attention, "why")) " " span .soft { "(" (text(attention, "cause")) ")" } }
        @for name in ["retry", "skip", "force"] { (choice(name).render()) }
    }
}

fn timeline(visit: &Visit, history: &[Value]) -> Markup {
    let columns = [
        Column::text("When"),
        Column::text("What"),
        Column::text("Order"),
        Column::text("Saga"),
        Column::text("Detail"),
    ];
    let row = |entry: &Value| {
        vec![
            when(entry, "at", visit.now),
            html! { (text(entry, "event").replace('_', " ")) },
            state(entry, "status"),
            html! { (text(entry, "saga_state").replace('_', " ")) },
            html! { (text(entry, "detail")) },
        ]
    };
    let rows: Vec<_> = history.iter().map(row).collect();
    table("Everything that happened, oldest first", &columns, &rows, "Nothing has happened yet.")
}
