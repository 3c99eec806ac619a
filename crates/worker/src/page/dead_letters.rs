//! Dead letters by what they died of: a sample, the first and the last of each group, and putting back one, ten or all
//! of them at a rate.

use axum::extract::{Path, Request};
use axum::response::Response;
use bus::LetterAct;
use bus_page::{Action, Column, Field, Forbidden, Letter, Tone, fragment, letter, pager, table};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::sign_in::{field, fields};
use super::value::{list, number, query, text, time, when};
use super::visit::{Shown, Visit};
use crate::conceal::STARS;

/// Messages a second that "all at a rate" puts back, and messages of one go.
const RATE: u64 = 100;
const MESSAGES_MAX: u64 = 1_000;

/// Where a group's actions go.
const REDRIVE: &str = "/dead-letters/redrive";
const DISCARD: &str = "/dead-letters/discard";

pub(super) async fn show(visit: Visit) -> Response {
    let group = visit.asked("group");
    if !group.is_empty() {
        return show_group(&visit, group).await;
    }
    let heard = visit.get("/dead-letters/groups").await;
    if !heard.is_success() {
        return visit.fail("/dead-letters", &heard);
    }
    let columns = [
        Column::text("Died of"),
        Column::text("Kind"),
        Column::text("Queue"),
        Column::number("Messages"),
        Column::text("First"),
        Column::text("Last"),
    ];
    let least = if heard.body["is_partial"] == true { "+" } else { "" };
    let row = |group: &Value| {
        let key = text(group, "key");
        let to = visit.at(format!("/dead-letters{}", query(&[("group", key)])));
        vec![
            html! { a href=(to) { (text(group, "pattern")) } },
            html! { (text(group, "kind")) },
            html! { (text(group, "queue")) },
            html! { (number(group, "count")) (least) },
            when(group, "first_died_at", visit.now),
            when(group, "last_died_at", visit.now),
        ]
    };
    let rows: Vec<_> = list(&heard.body, "items").iter().map(row).collect();
    let groups =
        table("Groups of dead letters, the largest first", &columns, &rows, "There are no dead letters.");
    let content = html! {
        p .lead { "Messages that could not be handled, grouped by what they died of. None is lost: put them back once the cause is mended." }
        (fragment("groups", "dead-letters", &groups))
    };
    visit.show(&Shown { title: "Dead letters", here: "/dead-letters", topics: "dead-letters" }, &content)
}

async fn show_group(visit: &Visit, group: &str) -> Response {
    let cursor = visit.asked("cursor");
    let heard = visit.get(&format!("/dead-letters{}", query(&[("group", group), ("cursor", cursor)]))).await;
    if !heard.is_success() {
        return visit.fail("/dead-letters", &heard);
    }
    let columns = [
        Column::text("Message"),
        Column::text("About"),
        Column::text("Last error"),
        Column::number("Attempts"),
        Column::text("Died"),
    ];
    let row = |dead: &Value| {
        let (id, about) = (text(dead, "message_id"), text(dead, "correlation_id"));
        vec![
            html! { a href=(visit.at(format!("/dead-letters/{id}"))) { (bus_page::short_id(id)) } },
            html! { a href=(visit.at(format!("/orders/{about}"))) { (bus_page::short_id(about)) } },
            html! { span .error { (text(dead, "reason")) } },
            html! { (number(dead, "attempt")) },
            when(dead, "died_at", visit.now),
        ]
    };
    let items = list(&heard.body, "items");
    let rows: Vec<_> = items.iter().map(row).collect();
    let next = text(&heard.body, "next_cursor");
    let at =
        |cursor: &str| visit.at(format!("/dead-letters{}", query(&[("group", group), ("cursor", cursor)])));
    let title = items.first().map_or_else(
        || "Dead letters of this group".to_owned(),
        |dead| format!("Dead letters: {} for {}", text(dead, "kind"), text(dead, "queue")),
    );
    let count = count_of(visit, group, items.len()).await;
    let first = match cursor {
        "" => items.first().map(|dead| number(dead, "position")),
        _ => first_of(visit, group).await,
    };
    let content = html! {
        p { a href=(visit.at("/dead-letters")) { "All groups" } }
        @if let Some(first) = first { (acts(visit, (group, first), count)) }
        (table("Dead letters, oldest first", &columns, &rows, "None is left of this group."))
        (pager((!cursor.is_empty()).then(|| at("")).as_deref(), (!next.is_empty()).then(|| at(next)).as_deref()))
    };
    visit.show(&Shown { title: &title, here: "/dead-letters", topics: "" }, &content)
}

