//! What people did: when, who, what, to what, why.

use axum::response::Response;
use bus_page::{Column, pager, table};
use maud::{Markup, html};
use serde_json::Value;
use uuid::Uuid;

use super::value::{list, query, text, when};
use super::visit::{Shown, Visit};

/// Entries of one page.
const PAGE: &str = "25";

pub(super) async fn show(visit: Visit) -> Response {
    let (actor, subject, cursor) = (visit.asked("actor"), visit.asked("subject"), visit.asked("cursor"));
    let asked = |cursor: &str, limit: &str| {
        query(&[("actor", actor), ("subject", subject), ("cursor", cursor), ("limit", limit)])
    };
    let heard = visit.get(&format!("/audit{}", asked(cursor, PAGE))).await;
    if !heard.is_success() {
        return visit.fail("/audit", &heard);
    }
    let columns = [
        Column::text("When"),
        Column::text("Who"),
        Column::text("What"),
        Column::text("To what"),
        Column::text("Why"),
    ];
    let row = |entry: &Value| {
        vec![
            when(entry, "at", visit.now),
            html! { (text(entry, "actor")) },
            html! { (text(entry, "action")) },
            on(&visit, text(entry, "subject")),
            html! { (text(entry, "note")) },
        ]
    };
    let rows: Vec<_> = list(&heard.body, "items").iter().map(row).collect();
    let next = text(&heard.body, "next_cursor");
    let at = |cursor: &str| visit.at(format!("/audit{}", asked(cursor, "")));
    let content = html! {
        form .filter method="get" action=(visit.at("/audit")) {
            label { "Who" input type="text" name="actor" value=(actor) maxlength="200"; }
            label { "To what, such as an order's id" input type="text" name="subject" value=(subject) maxlength="200"; }
            button type="submit" { "Show" }
        }
        (table("What people did, latest first", &columns, &rows, "Nobody has done anything that matches."))
        (pager((!cursor.is_empty()).then(|| at("")).as_deref(), (!next.is_empty()).then(|| at(next)).as_deref()))
    };
    visit.show(&Shown { title: "Audit log", here: "/audit", topics: "" }, &content)
}

fn on(visit: &Visit, subject: &str) -> Markup {
    match subject.parse::<Uuid>() {
        Ok(id) => html! { a href=(visit.at(format!("/orders/{id}"))) { code { (subject) } } },
        Err(_) => html! { (subject) },
    }
}
