//! `orderwright webhook-endpoints`: programs that are sent the events of orders by a running service.

use anyhow::{Context as _, Result, bail, ensure};
use application::commands::{
    AddEndpointCommand, ChangeEndpointCommand, RedeliverCommand, RemoveEndpointCommand,
};
use application::ports::{
    Delivery, DeliveryFilter, DeliveryState, EndpointChange, EndpointState, Redelivery, WebhookEndpoint,
};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde_json::json;
use uuid::Uuid;

use super::answer::{answer, facts, listing, or_dash, second, table};
use super::events::event_type;
use super::{Desk, Signed};
use crate::cli::texts;
use crate::webhook_endpoints::{
    DeliveryView, EndpointView, NewEndpoint, REDELIVER_MAX, check_url, fresh, rotation, too_many,
};

/// Look at webhook endpoints, and change them.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum WebhookEndpointsCommand {
    /// List them, with how far each has the events.
    List,
    /// Make one and show its secret, once.
    Add {
        /// Where to send events, https://HOST/PATH.
        #[arg(value_parser = texts::line)]
        url: String,
        #[command(flatten)]
        wanted: Wanted,
        #[command(flatten)]
        signed: Signed,
    },
    /// Change what is named of one, and nothing else.
    Change {
        /// Its id, as listed.
        id: Uuid,
        /// Another address.
        #[arg(long, value_parser = texts::line, value_name = "URL")]
        url: Option<String>,
        /// All types of events again.
        #[arg(long, conflicts_with = "types")]
        all_types: bool,
        #[command(flatten)]
        wanted: Wanted,
        #[command(flatten)]
        signed: Signed,
    },
    /// Send one nothing until it is resumed.
    Pause {
        /// Its id, as listed.
        id: Uuid,
        #[command(flatten)]
        signed: Signed,
    },
    /// Let one that is paused or closed go on where it stopped.
    Resume {
        /// Its id, as listed.
        id: Uuid,
        #[command(flatten)]
        signed: Signed,
    },
    /// Give one a new secret and show it, once. For a day the old one signs as well.
    RotateSecret {
        /// Its id, as listed.
        id: Uuid,
        #[command(flatten)]
        signed: Signed,
    },
    /// Remove one, and what is known of its deliveries.
    Remove {
        /// Its id, as listed.
        id: Uuid,
        #[command(flatten)]
        signed: Signed,
    },
    /// List what became of the events that were sent to one, newest first.
    Deliveries {
        /// Its id, as listed.
        id: Uuid,
        /// Only those that stand so.
        #[arg(long, value_parser = states())]
        state: Option<DeliveryState>,
        /// Only those before this position.
        #[arg(long, value_name = "POSITION")]
        before: Option<i64>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = texts::count)]
        limit: usize,
    },
    /// Send events to one once more: that at a position, or all that failed.
    Redeliver {
        /// Its id, as listed.
        id: Uuid,
        /// The event; all that failed if left out.
        #[arg(long, value_name = "POSITION")]
        position: Option<i64>,
        #[command(flatten)]
        signed: Signed,
    },
}

/// What an endpoint is sent.
#[derive(Debug, Args)]
pub(in crate::cli) struct Wanted {
    /// Only these types of events, with commas between.
    #[arg(long, value_delimiter = ',', value_name = "TYPES", value_parser = event_type)]
    types: Vec<String>,
    /// What it is for.
    #[arg(long, value_name = "TEXT", value_parser = texts::note)]
    about: Option<String>,
    /// The position to go on behind, 0 for the oldest event; from now on unless said.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,
}

fn states() -> impl TypedValueParser<Value = DeliveryState> {
    PossibleValuesParser::new(DeliveryState::ALL.iter().map(|state| state.as_str()))
        .try_map(|text| text.parse::<DeliveryState>())
}

impl WebhookEndpointsCommand {
    pub(super) async fn run(self, desk: &Desk) -> Result<()> {
        match self {
            Self::List => list(desk).await,
            Self::Add { url, wanted, signed } => make(desk, url, wanted, &signed).await,
            Self::Change { id, url, all_types, wanted, signed } => {
                let Wanted { types, about, after } = wanted;
                if let Some(url) = &url {
                    check_url(url, desk.plain).map_err(anyhow::Error::msg)?;
                }
                let types = (all_types || !types.is_empty()).then_some(types);
                let change =
                    EndpointChange { url, types, note: about, position: after, ..EndpointChange::default() };
                ensure!(
                    change != EndpointChange::default(),
                    "nothing is named that is to change; see --help"
                );
                change_one(desk, id, &change, &signed).await
            }
            Self::Pause { id, signed } => turn(desk, id, EndpointState::Paused, &signed).await,
            Self::Resume { id, signed } => turn(desk, id, EndpointState::Active, &signed).await,
            Self::RotateSecret { id, signed } => {
                let endpoint = changed(desk, id, &rotation()?, &signed).await?;
                answer(desk.format, &EndpointView::with_secret(endpoint), shown)
            }
            Self::Remove { id, signed } => {
                let removed = desk.commands.run(&RemoveEndpointCommand { id, by: by(desk, &signed) }).await?;
                ensure!(removed, missing(id));
                answer(desk.format, &json!({"id": id, "removed": true}), |_| format!("{id} is removed"))
            }
            Self::Deliveries { id, state, before, limit } => {
                deliveries(desk, id, DeliveryFilter { state, before }, limit).await
            }
            Self::Redeliver { id, position, signed } => redeliver(desk, id, position, &signed).await,
        }
    }
}

