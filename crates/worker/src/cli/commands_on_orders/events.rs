//! `orderwright events`: what happened to all orders, in one order. With `--follow` one JSON object a line, as it happens.

use std::time::Duration;

use anyhow::{Result, bail};
use application::ports::{EventFilter, EventPage, EventsRead, OrderEventView};
use clap::Args;
use serde_json::json;

use super::Desk;
use super::answer::{answer, listing, or_dash, second, table};
use crate::cli::texts;
use crate::say;
use crate::webhook_endpoints::check_type;

/// Between two looks for the next event.
const LOOK: Duration = Duration::from_millis(500);

/// Look at what happened to orders.
#[derive(Debug, Args)]
pub(in crate::cli) struct Events {
    /// Only events behind this position; from the oldest that is kept unless said.
    #[arg(long, default_value_t = 0, value_name = "POSITION")]
    after: i64,
    /// Only these types, with commas between.
    #[arg(long, value_delimiter = ',', value_name = "TYPES", value_parser = event_type)]
    types: Vec<String>,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = texts::count)]
    limit: usize,
    /// Go on with those that happen from then on, one JSON object a line, until interrupted.
    #[arg(long)]
    follow: bool,
}

/// A type of events.
pub(super) fn event_type(text: &str) -> Result<String, String> {
    check_type(text).map(|()| text.to_owned())
}

impl Events {
    pub(super) async fn run(self, desk: &Desk) -> Result<()> {
        let mut filter = EventFilter { after: self.after, types: self.types };
        if self.follow {
            return follow(desk, filter).await;
        }
        let mut events: Vec<OrderEventView> = Vec::new();
        let (next, has_more) = loop {
            let page = read(desk, &filter, self.limit.saturating_sub(events.len())).await?;
            events.extend(page.events);
            if !page.has_more || events.len() >= self.limit {
                break (page.next, page.has_more);
            }
            filter.after = page.next;
        };
        let told = json!({"items": events, "next": next, "has_more": has_more});
        answer(desk.format, &told, |_| event_table(&events, next, has_more))
    }
}

async fn read(desk: &Desk, filter: &EventFilter, max: usize) -> Result<EventPage> {
    match desk.store.events.events(filter, max).await? {
        EventsRead::Page(page) => Ok(page),
        EventsRead::Swept { up_to } => {
            bail!("events up to {up_to} are past their time; go on with: events --after {up_to}")
        }
        EventsRead::Beyond { newest } => {
            bail!("the newest event is {newest}, and --after is beyond it; was the database restored?")
        }
    }
}

async fn follow(desk: &Desk, mut filter: EventFilter) -> Result<()> {
    loop {
        let page = read(desk, &filter, 200).await?;
        for event in &page.events {
            say!("{}", serde_json::to_string(event)?);
        }
        filter.after = page.next;
        if !page.has_more {
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn event_table(events: &[OrderEventView], next: i64, has_more: bool) -> String {
    let mut table = table(&["position", "at", "what happened", "order", "reference", "more"]);
    for event in events {
        table.add_row([
            event.position.to_string(),
            second(event.at),
            event.event_type.clone(),
            event.order_id.to_string(),
            or_dash(event.external_reference.as_deref()),
            event.detail.clone().unwrap_or_default(),
        ]);
    }
    listing(&table, "no events", has_more.then(|| format!("there are more: --after {next}")))
}
