//! The providers: whether they answer, what waits for them, what they told us that belongs to no order, and who wants no
//! more of our own webhooks.

use application::consumers::NotificationDispatchConsumer;
use application::ports::{Channel, Scope};
use axum::extract::Request;
use axum::response::Response;
use bus::{BreakerState, EffectConsumer};
use bus_page::{Action, Column, Field, Forbidden, Tone, badge, fragment, moment, pager, table};
use maud::{Markup, html};
use serde_json::Value;
use tokio::join;

use super::sign_in::{field, fields};
use super::value::{list, number, query, state, text, when};
use super::visit::{Shown, Visit};
use crate::observe::{ProviderWatch, breaker_word};

/// Payments, and events of no order, on one page.
const PAGE: &str = "10";

/// Webhooks of theirs that are shown.
const RECEIVED_SHOWN_MAX: usize = 25;

pub(super) async fn show(visit: Visit) -> Response {
    let cursor = visit.asked("cursor");
    let asked = query(&[("cursor", cursor), ("limit", PAGE)]);
    let unmatched_events = format!("/provider-events/unmatched{asked}");
    let unanswered = format!("/sagas?state=payment_processing&limit={PAGE}");
    let (events, unknown, endpoints, received) = join!(
        visit.get(&unmatched_events),
        visit.get(&unanswered),
        visit.page.parts.endpoints.closed_endpoints(),
        visit.get("/provider-events/received"),
    );
    if !events.is_success() {
        return visit.fail("/providers", &events);
    }
    let (unknown, endpoints, received) = (unknown.body, endpoints.unwrap_or_default(), received.body);
    let watches = &visit.page.parts.observation.providers;
    let states = html! { @for watch in watches { (one(&visit, watch)) } };
    let content = html! {
        (fragment("states", "samples health", &html! { div .two { (states) } }))
        h2 { "Payments without a final answer" }
        (fragment("unknown", "sagas", &payments(&visit, &unknown)))
        h2 { "Their events that belong to no order" }
        (unmatched(&visit, &events.body))
        h2 { "What they told lately" }
        (fragment("received", "samples", &received_lately(&visit, &received)))
        h2 { "How customers are told" }
        (channels(&visit))
        h2 { "Receivers of our webhooks that want no more" }
        (closed(&visit, &endpoints))
    };
    visit.show(&Shown { title: "Providers", here: "/providers", topics: "samples sagas health" }, &content)
}

fn one(visit: &Visit, watch: &ProviderWatch) -> Markup {
    let (last, turns, breaker) = (watch.last(), watch.turns(), watch.breaker());
    let ago = |at: Option<jiff::Timestamp>| at.map_or_else(|| html! { "never" }, |at| moment(at, visit.now));
    html! {
        section {
            h2 { (watch.name.replace('-', " ")) }
            dl .facts {
                dt { "Breaker" }
                dd {
                    (badge(breaker_word(breaker)))
                    @if let BreakerState::Open { until } = breaker { " is asked again " (moment(until, visit.now)) }
                }
                dt { "Last answer" } dd { (ago(last.answered_at)) }
                dt { "Last call without one" } dd { (ago(last.unanswered_at)) }
                dt { "Calls in a row without one" } dd { (last.unanswered) }
                dt { "Calls that wait for their turn" } dd { (turns.waiting) ", the oldest for " (turns.waiting_for.as_secs()) " s" }
                dt { "Calls under way" } dd { (turns.under_way) }
                dt { "Budget" } dd { (budget(watch)) }
                @if let Some(wait) = turns.closed_for { dt { "Left alone for" } dd { (wait.as_secs() + 1) " s" } }
            }
        }
    }
}

/// How often it may be called.
fn budget(watch: &ProviderWatch) -> String {
    let Some(turnstile) = watch.turnstile() else { return "any number of calls".to_owned() };
    let budget = turnstile.budget();
    let rate = (budget.per_second > 0).then(|| format!("{} calls/s for all workers", budget.per_second));
    let share = turnstile
        .in_flight_max()
        .map_or_else(String::new, |share| format!(", {share} of them by this worker"));
    let at_once = (budget.in_flight_max > 0).then(|| format!("{} at once{share}", budget.in_flight_max));
    let bounds: Vec<String> = rate.into_iter().chain(at_once).collect();
    if bounds.is_empty() { "any number of calls".to_owned() } else { bounds.join("; ") }
}

fn payments(visit: &Visit, page: &Value) -> Markup {
    let columns = [Column::text("Order"), Column::text("Asked since"), Column::text("Asked again")];
    let row = |saga: &Value| {
        let id = text(saga, "order_id");
        let timer = list(saga, "timers").first();
        vec![
            html! { a href=(visit.at(format!("/orders/{id}"))) { code { (id) } } },
            when(saga, "updated_at", visit.now),
            timer.map_or_else(|| html! { "–" }, |timer| when(timer, "due_at", visit.now)),
        ]
    };
    let rows: Vec<_> = list(page, "items").iter().map(row).collect();
    let more = !text(page, "next_cursor").is_empty();
    let none = if more { "None among the oldest open orders." } else { "Every payment has its answer." };
    html! {
        (table("The oldest of them", &columns, &rows, none))
        @if more { p .soft { "There may be more: " code { "orderwright sagas list --state payment_processing" } } }
    }
}

fn unmatched(visit: &Visit, page: &Value) -> Markup {
    let next = text(page, "next_cursor");
    let events = list(page, "items");
    html! {
        @if events.is_empty() { p .none { "There are none that nobody has seen to." } }
        @for event in events { (event_shown(visit, event)) }
        @if !next.is_empty() { (pager(None, Some(&visit.at(format!("/providers{}", query(&[("cursor", next)])))))) }
    }
}

