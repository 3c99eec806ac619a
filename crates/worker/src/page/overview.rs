//! The first page: what needs a person, what is late or stuck and what it waits for, how fast it goes.

use axum::response::{IntoResponse, Redirect, Response};
use bus_page::{Column, SagaRow, badge, fragment, sagas, sparkline, table};
use domain::OrderStatus;
use futures_util::future::join_all;
use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;
use tokio::join;

use super::route_of_order::{timers, waits_for};
use super::value::{count, counts, list, minor, number, query, text, time};
use super::visit::{Shown, Visit};
use super::workers::pause_words;

/// Sagas of one state that are looked at for what stands still.
const STUCK_MAX: usize = 20;

/// States in which an order moves, or should.
const OPEN: [&str; 7] =
    ["created", "inventory_reserved", "payment_processing", "authorised", "paid", "shipped", "compensating"];

pub(super) async fn show(visit: Visit) -> Response {
    let (overview, health, queues) =
        join!(visit.get("/overview"), visit.get("/health"), visit.get("/queues"));
    if !overview.is_success() {
        // A key that may not see this page is led to one that it may see.
        return match visit.first_page().filter(|_| overview.status == StatusCode::FORBIDDEN) {
            Some(page) => Redirect::to(&page).into_response(),
            None => visit.fail("", &overview),
        };
    }
    let (overview, health, queues) = (overview.body, health.body, queues.body);
    let stuck = stuck(&visit, &overview).await;
    let content = html! {
        (fragment("alarms", "sagas dead-letters health queues", &alarms(&visit, &overview, &health)))
        (fragment("paused", "consumers", &paused(&visit, &queues)))
        (fragment("stuck", "sagas", &stuck))
        h2 { "The last ten minutes" }
        (fragment("lines", "samples", &lines(&visit)))
        h2 { "All orders" }
        (fragment("orders", "orders", &orders(&visit, &overview)))
    };
    let topics = "orders sagas queues consumers dead-letters health samples";
    visit.show(&Shown { title: "Overview", here: "", topics }, &content)
}

fn card(alarm: bool, to: &str, figure: &Markup, what: &str) -> Markup {
    html! { li .card .alarm[alarm] { a href=(to) { span .figure { (figure) } (what) } } }
}

fn alarms(visit: &Visit, overview: &Value, health: &Value) -> Markup {
    let attention = count(overview, "sagas", "needs_attention");
    let undoing = count(overview, "sagas", "compensating");
    let on_hold = count(overview, "sagas", "on_hold");
    let awaiting = count(overview, "sagas", "awaiting_stock");
    let dead = number(overview, "dead_letters");
    let waiting: u64 = counts(overview, "queues").iter().map(|(_, waiting)| waiting).sum();
    let verdict = text(health, "status");
    let ill: Vec<&str> = list(health, "checks")
        .iter()
        .filter(|check| text(check, "status") != "up")
        .map(|check| text(check, "name"))
        .collect();
    let what = if ill.is_empty() { "health of all parts".to_owned() } else { ill.join(", ") };
    html! {
        ul .cards {
            (card(attention > 0, &visit.at("/attention"), &html! { (attention) }, "orders need a person"))
            (card(dead > 0, &visit.at("/dead-letters"), &html! { (dead) }, "dead letters"))
            (card(verdict != "up", &visit.at("/health"), &badge(verdict), &what))
            (card(false, &visit.at("/workers"), &html! { (waiting) }, "messages wait in queues"))
            (card(false, &visit.at(format!("/orders{}", query(&[("saga_state", "compensating")]))), &html! { (undoing) },
                "orders are being undone"))
            (card(false, &visit.at(format!("/orders{}", query(&[("saga_state", "on_hold")]))), &html! { (on_hold) }, "orders on hold"))
            (card(false, &visit.at(format!("/orders{}", query(&[("saga_state", "awaiting_stock")]))), &html! { (awaiting) },
                "orders wait for stock"))
        }
    }
}

/// Consumers that a person has paused; nothing if none is.
fn paused(visit: &Visit, queues: &Value) -> Markup {
    let words = |queue| pause_words(queue, visit.now).map(|words| (text(queue, "name"), words));
    let paused: Vec<_> = list(queues, "items").iter().filter_map(words).collect();
    html! {
        @if !paused.is_empty() {
            h2 { "Paused consumers" }
            ul {
                @for (queue, words) in paused {
                    li { a href=(visit.at("/workers")) { (queue) } " is paused " (words) "." }
                }
            }
        }
    }
}

