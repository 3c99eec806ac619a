//! Commands about what is in the database: orders, stock, sagas, dead letters. They work on the file itself, beside a
//! running service, which notices what they leave; each change goes through the same handlers as the API's.

mod answer;
mod audit;
mod dead_letters;
mod error_queues;
mod events;
mod order_changes;
mod order_holds;
mod order_lines;
mod order_returns;
mod orders;
mod providers;
mod queues;
mod sagas;
mod stock;
mod webhook_endpoints;
mod workers;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use application::commands::{Command, CommandPipeline, IfUnchanged, IfUnchangedReply, Seen};
use application::pipeline::Context;
use application::ports::{Channel, ReferencedOrder, UnitOfWork};
use clap::{Args, Subcommand};
use domain::OrderId;
use domain::text::composed;
use jiff::Timestamp;

use super::{Format, Shared, texts};
use crate::any_store::{AnyStore, Purpose};
use crate::http::CHANGED_WORDS;
use crate::notifying;
use crate::webhook_endpoints::Plain;
use crate::wiring;

/// Commands about what is in the database.
#[derive(Debug, Subcommand)]
pub(super) enum OnOrders {
    /// Look at orders, cancel and refund them, erase who they are for.
    #[command(subcommand)]
    Orders(orders::Orders),
    /// Look at the stock, and change it.
    #[command(subcommand)]
    Stock(stock::Stock),
    /// Look at the orders' sagas, and help those that need attention.
    #[command(subcommand)]
    Sagas(sagas::Sagas),
    /// Look at messages that were set aside, put them back or archive them.
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Look at the queues, and pause their consumers.
    #[command(subcommand)]
    Queues(queues::Queues),
    /// Look at the workers of this database.
    Workers(workers::Workers),
    /// Look at the broker's error queues, put messages back or discard them.
    #[command(subcommand)]
    ErrorQueues(error_queues::ErrorQueuesCommand),
    /// Look at what the providers told that belongs to no order.
    #[command(subcommand)]
    Providers(providers::Providers),
    /// Look at what happened to orders, in one order.
    Events(events::Events),
    /// Look at programs that are sent what happens to orders, and change them.
    #[command(subcommand)]
    WebhookEndpoints(webhook_endpoints::WebhookEndpointsCommand),
    /// Look at what persons did, latest first.
    Audit(audit::Audit),
}

impl OnOrders {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        let desk = Desk::open(shared).await?;
        let ran = match self {
            Self::Orders(orders) => orders.run(&desk).await,
            Self::Stock(stock) => stock.run(&desk).await,
            Self::Sagas(sagas) => sagas.run(&desk).await,
            Self::DeadLetters(dead_letters) => dead_letters.run(&desk).await,
            Self::Queues(queues) => queues.run(&desk).await,
            Self::Workers(workers) => workers.run(&desk).await,
            Self::ErrorQueues(error_queues) => error_queues.run(&desk).await,
            Self::Providers(providers) => providers.run(&desk).await,
            Self::Events(events) => events.run(&desk).await,
            Self::WebhookEndpoints(endpoints) => endpoints.run(&desk).await,
            Self::Audit(audit) => audit.run(&desk).await,
        };
        desk.store.upkeep.close().await;
        ran.map(|()| ExitCode::SUCCESS)
    }
}

/// Who does it, and why; kept with what was done.
#[derive(Debug, Args)]
pub(in crate::cli) struct Signed {
    /// Who asks for it; kept with what was done.
    #[arg(long, env = "USER", default_value = "operator", value_name = "NAME", value_parser = texts::line)]
    actor: String,
    /// Why, in your words; kept with what was done.
    #[arg(long, default_value = "", value_name = "TEXT", value_parser = texts::note)]
    note: String,
}

/// When an order had last moved as far as its operator saw.
#[derive(Clone, Copy, Debug, Args)]
pub(in crate::cli) struct SeenOrder {
    /// Do it only if the order's saga has not moved since you saw it: its 'last moved', as `sagas show` tells it.
    #[arg(long, value_name = "TIME")]
    seen: Option<Timestamp>,
}

impl SeenOrder {
    fn of(self, order_id: OrderId) -> Option<Seen> {
        self.seen.map(|moved_at| Seen::Order(order_id, moved_at))
    }
}

/// What every one of these commands works with.
struct Desk {
    store: AnyStore,
    commands: CommandPipeline,
    context: Arc<Context>,
    /// How customers are told.
    channels: Arc<[Channel]>,
    /// Whether webhook endpoints may have plain HTTP addresses.
    plain: Plain,
    format: Format,
}

impl Desk {
    async fn open(shared: &Shared) -> Result<Self> {
        let config = shared.config(None)?;
        let store = AnyStore::open(&config, Purpose::Visit).await?;
        let commands = wiring::commands(&store, &config);
        let context = Arc::clone(commands.context());
        // What a command leaves for a paused consumer must wait for it.
        context.pauses.read(store.operations.pauses.as_ref()).await?;
        let channels = notifying::channels(&config);
        let plain = Plain::of(&config);
        Ok(Self { store, commands, context, channels, plain, format: shared.format() })
    }

    /// Runs a command if what its operator has seen has not changed since.
    async fn run_if_unchanged<C: Command>(&self, command: &C, seen: Option<&Seen>) -> Result<C::Reply> {
        match self.commands.run(&IfUnchanged { command, seen }).await? {
            IfUnchangedReply::Ran(reply) => Ok(reply),
            IfUnchangedReply::Changed => bail!("nothing was done: {CHANGED_WORDS}"),
        }
    }

    /// The order that a person means: by its id, or by the name that another system gave it.
    async fn order_id(&self, name: &str) -> Result<OrderId> {
        if let Ok(id) = name.parse() {
            return Ok(id);
        }
        let mut unit: Box<dyn UnitOfWork> = self.store.units.begin().await?;
        let found = unit.orders().find_by_external_reference(&[composed(name).into_owned()]).await?;
        match found.as_slice() {
            [only] => Ok(only.order_id),
            [_, _, ..] => {
                let bearer = |order: &ReferencedOrder| {
                    format!("{} (of '{}')", order.order_id, order.source.as_deref().unwrap_or("anybody"))
                };
                let bearers: Vec<String> = found.iter().map(bearer).collect();
                bail!(
                    "several orders bear the reference '{name}'; say which by its id: {}",
                    bearers.join(", ")
                )
            }
            [] => bail!("there is no order with the id or reference '{name}'"),
        }
    }
}