/// What a group's messages can be moved by, and where that goes in the API.
const fn target(act: LetterAct) -> (&'static str, &'static str) {
    match act {
        LetterAct::Redrive => ("redrive", REDRIVE),
        LetterAct::Archive => ("discard", DISCARD),
    }
}

/// One of the actions on a group.
fn action<'a>(
    visit: &Visit,
    (group, seen): (&str, i64),
    act: LetterAct,
    max: u64,
    text: &'a str,
    does: &'a str,
) -> Action<'a> {
    let (to, target) = target(act);
    Action {
        to: visit.at(format!("/dead-letters/act/{to}")),
        text,
        does,
        fields: vec![
            Field::Text("note", "Why"),
            Field::Hidden("group", group.to_owned()),
            Field::Hidden("max", max.to_string()),
            Field::Hidden("seen", seen.to_string()),
            Field::Hidden("once", visit.once()),
        ],
        is_grave: act == LetterAct::Archive,
        forbidden: visit.forbidden(target),
    }
}

/// The actions on a group of so many messages, none of which moves more than these.
fn acts(visit: &Visit, group: (&str, i64), count: u64) -> Markup {
    let (all, archive) = (format!("Put all {count} back"), format!("Archive all {count}"));
    let one = "The oldest goes back into its queue: see whether the cause is mended.";
    let rest = "The oldest first, a hundred a second; no more than there are now.";
    let aside = "They are set aside with your note and not handled; each can still be put back by its id.";
    html! {
        h2 { "What can be done" }
        (action(visit, group, LetterAct::Redrive, 1, "Put one back", one).render())
        @if count > 10 { (action(visit, group, LetterAct::Redrive, 10, "Put ten back", "").render()) }
        @if count > 1 { (action(visit, group, LetterAct::Redrive, count, &all, rest).render()) }
        (action(visit, group, LetterAct::Archive, count, &archive, aside).render())
    }
}

/// How many messages a group has at this moment, as far as they go at once.
async fn count_of(visit: &Visit, group: &str, shown: usize) -> u64 {
    let groups = visit.get("/dead-letters/groups").await.body;
    let found = list(&groups, "items").iter().find(|known| text(known, "key") == group);
    let count = found.map_or(0, |found| number(found, "count"));
    u64::try_from(count).unwrap_or(0).max(shown as u64).min(MESSAGES_MAX)
}

/// The position of the oldest message of a group, with which an action begins whichever page is shown.
async fn first_of(visit: &Visit, group: &str) -> Option<i64> {
    let heard = visit.get(&format!("/dead-letters{}", query(&[("group", group), ("limit", "1")]))).await;
    list(&heard.body, "items").first().map(|dead| number(dead, "position"))
}

