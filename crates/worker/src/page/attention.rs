//! Orders that wait for a person: what, since when, why, and what each choice would do.

use axum::response::Response;
use bus_page::{fragment, pager};
use maud::{Markup, html};
use serde_json::Value;

use super::order::choices;
use super::value::{list, query, text, when};
use super::visit::{Shown, Visit};

/// Sagas of one page; each has three forms.
const PAGE: &str = "10";

pub(super) async fn show(visit: Visit) -> Response {
    let cursor = visit.asked("cursor");
    let asked = query(&[("state", "needs_attention"), ("limit", PAGE), ("cursor", cursor)]);
    let heard = visit.get(&format!("/sagas{asked}")).await;
    if !heard.is_success() {
        return visit.fail("/attention", &heard);
    }
    let next = text(&heard.body, "next_cursor");
    let next = (!next.is_empty()).then(|| visit.at(format!("/attention{}", query(&[("cursor", next)]))));
    let first = (!cursor.is_empty()).then(|| visit.at("/attention"));
    let list = html! {
        @for saga in list(&heard.body, "items") { (one(&visit, saga)) }
        @if list(&heard.body, "items").is_empty() { p .none { "No order needs a person." } }
        (pager(first.as_deref(), next.as_deref()))
    };
    let content = html! {
        p .lead { "Each waits until a person decides. Every decision is recorded with name, time and reason." }
        p { a href=(visit.at("/orders?attention=true")) { "Decide about many at once" } }
        (fragment("waiting", "sagas", &list))
    };
    visit.show(&Shown { title: "Needs a person", here: "/attention", topics: "sagas" }, &content)
}

fn one(visit: &Visit, saga: &Value) -> Markup {
    let id = text(saga, "order_id");
    let last = &saga["last_event"];
    html! {
        article aria-label={ "Order " (id) } {
            h2 { a href=(visit.at(format!("/orders/{id}"))) { "Order " (id) } }
            p .soft {
                "Waits since " (when(saga, "updated_at", visit.now))
                @if !last.is_null() { "; last: " (text(last, "event").replace('_', " ")) " " (text(last, "detail")) }
            }
            (choices(visit, saga))
        }
    }
}
