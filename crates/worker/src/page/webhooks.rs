//! Webhook endpoints: programs of others that are sent what happens to orders. How each is, what it was sent, and what a person can
//! do about it.

use axum::extract::{Path, Request};
use axum::response::Response;
use bus_page::{Action, Column, Field, Forbidden, Tone, badge, pager, short_id, table};
use http::Method;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::acting::{Call, Fields, carry_out};
use super::sign_in::{field, fields};
use super::value::{list, number, query, segment, text, when};
use super::visit::{Shown, Visit};

/// Where the page is, and its place in the navigation.
const HERE: &str = "/webhooks";

/// Deliveries on a page.
const SHOWN_MAX: &str = "50";

pub(super) async fn show(visit: Visit) -> Response {
    let heard = visit.get("/webhook-endpoints").await;
    if !heard.is_success() {
        return visit.fail(HERE, &heard);
    }
    let endpoints = list(&heard.body, "items");
    let content = html! {
        p .lead {
            "Programs that are sent what happens to orders, each event signed and at least once. "
            "How customers are told is on the page of the " a href=(visit.at("/providers")) { "providers" } "."
        }
        @if endpoints.is_empty() { p .none { "There are none." } }
        @for endpoint in endpoints { (endpoint_shown(&visit, endpoint)) }
        h2 { "One more" }
        (adding(&visit).render())
    };
    visit.show(&Shown { title: "Webhooks", here: HERE, topics: "" }, &content)
}

fn endpoint_shown(visit: &Visit, endpoint: &Value) -> Markup {
    let id = text(endpoint, "id");
    html! {
        article aria-label={ "Webhook endpoint " (short_id(id)) } {
            (facts(visit, endpoint))
            p { a href=(visit.at(format!("{HERE}/{}", segment(id)))) { "What it was sent, and what can be done" } }
        }
    }
}

fn facts(visit: &Visit, endpoint: &Value) -> Markup {
    let types: Vec<&str> = list(endpoint, "types").iter().filter_map(Value::as_str).collect();
    let trouble = text(endpoint, "trouble");
    html! {
        dl .facts {
            dt { "Address" } dd { code { (text(endpoint, "url")) } }
            dt { "State" } dd { (state(text(endpoint, "state"))) }
            @if !text(endpoint, "note").is_empty() { dt { "What for" } dd { (text(endpoint, "note")) } }
            dt { "Events" } dd { @if types.is_empty() { "all" } @else { (types.join(", ")) } }
            dt { "Has them up to" } dd { (number(endpoint, "position")) }
            @if !trouble.is_empty() { dt { "Trouble" } dd .error { (trouble) } }
            @if !text(endpoint, "failing_since").is_empty() {
                dt { "Away since" } dd { (when(endpoint, "failing_since", visit.now)) ", " (number(endpoint, "failures")) " attempts" }
                dt { "Tried again" } dd { (when(endpoint, "next_attempt_at", visit.now)) }
            }
        }
    }
}

/// A closed endpoint is bad news, other than a closed breaker.
fn state(word: &str) -> Markup {
    if word == "closed" {
        return html! { span .badge.bad { "closed" } };
    }
    badge(word)
}

fn adding(visit: &Visit) -> Action<'static> {
    Action {
        to: visit.at(HERE),
        text: "Add",
        does: "It is sent every event from now on. Its secret is shown once.",
        fields: vec![
            Field::Text("url", "Address, https://HOST/PATH"),
            Field::Optional("types", "Only these types of events, with commas between"),
            Field::Optional("about", "What for"),
            Field::Hidden("once", visit.once()),
        ],
        is_grave: false,
        forbidden: visit.forbidden("/webhook-endpoints"),
    }
}

pub(super) async fn show_one(visit: Visit, Path(id): Path<String>) -> Response {
    let at = format!("/webhook-endpoints/{}", segment(&id));
    let endpoint = visit.get(&at).await;
    let (wanted, cursor) = (visit.asked("state"), visit.asked("cursor"));
    let asked = query(&[("state", wanted), ("cursor", cursor), ("limit", SHOWN_MAX)]);
    let sent = visit.get(&format!("{at}/deliveries{asked}")).await;
    for heard in [&endpoint, &sent] {
        if !heard.is_success() {
            return visit.fail(HERE, heard);
        }
    }
    let page = |pairs: &[(&str, &str)]| visit.at(format!("{HERE}/{}{}", segment(&id), query(pairs)));
    let next = text(&sent.body, "next_cursor");
    let (first, more) = (page(&[("state", wanted)]), page(&[("state", wanted), ("cursor", next)]));
    let states = ["", "delivered", "waiting", "failed"];
    let content = html! {
        p { a href=(visit.at(HERE)) { "Webhooks" } }
        (facts(&visit, &endpoint.body))
        (acts(&visit, &endpoint.body))
        h2 { "What it was sent" }
        nav aria-label="Which deliveries" {
            @for word in states {
                a href=(page(&[("state", word)])) aria-current=[(word == wanted).then_some("true")] {
                    @if word.is_empty() { "all" } @else { (word) }
                }
                " "
            }
        }
        (deliveries(&visit, &id, list(&sent.body, "items")))
        (pager((!cursor.is_empty()).then_some(first.as_str()), (!next.is_empty()).then_some(more.as_str())))
    };
    let title = format!("Webhook endpoint {id}");
    visit.show(&Shown { title: &title, here: HERE, topics: "" }, &content)
}

