//! `orderwright sagas`: looks at the orders' sagas and does what only a person may do about those that need attention.

use anyhow::{Context, Result, bail};
use application::commands::{OperateReply, OperateSagaCommand, SagaOperation};
use application::ports::{AttentionView, SagaFilter, SagaView};
use application::saga::SagaState;
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use domain::OrderId;
use jiff::Timestamp;
use serde::Serialize;

use super::answer::{answer, facts, listing, or_dash, second, table};
use super::{Desk, SeenOrder, Signed};

use crate::cli::texts;

/// Look at the orders' sagas, and help those that need attention.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Sagas {
    /// List sagas, oldest first.
    List {
        /// Only those in this state.
        #[arg(long, value_parser = states())]
        state: Option<SagaState>,
        /// Only those that last moved before this moment, such as 2026-01-31T12:00:00Z.
        #[arg(long, value_name = "TIME")]
        unmoved_since: Option<Timestamp>,
        /// Only those that come after this order.
        #[arg(long, value_name = "ID")]
        after: Option<OrderId>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = texts::count)]
        limit: usize,
    },
    /// Show one saga.
    Show {
        /// The order's id, or the reference that another system gave it.
        order: String,
    },
    /// Ask the provider again and go on: with the undoing that does not get on, or where the order stood.
    Retry {
        /// The order's id, or the reference that another system gave it.
        order: String,
        #[command(flatten)]
        seen: SeenOrder,
        #[command(flatten)]
        signed: Signed,
    },
    /// Take things as they are and go on: with the next undoing, or where the order stood.
    Skip {
        /// The order's id, or the reference that another system gave it.
        order: String,
        #[command(flatten)]
        seen: SeenOrder,
        #[command(flatten)]
        signed: Signed,
    },
    /// Close the order, taking what is open as settled by hand; `sagas show` says what that means now.
    Force {
        /// The order's id, or the reference that another system gave it.
        order: String,
        #[command(flatten)]
        seen: SeenOrder,
        #[command(flatten)]
        signed: Signed,
    },
}

pub(super) fn states() -> impl TypedValueParser<Value = SagaState> {
    PossibleValuesParser::new(SagaState::ALL.iter().map(|state| state.as_str()))
        .try_map(|text| text.parse::<SagaState>())
}

impl Sagas {
    pub(super) async fn run(self, desk: &Desk) -> Result<()> {
        match self {
            Self::List { state, unmoved_since, after, limit } => {
                let page =
                    desk.store.readers.sagas(&SagaFilter { state, unmoved_since, after }, limit).await?;
                let next = page.next.map(|id| id.to_string());
                answer(desk.format, &Listed { items: page.items, has_more: next.is_some(), next }, saga_table)
            }
            Self::Show { order } => {
                let id = desk.order_id(&order).await?;
                let saga = desk
                    .store
                    .readers
                    .saga(id)
                    .await?
                    .with_context(|| format!("there is no saga of order {id}"))?;
                answer(desk.format, &saga, saga_facts)
            }
            Self::Retry { order, seen, signed } => {
                operate(desk, &order, SagaOperation::Retry, seen, signed).await
            }
            Self::Skip { order, seen, signed } => {
                operate(desk, &order, SagaOperation::Skip, seen, signed).await
            }
            Self::Force { order, seen, signed } => {
                operate(desk, &order, SagaOperation::Force, seen, signed).await
            }
        }
    }
}

/// A page of sagas, with what to say after `--after` for the next.
#[derive(Serialize)]
struct Listed {
    items: Vec<SagaView>,
    has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct Operated {
    order_id: String,
    operation: String,
    state: &'static str,
}

async fn operate(
    desk: &Desk,
    name: &str,
    operation: SagaOperation,
    seen: SeenOrder,
    signed: Signed,
) -> Result<()> {
    let order_id = desk.order_id(name).await?;
    let Signed { actor, note } = signed;
    let command = OperateSagaCommand { order_id, operation, actor, note };
    let state = match desk.run_if_unchanged(&command, seen.of(order_id).as_ref()).await? {
        OperateReply::Done(state) => state.as_str(),
        OperateReply::Refused { state, why } => {
            bail!("the saga is {state} and does not take '{operation}': {why}")
        }
        OperateReply::NotFound => bail!("there is no saga of order {order_id}"),
    };
    let operated = Operated { order_id: order_id.to_string(), operation: operation.to_string(), state };
    answer(desk.format, &operated, |operated| {
        format!("{}: {} done, the saga is now {}", operated.order_id, operated.operation, operated.state)
    })
}

fn saga_table(page: &Listed) -> String {
    let mut table = table(&[
        "order",
        "state",
        "stock",
        "payment",
        "shipment",
        "undone for",
        "waits for a person",
        "last moved",
    ]);
    for saga in &page.items {
        table.add_row([
            saga.order_id.to_string(),
            saga.state.clone(),
            saga.stock.clone(),
            saga.payment.clone(),
            saga.shipment.clone(),
            or_dash(saga.reason.as_deref()),
            or_dash(saga.attention.as_ref().map(|attention| attention.cause.as_str())),
            second(saga.updated_at),
        ]);
    }
    let more = page.next.as_ref().map(|next| format!("there may be more: --after {next}"));
    match (page.items.as_slice(), more) {
        ([], Some(more)) => format!("no sagas so far\n{more}"),
        (_, more) => listing(&table, "no sagas", more),
    }
}

fn saga_facts(saga: &SagaView) -> String {
    let timers = saga.timers.iter().map(|timer| format!("{} at {}", timer.name, timer.due_at));
    let asked = |text: fn(&AttentionView) -> String| saga.attention.as_ref().map(text).unwrap_or_default();
    let last = saga.last_event.as_ref();
    let last = last
        .map(|last| format!("{} at {}. {}", last.event, last.at, last.detail.clone().unwrap_or_default()));
    facts([
        ("order", saga.order_id.to_string()),
        ("state", saga.state.clone()),
        ("stock", saga.stock.clone()),
        ("payment", saga.payment.clone()),
        ("shipment", saga.shipment.clone()),
        ("undone for", saga.reason.clone().unwrap_or_default()),
        ("pending undo", saga.pending_undo.clone().unwrap_or_default()),
        ("waits for a person", asked(|attention| format!("{}: {}", attention.cause, attention.why))),
        ("  retry", asked(|attention| attention.retry.clone())),
        ("  skip", asked(|attention| attention.skip.clone())),
        ("  force", asked(|attention| attention.force.clone())),
        ("last event", last.unwrap_or_default()),
        ("timers", timers.collect::<Vec<_>>().join("\n")),
        ("version", saga.version.to_string()),
        ("began", saga.created_at.to_string()),
        ("last moved", saga.updated_at.to_string()),
    ])
    .to_string()
}
