//! What runs: queues with their backlog, the consumers and services of this worker, what lies at the broker.

use axum::response::Response;
use bus::Running;
use bus_page::{Action, Column, Field, QueueRow, ago, badge, fragment, short_id, table};
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;
use tokio::join;

use super::error_queues;
use super::value::{list, number, text, time, when};
use super::visit::{Shown, Visit};
use crate::health::BrokerQueue;
use crate::workers::WorkersView;

pub(super) async fn show(visit: Visit) -> Response {
    let at_broker = async {
        match &visit.page.parts.broker {
            Some(broker) => Some(broker.queues().await),
            None => None,
        }
    };
    let (overview, at_broker, queues, workers_known, errors) = join!(
        visit.get("/overview"),
        at_broker,
        visit.get("/queues"),
        visit.get("/workers"),
        visit.get("/error-queues"),
    );
    if !overview.is_success() {
        return visit.fail("/workers", &overview);
    }
    let overview = overview.body;
    if !queues.is_success() {
        return visit.fail("/workers", &queues);
    }
    let listed = list(&queues.body, "items");
    if !workers_known.is_success() {
        return visit.fail("/workers", &workers_known);
    }
    let workers_known = workers_known.body;
    let errors = match errors.is_success() {
        true => error_queues::overview(&visit, &errors.body),
        false => html! { p .error { "The error queues cannot be looked at: " (errors.why()) } },
    };
    let row = |queue: &Value| QueueRow {
        name: text(queue, "name").to_owned(),
        waiting: number(queue, "waiting").unsigned_abs(),
        consumers: None,
        set_aside: None,
        paused: pause_words(queue, visit.now),
    };
    let waiting: Vec<_> = listed.iter().map(row).collect();
    let content = html! {
        h2 { "Queues in the store" }
        (fragment("queues", "queues consumers", &html! {
            (bus_page::queues("Messages that wait in the store", &waiting))
            p .soft { (number(&overview, "waiting")) " messages wait for a time or their turn, " (number(&overview, "timers")) " timers run." }
        }))
        h2 { "Paused consumers" }
        (pauses(&visit, listed))
        h2 { "Workers" }
        (fragment("workers", "samples", &workers(&visit, &workers_known)))
        h2 { "Error queues" }
        (fragment("errors", "queues samples", &errors))
        @if let Some(found) = &at_broker {
            h2 { "Queues at the broker" }
            (fragment("broker", "queues samples", &broker(found.as_deref())))
        }
        h2 { "What runs in this worker" }
        (fragment("services", "health samples", &services(&visit)))
    };
    visit.show(
        &Shown { title: "Workers and queues", here: "/workers", topics: "queues consumers health samples" },
        &content,
    )
}

/// Since when a consumer is paused, by whom and why; none if it is not.
pub(super) fn pause_words(queue: &Value, now: Timestamp) -> Option<String> {
    let since = time(queue, "paused_at")?;
    let (by, why) = (text(queue, "paused_by"), text(queue, "pause_reason"));
    let because = if why.is_empty() { String::new() } else { format!(": {why}") };
    Some(format!("for {} by {by}{because}", ago(since, now)))
}

/// One form to pause any consumer, and one to resume each that is paused.
fn pauses(visit: &Visit, queues: &[Value]) -> Markup {
    let (paused, open): (Vec<&Value>, Vec<&Value>) =
        queues.iter().partition(|queue| time(queue, "paused_at").is_some());
    let names = open.iter().map(|queue| (text(queue, "name"), text(queue, "name"))).collect();
    let does = "Its messages wait in every worker, through restarts, until it is resumed. What is in hand is finished.";
    let pause = act(visit, "pause", "Pause", does, Field::Choice("queue", "Queue", names));
    html! {
        @for queue in paused {
            article aria-label=(text(queue, "name")) {
                p {
                    strong { (text(queue, "name")) } " is paused "
                    (pause_words(queue, visit.now).unwrap_or_default()) "."
                }
                (act(visit, "resume", "Resume", "", Field::Hidden("queue", text(queue, "name").to_owned())).render())
            }
        }
        (pause.render())
    }
}