/// Puts messages back, or archives them.
pub(super) async fn act(visit: Visit, Path(action): Path<String>, request: Request) -> Response {
    let fields = fields(request.into_body()).await;
    let group = field(&fields, "group");
    let message = field(&fields, "message_id");
    let back = match group {
        "" => visit.at(format!("/dead-letters/{message}")),
        group => visit.at(format!("/dead-letters{}", query(&[("group", group)]))),
    };
    let acts = [LetterAct::Redrive, LetterAct::Archive].map(target);
    let Some((_, target)) = acts.into_iter().find(|(name, _)| *name == action) else {
        return visit.back(&back, Tone::Refused, "Nothing was done: there is no such action.");
    };
    if let Some(Forbidden(why)) = visit.forbidden(target) {
        return visit.back(&back, Tone::Refused, &format!("Nothing was done: {why}."));
    }
    let max: u64 = field(&fields, "max").parse().unwrap_or(1).clamp(1, MESSAGES_MAX);
    let mut body = json!({"max": max, "actor": visit.viewer.name(), "note": field(&fields, "note")});
    if target == REDRIVE {
        body["per_second"] = json!(RATE);
    }
    match group {
        "" => body["message_id"] = json!(message),
        group => body["group"] = json!(group),
    }
    if let Ok(seen) = field(&fields, "seen").parse::<i64>() {
        body["seen"] = seen.into();
    }
    let heard = visit.post(target, Some(field(&fields, "once")), &body).await;
    if !heard.is_success() {
        return visit.back(&back, Tone::Refused, &format!("Nothing was done: {}", heard.why()));
    }
    let moved = number(&heard.body, "moved");
    if moved == 0 {
        return visit.back(
            &back,
            Tone::Refused,
            "Nothing was done: another has moved these messages before.",
        );
    }
    let what = if target == REDRIVE { "went back into their queues" } else { "are archived" };
    let more = if heard.body["has_more"] == true { " There are more." } else { "" };
    visit.back(&back, Tone::Done, &format!("{moved} messages {what}.{more}"))
}

pub(super) async fn show_one(visit: Visit, Path(id): Path<String>) -> Response {
    let heard = visit.get(&format!("/dead-letters{}", query(&[("message_id", &id)]))).await;
    if !heard.is_success() {
        return visit.fail("/dead-letters", &heard);
    }
    let Some(dead) = list(&heard.body, "items").first() else {
        let lead = "It is not among the dead letters: it was put back, or archived.";
        return visit.back(&visit.at("/dead-letters"), Tone::Refused, lead);
    };
    let body = serde_json::to_string_pretty(&masked(dead["body"].clone())).unwrap_or_default();
    let shown = Letter {
        kind: text(dead, "kind"),
        queue: text(dead, "queue"),
        reason: text(dead, "reason"),
        attempts: u64::try_from(number(dead, "attempt")).unwrap_or(0),
        times: [time(dead, "sent_at"), time(dead, "died_at")],
        ids: [text(dead, "message_id"), text(dead, "correlation_id")],
        trace: text(dead, "traceparent"),
        body: &body,
    };
    let about = text(dead, "correlation_id");
    let redrive = Action {
        to: visit.at("/dead-letters/act/redrive"),
        text: "Put it back",
        does: "",
        fields: vec![
            Field::Text("note", "Why"),
            Field::Hidden("message_id", text(dead, "message_id").to_owned()),
            Field::Hidden("max", "1".to_owned()),
            Field::Hidden("once", visit.once()),
        ],
        is_grave: false,
        forbidden: visit.forbidden(REDRIVE),
    };
    let content = html! {
        p { a href=(visit.at(format!("/orders/{about}"))) { "The order that it is about" } }
        (letter(&shown, visit.now))
        (redrive.render())
    };
    visit.show(&Shown { title: "Dead letter", here: "/dead-letters", topics: "" }, &content)
}

/// The body with tokens of payment left out: whoever has one can charge a card.
pub(super) fn masked(body: Value) -> Value {
    match body {
        Value::Object(members) => {
            let mask = |(name, value): (String, Value)| {
                let secret = name.to_ascii_lowercase().contains("token") && value.is_string();
                let value = if secret { Value::String(STARS.to_owned()) } else { masked(value) };
                (name, value)
            };
            Value::Object(members.into_iter().map(mask).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(masked).collect()),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_of_payment_is_shown_however_deep_it_lies() {
        let body =
            json!({"order": [{"paymentToken": "tok_1", "n": 1}], "payment_token": "tok_2", "kind": "tok"});
        let shown = masked(body).to_string();
        assert!(!shown.contains("tok_") && shown.contains("\"kind\":\"tok\""), "{shown}");
    }
}