/// Their webhooks, as the worker that shows the page remembers them.
fn received_lately(visit: &Visit, received: &Value) -> Markup {
    let columns = [
        Column::text("Came"),
        Column::text("From"),
        Column::text("What"),
        Column::text("Event"),
        Column::text("Order"),
        Column::text("Outcome"),
        Column::text("Why"),
        Column::number("Took, ms"),
    ];
    let row = |event: &Value| {
        let id = text(event, "order_id");
        vec![
            when(event, "at", visit.now),
            html! { (text(event, "provider")) },
            html! { (text(event, "kind")) },
            html! { code { (text(event, "event_id")) } },
            html! { @if !id.is_empty() { a href=(visit.at(format!("/orders/{id}"))) { (bus_page::short_id(id)) } } },
            state(event, "outcome"),
            html! { (text(event, "reason").replace('_', " ")) },
            html! { (number(event, "took_ms")) },
        ]
    };
    let all = list(received, "items");
    let rows: Vec<_> = all.iter().take(RECEIVED_SHOWN_MAX).map(row).collect();
    let more = all.len() - rows.len();
    html! {
        p .soft {
            "In the memory of the worker that shows this page, since its start " (when(received, "since", visit.now))
            ": the last 200 events and 50 refusals. Other workers have received others."
            @if more > 0 { " The API has " (more) " more: " code { "GET /provider-events/received" } "." }
        }
        (table("Events and refused webhooks, latest first", &columns, &rows, "It has received none since its start."))
    }
}

fn event_shown(visit: &Visit, event: &Value) -> Markup {
    let position = number(event, "position");
    let seen = Action {
        to: visit.at(format!("/providers/events/{position}")),
        text: "Seen to",
        does: "",
        fields: vec![Field::Text("note", "What came of it"), Field::Hidden("once", visit.once())],
        is_grave: false,
        forbidden: visit.forbidden(&format!("/provider-events/unmatched/{position}/seen")),
    };
    let again = Action {
        to: visit.at(format!("/providers/events/{position}/take-again")),
        text: "Take it again",
        does: "If the order that it belongs to is known by now, the event counts as if it had just come.",
        fields: vec![Field::Text("note", "Why"), Field::Hidden("once", visit.once())],
        is_grave: false,
        forbidden: visit.forbidden(&format!("/provider-events/unmatched/{position}/take-again")),
    };
    html! {
        article aria-label={ "Event " (position) } {
            p {
                strong { (text(event, "provider")) " " (text(event, "kind")) } " " (when(event, "received_at", visit.now))
                ": " (text(event, "reason").replace('_', " ")) ". "
                span .soft { (text(event, "detail")) " · reference " (text(event, "reference")) " · key " (text(event, "idempotency_key")) }
            }
            (seen.render())
            (again.render())
        }
    }
}

/// The channels for notifications, and where to find what none of them took.
fn channels(visit: &Visit) -> Markup {
    let channels = &visit.page.parts.channels;
    let queue = NotificationDispatchConsumer::QUEUE;
    html! {
        @if channels.is_empty() {
            p .none { "In no way (notifications.ways)." }
        } @else {
            ul { @for channel in channels.iter() { li { code { (shown(channel)) } } } }
            p {
                "What could not be sent within three days, or never can be, is a "
                a href=(visit.at(format!("/dead-letters{}", query(&[("queue", queue)])))) { "dead letter" }
                " and can be sent again there, one or all. A page of an order sends its last notification again."
            }
        }
    }
}

/// A channel as a person may see it: an address can hold a secret.
fn shown(channel: &Channel) -> String {
    match channel {
        Channel::Webhook(address) => format!("webhook {}", crate::conceal::conceal(address)),
        Channel::Log | Channel::File | Channel::Smtp => channel.to_string(),
    }
}

fn closed(visit: &Visit, endpoints: &[(String, String, jiff::Timestamp)]) -> Markup {
    if endpoints.is_empty() {
        return html! { p .none { "Every receiver takes its messages." } };
    }
    let reopen = |address: &str| Action {
        to: visit.at("/providers/endpoints"),
        text: "Send again from now on",
        does: "",
        fields: vec![Field::Hidden("address", address.to_owned())],
        is_grave: false,
        forbidden: visit.forbidden_without(Some(Scope::Operate)),
    };
    html! {
        @for (address, reason, at) in endpoints {
            article aria-label=(address) {
                p { code { (crate::conceal::conceal(address)) } " since " (moment(*at, visit.now)) ": " (reason) }
                (reopen(address).render())
            }
        }
    }
}

/// Sends webhooks to a receiver again.
pub(super) async fn reopen(visit: Visit, request: Request) -> Response {
    let back = visit.at("/providers");
    if let Some(Forbidden(why)) = visit.forbidden_without(Some(Scope::Operate)) {
        return visit.back(&back, Tone::Refused, &format!("Nothing was done: {why}."));
    }
    let fields = fields(request.into_body()).await;
    let endpoints = &visit.page.parts.endpoints;
    match endpoints.reopen_endpoint(field(&fields, "address"), visit.viewer.name(), visit.now).await {
        Ok(true) => visit.back(&back, Tone::Done, "From now on it gets our webhooks again."),
        Ok(false) => visit.back(&back, Tone::Done, "It was open already."),
        Err(_) => visit.back(&back, Tone::Refused, "Nothing was done: the store is away."),
    }
}