fn acts(visit: &Visit, endpoint: &Value) -> Markup {
    let id = text(endpoint, "id");
    let is_active = text(endpoint, "state") == "active";
    let (turn, button, does) = if is_active {
        ("pause", "Pause", "It is sent nothing until it is resumed, and then goes on where it stopped.")
    } else {
        ("resume", "Resume", "It goes on where it stopped, at once.")
    };
    let new_secret = "Shown once. For a day the old one signs as well.";
    let again = "Those that it refused too often, up to a thousand, oldest first.";
    let gone = "It is sent nothing any more, and what is known of its deliveries is forgotten.";
    html! {
        div .two {
            (action(visit, id, turn, button, does).render())
            (action(visit, id, "redeliver", "Send all that failed once more", again).render())
            (changing(visit, id).render())
            (action(visit, id, "rotate-secret", "New secret", new_secret).render())
            (action(visit, id, "remove", "Remove", gone).render())
        }
    }
}

fn changing(visit: &Visit, id: &str) -> Action<'static> {
    Action {
        to: visit.at(format!("{HERE}/{}/change", segment(id))),
        text: "Change",
        does: "What is left empty stays as it is.",
        fields: vec![
            Field::Optional("url", "Another address, https://HOST/PATH"),
            Field::Optional("types", "Only these types of events, with commas between; 'all' for all"),
            Field::Optional("about", "What for"),
            Field::Optional("after", "Go on behind this position; 0 sends all that is kept"),
            Field::Optional("note", "Why"),
            Field::Hidden("once", visit.once()),
        ],
        is_grave: false,
        forbidden: visit.forbidden("/webhook-endpoints/any/redeliver"),
    }
}

fn action<'a>(visit: &Visit, id: &str, act: &str, button: &'a str, does: &'a str) -> Action<'a> {
    Action {
        to: visit.at(format!("{HERE}/{}/{act}", segment(id))),
        text: button,
        does,
        fields: vec![Field::Optional("note", "Why"), Field::Hidden("once", visit.once())],
        is_grave: act == "remove",
        forbidden: visit.forbidden("/webhook-endpoints/any/redeliver"),
    }
}

fn deliveries(visit: &Visit, id: &str, sent: &[Value]) -> Markup {
    let columns = [
        Column::number("Event"),
        Column::text("What happened"),
        Column::text("Order"),
        Column::text("State"),
        Column::number("Attempts"),
        Column::text("Last tried"),
        Column::text("Answer"),
        Column::text("Once more"),
    ];
    let row = |delivery: &Value| {
        let (order, position) = (text(delivery, "order_id"), number(delivery, "position").to_string());
        let again = Action {
            to: visit.at(format!("{HERE}/{}/redeliver", segment(id))),
            text: "Send",
            does: "",
            fields: vec![Field::Hidden("position", position.clone()), Field::Hidden("once", visit.once())],
            is_grave: false,
            forbidden: visit.forbidden("/webhook-endpoints/any/redeliver"),
        };
        vec![
            html! { (position) },
            html! { (text(delivery, "type")) },
            html! { a href=(visit.at(format!("/orders/{order}"))) { code { (short_id(order)) } } },
            badge(text(delivery, "state")),
            html! { (number(delivery, "attempts")) },
            html! {
                (when(delivery, "last_at", visit.now)) ", " (number(delivery, "took_ms")) " ms"
                @if !text(delivery, "next_at").is_empty() { br; "again " (when(delivery, "next_at", visit.now)) }
            },
            html! { (text(delivery, "answer")) },
            again.render(),
        ]
    };
    let rows: Vec<_> = sent.iter().map(row).collect();
    table("Deliveries, newest event first", &columns, &rows, "There is nothing to show.")
}

/// Adds an endpoint, and shows its secret.
pub(super) async fn add(visit: Visit, request: Request) -> Response {
    let fields = fields(request.into_body()).await;
    let types: Vec<&str> =
        field(&fields, "types").split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let body = json!({
        "url": field(&fields, "url").trim(),
        "types": types,
        "note": field(&fields, "about"),
        "actor": visit.viewer.name(),
    });
    with_secret(&visit, &fields, "/webhook-endpoints", &body, &visit.at(HERE)).await
}