fn act<'a>(visit: &Visit, act: &str, button: &'a str, does: &'a str, queue: Field<'a>) -> Action<'a> {
    Action {
        to: visit.at(format!("/workers/queues/{act}")),
        text: button,
        does,
        fields: vec![queue, Field::Text("note", "Why"), Field::Hidden("once", visit.once())],
        is_grave: false,
        forbidden: visit.forbidden(&format!("/queues/any/{act}")),
    }
}

/// Who works on this database, and whether two versions do.
fn workers(visit: &Visit, known: &Value) -> Markup {
    let columns = [
        Column::text("Worker"),
        Column::text("State"),
        Column::text("Version"),
        Column::text("Runs on"),
        Column::text("Started"),
        Column::text("Seen"),
        Column::text("Lease"),
        Column::text("Holds"),
    ];
    let row = |worker: &Value| {
        let queues = list(worker, "queues");
        let held = queues.iter().filter(|queue| number(queue, "held") > 0);
        let held: Vec<String> =
            held.map(|queue| format!("{} of {}", number(queue, "held"), text(queue, "queue"))).collect();
        vec![
            short_id(text(worker, "id")),
            badge(text(worker, "state")),
            html! { (text(worker, "version")) },
            html! { (text(worker, "host")) ", process " (number(worker, "process_id")) },
            when(worker, "started_at", visit.now),
            when(worker, "seen_at", visit.now),
            when(worker, "lease_until", visit.now),
            html! { "reads " (queues.len()) " queues" @if !held.is_empty() { ", holds " (held.join(", ")) } },
        ]
    };
    let rows: Vec<_> = list(known, "items").iter().map(row).collect();
    let versions: Vec<&str> = list(known, "versions").iter().filter_map(Value::as_str).collect();
    html! {
        @if let Some(words) = WorkersView::mixture(&versions) { p .error role="alert" { (words) } }
        (table("Workers of this database, the oldest first; gone ones are kept for a day", &columns, &rows,
            "No worker has written itself down yet."))
    }
}

fn broker(found: Result<&[BrokerQueue], &String>) -> Markup {
    match found {
        Ok(found) => {
            let row = |queue: &BrokerQueue| QueueRow {
                name: queue.name.clone(),
                waiting: queue.messages,
                consumers: Some(queue.consumers),
                set_aside: Some(queue.set_aside),
                paused: None,
            };
            bus_page::queues(
                "Messages and consumers at the broker",
                &found.iter().map(row).collect::<Vec<_>>(),
            )
        }
        Err(why) => html! { p .error { "The broker cannot be asked: " (why) } },
    }
}

fn services(visit: &Visit) -> Markup {
    let parts = &visit.page.parts;
    let pulses = parts.observation.pulses.read();
    let columns = [
        Column::text("Consumer or service"),
        Column::text("State"),
        Column::number("Restarts"),
        Column::text("Last step"),
        Column::text("Trouble"),
    ];
    let statuses = (parts.statuses)();
    let rows: Vec<_> = statuses
        .iter()
        .map(|status| {
            let pulse = pulses.get(status.name);
            let step = pulse
                .map_or_else(String::new, |pulse| format!("{} s ago", pulse.beat_at.elapsed().as_secs()));
            let trouble = pulse.and_then(|pulse| pulse.trouble.clone()).unwrap_or_default();
            let running = match status.running {
                Running::Yes => "up",
                Running::Restarting => "restarting",
                Running::Stopped => "stopped",
            };
            vec![
                html! { (status.name) },
                badge(running),
                html! { (status.restarts) },
                html! { (step) },
                html! { span .error { (trouble) } },
            ]
        })
        .collect();
    html! {
        p .soft { "Version " (env!("CARGO_PKG_VERSION")) "." }
        (table("Consumers and services", &columns, &rows, "Nothing runs."))
    }
}