/// Open orders past the time limit of their order, or that have stood for longer than their step should take.
async fn stuck(visit: &Visit, overview: &Value) -> Markup {
    let limit = STUCK_MAX.to_string();
    let in_state = async |state: &str| {
        let before = before(visit.now, state).to_string();
        let asked = query(&[("state", state), ("unmoved_since", &before), ("limit", &limit)]);
        visit.get(&format!("/sagas{asked}")).await.body
    };
    let states = OPEN.into_iter().filter(|state| count(overview, "sagas", state) > 0);
    let mut found: Vec<Value> = Vec::new();
    let mut is_partial = false;
    for page in join_all(states.map(in_state)).await {
        let items = list(&page, "items");
        is_partial |= items.len() < STUCK_MAX && !text(&page, "next_cursor").is_empty();
        found.extend(items.iter().cloned());
    }
    found.sort_by_key(|saga| time(saga, "updated_at"));
    found.truncate(STUCK_MAX);
    let rows: Vec<_> = found.iter().map(|saga| saga_row(visit, saga)).collect();
    html! {
        h2 { "Late or stuck" }
        (sagas("Open orders that stand still for longer than their step should take, oldest first", &rows, visit.now,
            "No open order stands still."))
        @if is_partial { p .soft { "So many orders are open that only the oldest were looked at." } }
    }
}

fn saga_row(visit: &Visit, saga: &Value) -> SagaRow {
    let id = text(saga, "order_id").to_owned();
    SagaRow {
        to: visit.at(format!("/orders/{id}")),
        id,
        state: text(saga, "state").to_owned(),
        waits_for: waits_for(saga),
        moved_at: time(saga, "updated_at").unwrap_or(visit.now),
        timers: timers(saga),
    }
}

/// When an order in this state should have moved last: a carrier takes days, our own steps seconds.
fn before(now: Timestamp, state: &str) -> Timestamp {
    const DAY: i64 = 86_400;
    let seconds = match state {
        "shipped" => 7 * DAY,
        "payment_processing" | "compensating" => 120,
        _ => 60,
    };
    now.saturating_sub(jiff::SignedDuration::from_secs(seconds)).unwrap_or(now)
}

fn lines(visit: &Visit) -> Markup {
    let samples = &visit.page.samples;
    html! {
        ul .cards {
            li .card { (sparkline("Accepted", "/s", &samples.line(|sample| sample.accepted))) }
            li .card { (sparkline("Delivered", "/s", &samples.line(|sample| sample.delivered))) }
            li .card { (sparkline("Backlog", " messages", &samples.line(|sample| sample.backlog))) }
            li .card { (sparkline("Accepted to delivered", " s", &samples.line(|sample| sample.latency))) }
        }
    }
}

fn orders(visit: &Visit, overview: &Value) -> Markup {
    let columns = [Column::text("Status"), Column::number("Orders")];
    let row = |(status, orders): &(String, u64)| {
        let to = visit.at(format!("/orders{}", query(&[("status", status)])));
        vec![html! { a href=(to) { (badge(status)) } }, html! { (orders) }]
    };
    let life = OrderStatus::ALL.iter().map(|status| status.as_str());
    let rows: Vec<_> = life
        .map(|status| (status.to_owned(), count(overview, "orders", status)))
        .map(|pair| row(&pair))
        .collect();
    let reasons: Vec<_> = counts(overview, "cancellations")
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| vec![html! { (reason.replace('_', " ")) }, html! { (count) }])
        .collect();
    let money: Vec<_> = list(overview, "money")
        .iter()
        .map(|money| {
            let currency = text(money, "currency");
            let amount = |name| html! { (minor(number(money, name), currency)) };
            vec![amount("captured_minor"), amount("refunded_minor")]
        })
        .collect();
    html! {
        div .two {
            (table("Orders by status", &columns, &rows, "There are no orders yet."))
            div {
                (table("Cancelled, by reason", &[Column::text("Reason"), Column::number("Orders")], &reasons,
                    "No order was cancelled."))
                (table("Money", &[Column::number("Captured"), Column::number("Refunded")], &money, "No money has moved."))
            }
        }
    }
}
