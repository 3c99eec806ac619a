//! Stock: levels, and for one product why its level is what it is, who holds it, and what can be booked.

use axum::extract::Path;
use axum::response::Response;
use bus_page::{Action, Column, Field, badge, pager, table};
use maud::{Markup, html};
use serde_json::Value;
use tokio::join;

use super::value::{list, number, query, segment, state, text, when};
use super::visit::{Shown, Visit};

/// Movements, and reservations, of one page.
const PAGE: &str = "25";

pub(super) async fn show(visit: Visit) -> Response {
    let (low, cursor) = (visit.asked("low"), visit.asked("cursor"));
    let heard = visit.get(&format!("/inventory{}", query(&[("low", low), ("cursor", cursor)]))).await;
    if !heard.is_success() {
        return visit.fail("/stock", &heard);
    }
    let columns = [
        Column::text("Product"),
        Column::number("Available"),
        Column::number("Reserved"),
        Column::number("Short"),
        Column::number("Reorder at"),
        Column::text("State"),
        Column::text("Last moved"),
    ];
    let rows: Vec<_> = list(&heard.body, "items").iter().map(|level| row(&visit, level)).collect();
    let next = text(&heard.body, "next_cursor");
    let at = |cursor: &str| visit.at(format!("/stock{}", query(&[("low", low), ("cursor", cursor)])));
    let content = html! {
        form .filter method="get" action=(visit.at("/stock")) {
            label .tick { input type="checkbox" name="low" value="true" checked[low == "true"]; "Only what is low" }
            button type="submit" { "Show" }
        }
        (table("Stock by product", &columns, &rows, "No product matches."))
        (pager((!cursor.is_empty()).then(|| at("")).as_deref(), (!next.is_empty()).then(|| at(next)).as_deref()))
    };
    visit.show(&Shown { title: "Stock", here: "/stock", topics: "" }, &content)
}

fn row(visit: &Visit, level: &Value) -> Vec<Markup> {
    let sku = text(level, "sku");
    vec![
        html! { a href=(visit.at(format!("/stock/{}", segment(sku)))) { (sku) } },
        html! { (number(level, "available")) },
        html! { (number(level, "reserved")) },
        html! { (number(level, "short")) },
        html! { (number(level, "reorder_level")) },
        html! { @if level["low"] == true { (badge("low")) } @else { (badge("enough")) } },
        when(level, "last_updated", visit.now),
    ]
}

pub(super) async fn show_product(visit: Visit, Path(sku): Path<String>) -> Response {
    let at = format!("/inventory/{}", segment(&sku));
    let movements = format!("{at}/movements{}", query(&[("cursor", visit.asked("cursor")), ("limit", PAGE)]));
    let reservations = format!("{at}/reservations?limit={PAGE}");
    let (level, movements, reservations) =
        join!(visit.get(&at), visit.get(&movements), visit.get(&reservations));
    if !level.is_success() {
        return visit.fail("/stock", &level);
    }
    let (level, movements, reservations) = (level.body, movements.body, reservations.body);
    let content = html! {
        (sum(&level))
        div .two {
            div { h2 { "Reserved for" } (reserved(&visit, &sku, &reservations)) }
            div { h2 { "Book" } (actions(&visit, &level)) }
        }
        h2 { "Why it is so: movements" }
        (ledger(&visit, &level, &movements))
    };
    let title = format!("Stock of {}", text(&level, "sku"));
    visit.show(&Shown { title: &title, here: "/stock", topics: "" }, &content)
}

/// The level as the sum that it is.
fn sum(level: &Value) -> Markup {
    let part = |name: &str| number(level, name);
    html! {
        p .lead {
            (part("received")) " received " (signed(part("adjusted"))) " adjusted " (signed(part("short"))) " short = "
            strong { (part("available")) " available" } " + " (part("reserved")) " reserved + " (part("shipped")) " shipped"
        }
        @if level["low"] == true { p { (badge("low")) " At or below its reorder level, " (part("reorder_level")) "." } }
        @if part("short") > 0 {
            p .error { (part("short")) " units are promised to orders and not in stock." }
        }
    }
}