/// Carries out what makes a secret, and shows it: it is in no address and no cookie, and not shown again.
async fn with_secret(visit: &Visit, fields: &Fields, target: &str, body: &Value, back: &str) -> Response {
    if let Some(Forbidden(why)) = visit.forbidden(target) {
        return visit.back(back, Tone::Refused, &format!("Nothing was done: {why}."));
    }
    let once = Some(field(fields, "once")).filter(|once| !once.is_empty());
    let heard = visit.post(target, once, body).await;
    if !heard.is_success() {
        return visit.back(back, Tone::Refused, &format!("Nothing was done: {}", heard.why()));
    }
    let content = html! {
        p .lead { "This is the secret of " code { (text(&heard.body, "url")) } ". It is shown this once: take it to the receiver now." }
        p { code { (text(&heard.body, "secret")) } }
        p {
            "It verifies each event by the rules of "
            a href="https://www.standardwebhooks.com" rel="noreferrer" { "Standard Webhooks" } "."
        }
        p { a href=(visit.at(format!("{HERE}/{}", segment(text(&heard.body, "id"))))) { "To the endpoint" } }
    };
    visit.show(&Shown { title: "A new secret", here: HERE, topics: "" }, &content)
}

/// Does something to one endpoint.
pub(super) async fn act(
    visit: Visit,
    Path((id, action)): Path<(String, String)>,
    request: Request,
) -> Response {
    let fields = fields(request.into_body()).await;
    let at = format!("/webhook-endpoints/{}", segment(&id));
    let back = visit.at(format!("{HERE}/{}", segment(&id)));
    let mut body = json!({"actor": visit.viewer.name(), "reason": field(&fields, "note")});
    let call = match action.as_str() {
        "pause" | "resume" => {
            let is_resumed = action == "resume";
            body["state"] = if is_resumed { "active" } else { "paused" }.into();
            return turn(&visit, &fields, &at, &body, &back).await;
        }
        "change" => {
            if let Err(why) = add_changes(&fields, &mut body) {
                return visit.back(&back, Tone::Refused, &format!("Nothing was done: {why}."));
            }
            return turn(&visit, &fields, &at, &body, &back).await;
        }
        "rotate-secret" => {
            return with_secret(&visit, &fields, &format!("{at}/rotate-secret"), &body, &back).await;
        }
        "redeliver" => {
            match (field(&fields, "position"), field(&fields, "position").parse::<i64>()) {
                ("", _) => {}
                (_, Ok(position)) => body["position"] = position.into(),
                (_, Err(_)) => {
                    return visit.back(
                        &back,
                        Tone::Refused,
                        "Nothing was done: the position is no whole number.",
                    );
                }
            }
            Call { target: format!("{at}/redeliver"), body, done: "Sent once more within a second." }
        }
        "remove" => {
            let call = Call { target: format!("{at}/remove"), body, done: "The endpoint is removed." };
            return carry_out(&visit, &fields, &call, &visit.at(HERE)).await;
        }
        _ => return visit.back(&back, Tone::Refused, "Nothing was done: there is no such action."),
    };
    carry_out(&visit, &fields, &call, &back).await
}

/// Puts what is filled in into the body of a change.
fn add_changes(fields: &Fields, body: &mut Value) -> Result<(), &'static str> {
    let filled = |name: &str| Some(field(fields, name).trim()).filter(|text| !text.is_empty());
    if let Some(url) = filled("url") {
        body["url"] = url.into();
    }
    if let Some(types) = filled("types") {
        let names = types.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "all");
        body["types"] = names.collect::<Vec<_>>().into();
    }
    if let Some(about) = filled("about") {
        body["note"] = about.into();
    }
    if let Some(after) = filled("after") {
        body["after"] = after.parse::<i64>().map_err(|_| "the position is no whole number")?.into();
    }
    Ok(())
}

async fn turn(visit: &Visit, fields: &Fields, target: &str, body: &Value, back: &str) -> Response {
    if let Some(Forbidden(why)) = visit.forbidden(target) {
        return visit.back(back, Tone::Refused, &format!("Nothing was done: {why}."));
    }
    let once = Some(field(fields, "once")).filter(|once| !once.is_empty());
    let heard = visit.ask(Method::PATCH, target, once, Some(body)).await;
    if !heard.is_success() {
        return visit.back(back, Tone::Refused, &format!("Nothing was done: {}", heard.why()));
    }
    let done = match (body["state"].as_str(), text(&heard.body, "state")) {
        (None, _) => "The endpoint is changed.",
        (Some(_), "paused") => "The endpoint is paused and is sent nothing.",
        (Some(_), _) => "The endpoint goes on where it stopped.",
    };
    visit.back(back, Tone::Done, done)
}
