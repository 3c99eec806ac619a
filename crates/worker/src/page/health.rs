//! Health of every part, and whether the books balance.

use axum::response::Response;
use bus_page::{Column, badge, fragment, table};
use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use super::value::{list, number, query, state, text, when};
use super::visit::{Shown, Visit};

/// The laws that the books are held against, by number.
const LAWS: [&str; 6] = [
    "every order ends, or is with a person",
    "shipped means paid; cancelled means no money held",
    "stock adds up",
    "one charge per order",
    "order and saga agree",
    "every event of a provider is in a history or in the unmatched list",
];

pub(super) async fn show(visit: Visit) -> Response {
    let report = visit.get("/health").await;
    // A service that is ill answers 503, and says how.
    if report.status == StatusCode::FORBIDDEN {
        return visit.fail("/health", &report);
    }
    let report = report.body;
    let checked = match visit.asked("check") {
        "" => None,
        "provider" => Some(visit.get(&format!("/check{}", query(&[("against", "provider")]))).await),
        _ => Some(visit.get("/check").await),
    };
    let result = match &checked {
        None => last(&visit),
        Some(heard) if heard.is_success() => books(&visit, &heard.body),
        Some(heard) => html! { p .error role="alert" { (heard.why()) } },
    };
    let content = html! {
        (fragment("parts", "health samples", &parts(&visit, &report)))
        h2 { "Books" }
        (result)
        form .filter method="get" action=(visit.at("/health")) {
            button type="submit" name="check" value="books" { "Check the books now" }
            button type="submit" name="check" value="provider" { "Check them against the gateway's" }
        }
    };
    visit.show(&Shown { title: "Health and books", here: "/health", topics: "health samples" }, &content)
}

fn parts(visit: &Visit, report: &Value) -> Markup {
    let columns =
        [Column::text("Part"), Column::text("State"), Column::text("What was seen"), Column::text("Since")];
    let row = |check: &Value| {
        vec![
            html! { (text(check, "name")) },
            state(check, "status"),
            html! { (text(check, "detail")) },
            when(check, "since", visit.now),
        ]
    };
    let rows: Vec<_> = list(report, "checks").iter().map(row).collect();
    let uses = &report["uses"];
    html! {
        p { "All in all: " (badge(text(report, "status"))) " · version " (text(report, "version")) }
        (table("Parts of the service", &columns, &rows, "No check was made yet."))
        dl .facts {
            @for name in ["profile", "database", "broker", "payment_gateway", "shipping_provider"] {
                dt { (name.replace('_', " ")) } dd { (text(uses, name)) }
            }
        }
    }
}

/// What the last check of the service itself found.
fn last(visit: &Visit) -> Markup {
    match visit.page.parts.observation.books.last() {
        None => html! { p .none { "This worker has not checked the books yet." } },
        Some(checked) => {
            let rows = checked.broken.iter().map(|broken| {
                vec![html! { (broken.invariant) }, html! { (broken.subject) }, html! { (broken.detail) }]
            });
            let rows: Vec<_> = rows.collect();
            html! {
                p .soft { "Last checked " (bus_page::moment(checked.checked_at, visit.now)) "." }
                (broken(&rows))
            }
        }
    }
}

fn broken(rows: &[Vec<Markup>]) -> Markup {
    let columns = [Column::number("Law"), Column::text("Order or product"), Column::text("What is wrong")];
    html! {
        @if rows.is_empty() {
            ul { @for law in LAWS { li { (badge("done")) " " (law) } } }
        }
        (table("What is wrong", &columns, rows, "The books balance."))
    }
}

fn books(visit: &Visit, check: &Value) -> Markup {
    let subject = |subject: &str| match subject.parse::<uuid::Uuid>() {
        Ok(id) => html! { a href=(visit.at(format!("/orders/{id}"))) { (subject) } },
        Err(_) => html! { (subject) },
    };
    let row = |found: &Value| {
        vec![
            html! { (number(found, "invariant")) },
            subject(text(found, "subject")),
            html! { (text(found, "detail")) },
        ]
    };
    let rows: Vec<_> = list(check, "broken").iter().map(row).collect();
    html! {
        p .soft { "Checked just now." }
        (broken(&rows))
        @if !check["provider"].is_null() { (compared(visit, &check["provider"])) }
    }
}

fn compared(visit: &Visit, with: &Value) -> Markup {
    let columns = [
        Column::text("Difference"),
        Column::text("Order"),
        Column::text("Charge"),
        Column::text("Both sides"),
    ];
    let row = |found: &Value| {
        let id = text(found, "order_id");
        vec![
            html! { (text(found, "kind").replace('_', " ")) },
            html! { @if !id.is_empty() { a href=(visit.at(format!("/orders/{id}"))) { code { (id) } } } },
            html! { code { (text(found, "charge_id")) } },
            html! { (text(found, "detail")) },
        ]
    };
    let rows: Vec<_> = list(with, "differences").iter().map(row).collect();
    html! {
        p { (number(with, "charges")) " charges at the gateway, " (number(with, "payments")) " payments here." }
        (table("Differences from the gateway's books", &columns, &rows, "Both agree."))
    }
}
