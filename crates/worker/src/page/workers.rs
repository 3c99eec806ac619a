//! What runs: queues with their backlog, the consumers and services of this worker, what lies at the broker.

use axum::response::Response;
use bus::Running;
use bus_page::{Column, QueueRow, badge, fragment, queues, table};
use maud::{Markup, html};

use super::value::{counts, number};
use super::visit::{Shown, Visit};
use crate::health::BrokerQueue;

pub(super) async fn show(visit: Visit) -> Response {
    let overview = visit.get("/overview").await;
    if !overview.is_success() {
        return visit.fail("/workers", &overview);
    }
    let overview = overview.body;
    let at_broker = match &visit.page.parts.broker {
        Some(broker) => Some(broker.queues().await),
        None => None,
    };
    let waiting: Vec<_> = counts(&overview, "queues")
        .into_iter()
        .map(|(name, waiting)| QueueRow { name, waiting, consumers: None, set_aside: None })
        .collect();
    let content = html! {
        h2 { "Queues in the store" }
        (fragment("queues", "queues", &html! {
            (queues("Messages that wait in the store", &waiting))
            p .soft { (number(&overview, "waiting")) " messages wait for a time or their turn, " (number(&overview, "timers")) " timers run." }
        }))
        @if let Some(found) = &at_broker {
            h2 { "Queues at the broker" }
            (fragment("broker", "queues samples", &broker(found.as_deref())))
        }
        h2 { "What runs in this worker" }
        (fragment("services", "health samples", &services(&visit)))
    };
    visit.show(
        &Shown { title: "Workers and queues", here: "/workers", topics: "queues health samples" },
        &content,
    )
}

fn broker(found: Result<&[BrokerQueue], &String>) -> Markup {
    match found {
        Ok(found) => {
            let row = |queue: &BrokerQueue| QueueRow {
                name: queue.name.clone(),
                waiting: queue.messages,
                consumers: Some(queue.consumers),
                set_aside: Some(queue.set_aside),
            };
            queues("Messages and consumers at the broker", &found.iter().map(row).collect::<Vec<_>>())
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