fn signed(figure: i64) -> String {
    if figure < 0 { format!("− {}", figure.unsigned_abs()) } else { format!("+ {figure}") }
}

fn reserved(visit: &Visit, sku: &str, page: &Value) -> Markup {
    let columns = [
        Column::text("Order"),
        Column::text("Reference"),
        Column::number("Units"),
        Column::text("Status"),
        Column::text("Since"),
    ];
    let row = |held: &Value| {
        let id = text(held, "order_id");
        vec![
            html! { a href=(visit.at(format!("/orders/{id}"))) { (bus_page::short_id(id)) } },
            html! { (text(held, "external_reference")) },
            html! { (number(held, "units")) },
            state(held, "status"),
            when(held, "since", visit.now),
        ]
    };
    let rows: Vec<_> = list(page, "items").iter().map(row).collect();
    html! {
        p { a href=(visit.at(format!("/orders{}", query(&[("sku", sku), ("saga_state", "awaiting_stock")])))) { "Orders that wait for it" } }
        (table("Open orders that hold units, oldest first", &columns, &rows, "No order holds any."))
        @if !text(page, "next_cursor").is_empty() { p .soft { "There are more than these " (PAGE) "." } }
    }
}

fn actions(visit: &Visit, level: &Value) -> Markup {
    let sku = text(level, "sku");
    let seen = number(level, "received") + number(level, "adjusted");
    let booking = |action: &str, text: &'static str, does: &'static str, label: &'static str, least: i64| {
        let at = segment(sku);
        Action {
            to: visit.at(format!("/stock/{at}/{action}")),
            text,
            does,
            fields: vec![
                Field::Number("quantity", label, least),
                Field::Text("note", "Why"),
                Field::Hidden("seen", seen.to_string()),
                Field::Hidden("once", visit.once()),
            ],
            is_grave: false,
            forbidden: visit.forbidden(&format!("/inventory/{at}/{action}")),
        }
    };
    html! {
        (booking("receive", "Receive", "Goods have arrived.", "Units", 1).render())
        (booking("count", "Book a count", "This many were counted, those reserved among them.", "Counted", 0).render())
        (booking("adjust", "Adjust", "Corrects the level by a difference.", "Difference", -domain::UNITS_MAX).render())
    }
}

fn ledger(visit: &Visit, level: &Value, page: &Value) -> Markup {
    let columns =
        [Column::text("When"), Column::text("What"), Column::number("Units"), Column::text("Cause")];
    let row = |movement: &Value| {
        vec![
            when(movement, "at", visit.now),
            html! { (text(movement, "kind")) },
            html! { (number(movement, "quantity")) },
            cause(visit, text(movement, "cause")),
        ]
    };
    let rows: Vec<_> = list(page, "items").iter().map(row).collect();
    let at = |cursor: &str| {
        visit.at(format!("/stock/{}{}", segment(text(level, "sku")), query(&[("cursor", cursor)])))
    };
    let (first, next) = (visit.asked("cursor"), text(page, "next_cursor"));
    html! {
        (table("The latest movements", &columns, &rows, "Nothing has moved yet."))
        (pager((!first.is_empty()).then(|| at("")).as_deref(), (!next.is_empty()).then(|| at(next)).as_deref()))
    }
}

/// The cause of a movement; an order as a link.
fn cause(visit: &Visit, cause: &str) -> Markup {
    let order = cause.rsplit(' ').next().filter(|word| word.parse::<uuid::Uuid>().is_ok());
    match order {
        Some(id) => html! { a href=(visit.at(format!("/orders/{id}"))) { (cause) } },
        None => html! { (cause) },
    }
}