fn by<'a>(desk: &Desk, signed: &'a Signed) -> bus::Signed<'a> {
    bus::Signed { actor: &signed.actor, note: &signed.note, at: desk.context.clock.now() }
}

fn missing(id: Uuid) -> String {
    format!("there is no webhook endpoint {id}; list them with: webhook-endpoints list")
}

async fn list(desk: &Desk) -> Result<()> {
    let endpoints = desk.store.webhook_endpoints.endpoints().await?;
    let items: Vec<EndpointView> = endpoints.into_iter().map(EndpointView::from).collect();
    answer(desk.format, &json!({"items": items}), |_| {
        let mut table = table(&["id", "state", "address", "types", "position", "trouble"]);
        for it in &items {
            let types = if it.types.is_empty() { "all".to_owned() } else { it.types.join(", ") };
            let (id, position) = (it.id.to_string(), it.position.to_string());
            table.add_row([&id, it.state, it.url.as_str(), &types, &position, &or_dash(said(&it.trouble))]);
        }
        listing(&table, "no webhook endpoints", None)
    })
}

fn said(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

async fn make(desk: &Desk, url: String, wanted: Wanted, signed: &Signed) -> Result<()> {
    check_url(&url, desk.plain).map_err(anyhow::Error::msg)?;
    let Wanted { types, about, after } = wanted;
    let position = match after {
        Some(position) => position,
        None => desk.store.events.newest_event().await?,
    };
    let by = by(desk, signed);
    let id = desk.context.ids.next(by.at);
    let new = NewEndpoint { id, url, types, note: about.unwrap_or_default(), position };
    let endpoint = fresh(new, by.at)?;
    ensure!(desk.commands.run(&AddEndpointCommand { endpoint: &endpoint, by }).await?, too_many());
    answer(desk.format, &EndpointView::with_secret(endpoint), shown)
}

async fn change_one(desk: &Desk, id: Uuid, change: &EndpointChange, signed: &Signed) -> Result<()> {
    let view: EndpointView = changed(desk, id, change, signed).await?.into();
    answer(desk.format, &view, shown)
}

async fn changed(desk: &Desk, id: Uuid, change: &EndpointChange, signed: &Signed) -> Result<WebhookEndpoint> {
    let changed = desk.commands.run(&ChangeEndpointCommand { id, change, by: by(desk, signed) }).await?;
    changed.with_context(|| missing(id))
}

async fn turn(desk: &Desk, id: Uuid, state: EndpointState, signed: &Signed) -> Result<()> {
    let change = EndpointChange { state: Some(state), ..EndpointChange::default() };
    change_one(desk, id, &change, signed).await
}

fn shown(view: &EndpointView) -> String {
    let types = if view.types.is_empty() { "all".to_owned() } else { view.types.join(", ") };
    let secret = view.secret.as_ref().map(|secret| format!("{secret} (not shown again)"));
    let moment = |at: Option<jiff::Timestamp>| at.map_or_else(String::new, second);
    facts([
        ("id", view.id.to_string()),
        ("address", view.url.clone()),
        ("types", types),
        ("about", view.note.clone()),
        ("state", view.state.to_owned()),
        ("trouble", view.trouble.clone()),
        ("position", view.position.to_string()),
        ("away since", moment(view.failing_since)),
        ("tried again", moment(view.next_attempt_at)),
        ("secret", secret.unwrap_or_default()),
    ])
    .to_string()
}

async fn found(desk: &Desk, id: Uuid) -> Result<WebhookEndpoint> {
    let endpoints = desk.store.webhook_endpoints.endpoints().await?;
    endpoints.into_iter().find(|endpoint| endpoint.id == id).with_context(|| missing(id))
}

async fn deliveries(desk: &Desk, id: Uuid, filter: DeliveryFilter, limit: usize) -> Result<()> {
    found(desk, id).await?;
    let page = desk.store.webhook_endpoints.deliveries(id, filter, limit).await?;
    let has_more = page.has_more;
    let items: Vec<DeliveryView> = page.items.into_iter().map(|it: Delivery| it.into()).collect();
    answer(desk.format, &json!({"items": items, "has_more": has_more}), |_| {
        let mut table =
            table(&["position", "what happened", "order", "state", "attempts", "last tried", "answer"]);
        for it in &items {
            table.add_row([
                it.position.to_string(),
                it.event_type.clone(),
                it.order_id.to_string(),
                it.state.to_owned(),
                it.attempts.to_string(),
                second(it.last_at),
                it.answer.clone(),
            ]);
        }
        let more = items.last().filter(|_| has_more);
        listing(
            &table,
            "no deliveries",
            more.map(|last| format!("there are more: --before {}", last.position)),
        )
    })
}

async fn redeliver(desk: &Desk, id: Uuid, position: Option<i64>, signed: &Signed) -> Result<()> {
    found(desk, id).await?;
    let what = position.map_or(Redelivery::Failed(REDELIVER_MAX), Redelivery::One);
    let events = desk.commands.run(&RedeliverCommand { id, what, by: by(desk, signed) }).await?;
    if let (0, Redelivery::One(position)) = (events, what) {
        bail!(
            "event {position} was not sent to this endpoint; list those that were with: webhook-endpoints deliveries {id}"
        );
    }
    answer(desk.format, &json!({"events": events}), |_| match events {
        0 => "none had failed; nothing was changed".to_owned(),
        1 => "1 event is sent once more".to_owned(),
        events => format!("{events} events are sent once more"),
    })
}
