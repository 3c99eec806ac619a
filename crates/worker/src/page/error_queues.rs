//! A broker's error queues: what lies there and why, putting it back and discarding it. Forms name what was shown.

use axum::extract::{Path, Request};
use axum::response::Response;
use bus_page::{Action, Column, Field, Tone, table};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::acting::{Call, carry_out};
use super::dead_letters::masked;
use super::sign_in::{field, fields};
use super::value::{list, number, query, segment, text, when};
use super::visit::{Shown, Visit};

/// Messages that are shown at once.
const SHOWN_MAX: usize = 20;

/// Characters of a body that are shown; the rest is read over the API.
const BODY_CHARS_MAX: usize = 1_000;

/// The error queues as a part of the page about queues.
pub(super) fn overview(visit: &Visit, queues: &Value) -> Markup {
    if queues["has_broker"] != true {
        return html! { p .none { "There is no broker, so there are no error queues." } };
    }
    let columns = [
        Column::text("Error queue"),
        Column::number("Messages"),
        Column::text("Causes"),
        Column::text("First"),
        Column::text("Last"),
    ];
    let holds = |queue: &&Value| number(queue, "messages") > 0;
    let row = |queue: &Value| {
        let name = text(queue, "name");
        vec![
            html! { a href=(visit.at(format!("/workers/errors/{}", segment(name)))) { (name) } },
            html! { (number(queue, "messages")) },
            html! { (causes(queue)) },
            html! { (text(queue, "first_reason")) },
            html! { (text(queue, "last_reason")) },
        ]
    };
    let rows: Vec<_> = list(queues, "items").iter().filter(holds).map(row).collect();
    table("Error queues that hold messages", &columns, &rows, "No error queue holds a message.")
}

/// As they are counted among the first that lie there.
fn causes(queue: &Value) -> String {
    let counts = queue["causes"].as_object().into_iter().flatten();
    let told: Vec<String> =
        counts.map(|(cause, count)| format!("{count} {}", cause.replace('_', " "))).collect();
    told.join(", ")
}

pub(super) async fn show(visit: Visit, Path(name): Path<String>) -> Response {
    let asked = query(&[("limit", &SHOWN_MAX.to_string())]);
    let heard = visit.get(&format!("/error-queues/{}/messages{asked}", segment(&name))).await;
    if !heard.is_success() {
        return visit.fail("/workers", &heard);
    }
    let messages = list(&heard.body, "items");
    let content = html! {
        p { a href=(visit.at("/workers")) { "Workers and queues" } }
        p .lead { "Messages that the broker could not get rid of. They stay here until a person puts them back or discards them." }
        @if messages.is_empty() { p .none { "Nothing lies here." } }
        @else { (acts(&visit, &name, messages)) }
        @for message in messages { (message_shown(&visit, message)) }
    };
    let title = format!("Error queue {name}");
    visit.show(&Shown { title: &title, here: "/workers", topics: "" }, &content)
}

/// The first, and all that are shown: either way exactly those.
fn acts(visit: &Visit, name: &str, messages: &[Value]) -> Markup {
    let all = messages.len();
    let (back_all, discard_all) = (format!("Put these {all} back"), format!("Discard these {all}"));
    let one = "The first goes back into its queue: see whether the cause is mended.";
    let rest = "All that this page shows. If that is broken off, a message may come twice and is never lost.";
    let gone = "They are gone for good; the audit log keeps their ids.";
    html! {
        div .two {
            (action(visit, name, "put-back", &messages[..1], "Put the first back", one).render())
            (action(visit, name, "put-back", messages, &back_all, rest).render())
            (action(visit, name, "discard", &messages[..1], "Discard the first", gone).render())
            (action(visit, name, "discard", messages, &discard_all, gone).render())
        }
    }
}

fn action<'a>(
    visit: &Visit,
    name: &str,
    act: &str,
    which: &[Value],
    button: &'a str,
    does: &'a str,
) -> Action<'a> {
    let mark = which.last().map_or("", |last| text(last, "mark")).to_owned();
    Action {
        to: visit.at(format!("/workers/errors/{}/{act}", segment(name))),
        text: button,
        does,
        fields: vec![
            Field::Text("note", "Why"),
            Field::Hidden("count", which.len().to_string()),
            Field::Hidden("mark", mark),
            Field::Hidden("once", visit.once()),
        ],
        is_grave: act == "discard",
        forbidden: visit.forbidden(&format!("/error-queues/any/{act}")),
    }
}

fn message_shown(visit: &Visit, message: &Value) -> Markup {
    let body = serde_json::to_string_pretty(&masked(message["body"].clone())).unwrap_or_default();
    let cut: String = body.chars().take(BODY_CHARS_MAX).collect();
    let headers = message["headers"].as_object();
    html! {
        article aria-label={ "Message " (number(message, "place")) } {
            dl .facts {
                dt { "Place" } dd { (number(message, "place")) }
                dt { "Cause" } dd { (text(message, "cause").replace('_', " ")) }
                dt { "Reason" } dd .error { (text(message, "reason")) }
                dt { "Message" } dd { code { (text(message, "message_id")) } }
                dt { "Kind" } dd { (text(message, "kind")) }
                dt { "Sent" } dd { (when(message, "sent_at", visit.now)) }
                dt { "Set aside" } dd { (when(message, "died_at", visit.now)) }
                @for (name, value) in headers.into_iter().flatten() {
                    dt { (name) } dd { (value.as_str().unwrap_or_default()) }
                }
            }
            pre tabindex="0" { (cut) @if cut.len() < body.len() { "…" } }
        }
    }
}

/// Puts back or discards what was shown.
pub(super) async fn act(
    visit: Visit,
    Path((name, action)): Path<(String, String)>,
    request: Request,
) -> Response {
    let fields = fields(request.into_body()).await;
    let back = visit.at(format!("/workers/errors/{}", segment(&name)));
    let done = match action.as_str() {
        "put-back" => "They are back in the queue that they came from.",
        "discard" => "They are discarded.",
        _ => return visit.back(&back, Tone::Refused, "Nothing was done: there is no such action."),
    };
    let Ok(count) = field(&fields, "count").parse::<i64>() else {
        return visit.back(&back, Tone::Refused, "Nothing was done: the form does not say how many.");
    };
    let body = json!({
        "count": count,
        "mark": field(&fields, "mark"),
        "actor": visit.viewer.name(),
        "reason": field(&fields, "note"),
    });
    let call = Call { target: format!("/error-queues/{}/{action}", segment(&name)), body, done };
    carry_out(&visit, &fields, &call, &back).await
}
