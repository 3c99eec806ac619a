//! `orderwright orders`: looks at orders and cancels them. Whether an order can still be cancelled is the saga's to say.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use application::commands::{CancelOrderCommand, CancelReply, TellAgainCommand, TellAgainReply};
use application::order_details::{Contact, OrderDetails};
use application::ports::{
    FOUND_BY_ACCEPTANCE, HistoryView, OrderFilter, OrderPage, OrderPlace, OrderSort, OrderView, SagaView,
};
use application::queries::{GetOrderHistoryQuery, GetOrderStatusQuery};
use application::saga::SagaState;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use comfy_table::Table;
use domain::text::composed;
use domain::{CancelReason, HoldId, HoldPoint, OrderId, OrderStatus, ReturnId, Sku};
use jiff::Timestamp;
use serde::Serialize;

use super::answer::{amount, answer, facts, listing, or_dash, second, table};
use super::sagas::states;
use super::{Desk, SeenOrder, Signed};
use super::{order_changes, order_holds, order_lines, order_returns};
use crate::cli::texts;

/// Look at orders, cancel and refund them, erase who they are for.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Orders {
    /// List orders, oldest first unless told otherwise.
    List(Wanted),
    /// Show one order with its lines, money, parcel, saga and timers.
    Show {
        /// The order's id, or the reference that another system gave it.
        #[arg(value_name = "ORDER")]
        order: String,
    },
    /// Show all that happened to one order.
    History {
        /// The order's id, or the reference that another system gave it.
        #[arg(value_name = "ORDER")]
        order: String,
    },
    /// Cancel one order, if it has not left the house yet.
    Cancel {
        /// The order's id, or the reference that another system gave it.
        #[arg(value_name = "ORDER")]
        order: String,
        #[command(flatten)]
        seen: SeenOrder,
        #[command(flatten)]
        signed: Signed,
    },
    /// Pay part of a delivered order's money back, or all of it.
    Refund {
        /// The order's id, or the reference that another system gave it.
        #[arg(value_name = "ORDER")]
        order: String,
        /// How much, in minor units of the order's currency.
        minor: i64,
        #[command(flatten)]
        seen: SeenOrder,
        #[command(flatten)]
        signed: Signed,
    },
    /// Change whom an order is for and where it goes, until its carrier is asked to book the parcel.
    Change {
        /// The order's id, or the reference that another system gave it.
        #[arg(value_name = "ORDER")]
        order: String,
        /// JSON with any of contact, shipping_address and billing_address, as the API takes them; - for standard input.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        #[command(flatten)]
        seen: SeenOrder,
        #[command(flatten)]
        signed: Signed,
    },
    /// Cancel units of an order that is on hold or waits for goods.
    CancelLines {
        /// The order's id, or the reference that another system gave it.
        #[arg(value_name = "ORDER")]
        order: String,
        #[command(flatten)]
        wish: order_lines::Wish,
        #[command(flatten)]
        seen: SeenOrder,
        #[command(flatten)]
        signed: Signed,
    },
    /// Put an order on hold before its payment or its parcel.
    Hold {
        /// The order's id, or the reference that another system gave it.
        #[arg(value_name = "ORDER")]
        order: String,
        /// Before which step.
        #[arg(long, value_parser = order_holds::hold_points())]
        before: HoldPoint,
        #[command(flatten)]
        seen: SeenOrder,
        #[command(flatten)]
        signed: Signed,
    },
    /// Release a hold of an order, which goes on if it was the last before its next step.
    Release {
        /// The order's id, or the reference that another system gave it.
        #[arg(value_name = "ORDER")]
        order: String,
        /// The hold, as `orders show` names it.
        hold: HoldId,
        #[command(flatten)]
        seen: SeenOrder,
        #[command(flatten)]
        signed: Signed,
    },
    /// Await goods of an order that was shipped; all that have not come back yet, unless lines are named.
    Return {
        /// The order's id, or the reference that another system gave it.
        #[arg(value_name = "ORDER")]
        order: String,
        /// Units of a product that come back; may be given several times.
        #[arg(long = "line", value_name = "SKU=UNITS")]
        lines: Vec<order_returns::Units>,
        #[command(flatten)]
        seen: SeenOrder,
        #[command(flatten)]
        signed: Signed,
    },
    /// Take in what came back of an order, put it on sale again or not, and pay back what goes with it.
    ReceiveReturn {
        /// The order's id, or the reference that another system gave it.
        #[arg(value_name = "ORDER")]
        order: String,
        /// The return, as `orders show` names it.
        #[arg(value_name = "RETURN")]
        return_id: ReturnId,
        #[command(flatten)]
        receipt: order_returns::Receipt,
        #[command(flatten)]
        seen: SeenOrder,
        #[command(flatten)]
        signed: Signed,
    },
    /// Await a return no longer.
    CancelReturn {
        /// The order's id, or the reference that another system gave it.
        #[arg(value_name = "ORDER")]
        order: String,
        /// The return, as `orders show` names it.
        #[arg(value_name = "RETURN")]
        return_id: ReturnId,
        #[command(flatten)]
        seen: SeenOrder,
        #[command(flatten)]
        signed: Signed,
    },
    /// Erase what an order says of who somebody is: contact, addresses, note, metadata. It cannot be undone.
    EraseContact {
        /// The order's id, or the reference that another system gave it.
        #[arg(value_name = "ORDER")]
        order: String,
        #[command(flatten)]
        signed: Signed,
    },
    /// Tell the customer once more where the order stands, through every configured channel.
    TellAgain {
        /// The order's id, or the reference that another system gave it.
        #[arg(value_name = "ORDER")]
        order: String,
        #[command(flatten)]
        signed: Signed,
    },
}

/// Which orders are wanted.
#[derive(Debug, Args)]
pub(in crate::cli) struct Wanted {
    /// Only this status.
    #[arg(long, value_parser = statuses())]
    status: Option<OrderStatus>,
    /// Only this customer's.
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Only those accepted at this moment or later, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only the order that bears this reference of another system.
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
    /// Only those with a line for this product.
    #[arg(long)]
    sku: Option<Sku>,
    /// Only those whose parcel has this tracking number.
    #[arg(long, value_name = "NUMBER")]
    tracking_number: Option<String>,
    /// Only those whose saga stands here.
    #[arg(long, value_parser = states())]
    saga_state: Option<SagaState>,
    /// Only those that wait for a person.
    #[arg(long, conflicts_with = "saga_state")]
    attention: bool,
    /// Only those that this names: an order's id, reference or customer, the sku of a line, a tracking number, or the gateway's
    /// name for the charge. The newest first, unless told otherwise.
    #[arg(long, value_name = "TEXT", value_parser = texts::line)]
    find: Option<String>,
    /// Only those accepted before this moment.
    #[arg(long, value_name = "TIME")]
    before: Option<Timestamp>,
    /// Only those whose status or money changed at this moment or later; in the order of that change, unless told otherwise.
    #[arg(long, value_name = "TIME")]
    updated_since: Option<Timestamp>,
    /// Only those whose status or money last changed before this moment.
    #[arg(long, value_name = "TIME")]
    updated_before: Option<Timestamp>,
    /// Which comes first.
    #[arg(long, value_parser = sorts(), allow_hyphen_values = true)]
    sort: Option<OrderSort>,
    /// Only those that come after this place, as the page before told it: an order's id, behind the moment of its last
    /// change if that gives the order.
    #[arg(long, value_name = "[TIME,]ID")]
    after: Option<Place>,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = texts::count)]
    limit: usize,
}

fn statuses() -> impl TypedValueParser<Value = OrderStatus> {
    PossibleValuesParser::new(OrderStatus::ALL.iter().map(|status| status.as_str()))
        .try_map(|text| text.parse::<OrderStatus>())
}

fn sorts() -> impl TypedValueParser<Value = OrderSort> {
    PossibleValuesParser::new(OrderSort::NAMES.iter().map(|(name, _)| *name))
        .try_map(|text| text.parse::<OrderSort>())
}

/// A place in a listing, as it is told and taken here.
#[derive(Clone, Copy, Debug)]
struct Place(OrderPlace);

impl FromStr for Place {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(',') {
            Some((at, id)) => Ok(Self(OrderPlace { order_id: id.parse()?, updated_at: at.parse()? })),
            None => Ok(Self(OrderPlace::by_id(text.parse()?))),
        }
    }
}

fn told(place: OrderPlace, sort: OrderSort) -> String {
    let OrderPlace { order_id, updated_at } = place;
    if sort.is_by_change() { format!("{updated_at},{order_id}") } else { order_id.to_string() }
}

impl Orders {
    pub(super) async fn run(self, desk: &Desk) -> Result<()> {
        match self {
            Self::List(wanted) => list(desk, wanted).await,
            Self::Show { order } => show(desk, &order).await,
            Self::History { order } => history(desk, &order).await,
            Self::Cancel { order, seen, signed } => cancel(desk, &order, seen, signed).await,
            Self::Refund { order, minor, seen, signed } => {
                order_returns::refund(desk, &order, minor, seen, signed).await
            }
            Self::Change { order, to, seen, signed } => {
                order_changes::change(desk, &order, &to, seen, signed).await
            }
            Self::CancelLines { order, wish, seen, signed } => {
                order_lines::cancel(desk, &order, wish, seen, signed).await
            }
            Self::Hold { order, before, seen, signed } => {
                order_holds::hold(desk, &order, before, seen, signed).await
            }
            Self::Release { order, hold, seen, signed } => {
                order_holds::release(desk, &order, hold, seen, signed).await
            }
            Self::Return { order, lines, seen, signed } => {
                order_returns::request(desk, &order, lines, seen, signed).await
            }
            Self::ReceiveReturn { order, return_id, receipt, seen, signed } => {
                order_returns::receive(desk, &order, return_id, receipt, seen, signed).await
            }
            Self::CancelReturn { order, return_id, seen, signed } => {
                order_returns::cancel(desk, &order, return_id, seen, signed).await
            }
            Self::TellAgain { order, signed } => tell_again(desk, &order, signed).await,
            Self::EraseContact { order, signed } => order_changes::erase_contact(desk, &order, signed).await,
        }
    }
}

async fn list(desk: &Desk, wanted: Wanted) -> Result<()> {
    let mut filter = OrderFilter {
        status: wanted.status,
        customer_id: wanted.customer,
        external_reference: wanted.reference.map(|text| composed(&text).into_owned()),
        sku: wanted.sku,
        tracking_number: wanted.tracking_number,
        saga_state: if wanted.attention { Some(SagaState::NeedsAttention) } else { wanted.saga_state },
        find: wanted.find.map(|text| text.trim().to_owned()),
        created_from: wanted.since,
        created_before: wanted.before,
        updated_from: wanted.updated_since,
        updated_before: wanted.updated_before,
        sort: OrderSort::default(),
        after: wanted.after.map(|Place(place)| place),
    };
    filter.sort = wanted.sort.unwrap_or_else(|| filter.usual_sort());
    ensure!(filter.find.is_none() || !filter.sort.is_by_change(), "{FOUND_BY_ACCEPTANCE}");
    let OrderPage { items, next } = desk.store.readers.orders(&filter, wanted.limit).await?;
    let next = next.map(|place| told(place, filter.sort));
    answer(desk.format, &Listed { items, has_more: next.is_some(), next }, order_table)
}

/// A page of orders, with what to say after `--after` for the next.
#[derive(Serialize)]
struct Listed {
    items: Vec<OrderView>,
    has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

fn order_table(page: &Listed) -> String {
    let mut table =
        table(&["order", "reference", "customer", "status", "saga", "total", "why cancelled", "accepted"]);
    for order in &page.items {
        table.add_row([
            order.order_id.to_string(),
            or_dash(order.external_reference.as_deref()),
            order.customer_id.clone(),
            order.status.clone(),
            order.saga_state.clone(),
            amount(&order.total),
            or_dash(order.cancel_reason.as_deref()),
            second(order.created_at),
        ]);
    }
    let more = page.next.as_ref().map(|place| format!("there may be more: --after {place}"));
    match (page.items.as_slice(), more) {
        ([], Some(more)) => format!("no orders so far\n{more}"),
        (_, more) => listing(&table, "no orders", more),
    }
}

/// Everything about one order.
#[derive(Serialize)]
struct Whole {
    order: OrderView,
    saga: Option<SagaView>,
}

async fn order(desk: &Desk, order_id: OrderId) -> Result<OrderView> {
    let found = GetOrderStatusQuery { order_id }.read(desk.store.readers.as_ref()).await?;
    found.with_context(|| format!("there is no order {order_id}"))
}

async fn show(desk: &Desk, name: &str) -> Result<()> {
    let id = desk.order_id(name).await?;
    let order = order(desk, id).await?;
    let saga = desk.store.readers.saga(id).await?;
    answer(desk.format, &Whole { order, saga }, whole)
}

fn whole(whole: &Whole) -> String {
    let Whole { order, saga } = whole;
    let mut parts = vec![headline(order).to_string(), lines(order).to_string()];
    if let Some(details) = &order.details {
        parts.push(said_beside(details).to_string());
    }
    if !order.holds.is_empty() {
        parts.push(order_holds::holds(order).to_string());
    }
    if !order.returns.is_empty() {
        parts.push(order_returns::returns(order).to_string());
    }
    if order.payment.is_some() || order.shipment.is_some() {
        parts.push(beneath(order).to_string());
    }
    if let Some(saga) = saga {
        parts.push(saga_facts(saga).to_string());
    }
    parts.join("\n\n")
}

fn headline(order: &OrderView) -> Table {
    facts([
        ("order", order.order_id.to_string()),
        ("reference", order.external_reference.clone().unwrap_or_default()),
        ("customer", order.customer_id.clone()),
        ("status", order.status.clone()),
        ("total", amount(&order.total)),
        ("cancelled for", order.cancel_reason.clone().unwrap_or_default()),
        ("in words", order.cancel_note.clone().unwrap_or_default()),
        ("ordered", second(order.ordered_at)),
        ("accepted", order.created_at.to_string()),
        ("last changed", order.updated_at.to_string()),
    ])
}

fn lines(order: &OrderView) -> Table {
    let mut table = table(&["sku", "quantity", "cancelled", "unit price"]);
    for line in &order.lines {
        let cancelled = match line.cancelled {
            0 => "-".to_owned(),
            units => units.to_string(),
        };
        table.add_row([line.sku.clone(), line.quantity.to_string(), cancelled, amount(&line.unit_price)]);
    }
    table
}

/// What the order says beside who wants what.
fn said_beside(details: &OrderDetails) -> Table {
    let mut rows: Vec<(String, String)> = Vec::new();
    if let Some(Contact { name, email, phone }) = &details.contact {
        let said: Vec<&str> = [name, email, phone].into_iter().flatten().map(String::as_str).collect();
        rows.push(("contact".to_owned(), said.join(", ")));
    }
    for (which, address) in [("ships to", &details.shipping_address), ("bill to", &details.billing_address)] {
        rows.extend(address.as_ref().map(|address| (which.to_owned(), address.to_string())));
    }
    for line in &details.money_lines {
        let label = line.label.as_ref().map_or_else(String::new, |label| format!(" ({label})"));
        let sign = if line.kind == "discount" { "-" } else { "" };
        rows.push((format!("{}{label}", line.kind), format!("{sign}{}", amount(&line.amount))));
    }
    rows.push(("tags".to_owned(), details.tags.join(", ")));
    rows.push(("note".to_owned(), details.order_note.clone().unwrap_or_default()));
    let metadata = details.metadata.iter();
    rows.extend(metadata.map(|(name, value)| (format!("metadata: {name}"), value.clone())));
    facts(rows.iter().map(|(name, value)| (name.as_str(), value.clone())))
}

/// The two axes beneath the headline status.
fn beneath(order: &OrderView) -> Table {
    let mut rows = Vec::new();
    if let Some(payment) = &order.payment {
        let held =
            |minor| amount(&application::messages::Amount { minor, currency: order.total.currency.clone() });
        rows.extend([
            ("payment", payment.status.clone()),
            ("captured", held(payment.captured_minor)),
            ("refunded", held(payment.refunded_minor)),
            ("payment key", payment.idempotency_key.clone()),
            ("charge", payment.provider_reference.clone().unwrap_or_default()),
            ("declined for", payment.decline_code.clone().unwrap_or_default()),
            ("authorised until", payment.authorised_until.map(|until| until.to_string()).unwrap_or_default()),
            ("disputed", payment.disputed.clone().unwrap_or_default()),
        ]);
    }
    if let Some(shipment) = &order.shipment {
        rows.extend([
            ("shipment", shipment.status.clone()),
            ("shipment key", shipment.idempotency_key.clone()),
            ("carrier", shipment.carrier.clone().unwrap_or_default()),
            ("tracking number", shipment.tracking_number.clone().unwrap_or_default()),
        ]);
    }
    facts(rows)
}

fn saga_facts(saga: &SagaView) -> Table {
    let timers = saga.timers.iter().map(|timer| format!("{} at {}", timer.name, timer.due_at));
    facts([
        ("saga", saga.state.clone()),
        ("its stock", saga.stock.clone()),
        ("its payment", saga.payment.clone()),
        ("its shipment", saga.shipment.clone()),
        ("undone for", saga.reason.clone().unwrap_or_default()),
        ("waits for a person", saga.pending_undo.clone().unwrap_or_default()),
        ("timers", timers.collect::<Vec<_>>().join("\n")),
        ("last moved", saga.updated_at.to_string()),
    ])
}

async fn history(desk: &Desk, name: &str) -> Result<()> {
    let id = desk.order_id(name).await?;
    let query = GetOrderHistoryQuery { order_id: id };
    let entries = query.read(desk.store.readers.as_ref()).await?;
    let entries = entries.with_context(|| format!("there is no order {id}"))?;
    answer(desk.format, &entries, |entries| timeline(entries))
}

fn timeline(entries: &[HistoryView]) -> String {
    let mut table = table(&["when", "what", "status", "saga", "in words"]);
    for entry in entries {
        table.add_row([
            entry.at.to_string(),
            entry.event.clone(),
            or_dash(entry.status.as_deref()),
            or_dash(entry.saga_state.as_deref()),
            entry.detail.clone().unwrap_or_default(),
        ]);
    }
    listing(&table, "nothing has happened yet", None)
}

#[derive(Serialize)]
struct Cancelled {
    order_id: String,
    outcome: &'static str,
}

async fn cancel(desk: &Desk, name: &str, seen: SeenOrder, signed: Signed) -> Result<()> {
    let order_id = desk.order_id(name).await?;
    let Signed { actor, note } = signed;
    let command = CancelOrderCommand { order_id, reason: CancelReason::Operator, actor, note };
    let outcome = match desk.run_if_unchanged(&command, seen.of(order_id).as_ref()).await? {
        CancelReply::Accepted => "accepted",
        CancelReply::Already => "already",
        CancelReply::Refused { state, why } => bail!("the order is {state} and was not cancelled: {why}"),
        CancelReply::NotFound => bail!("there is no order {order_id}"),
    };
    let cancelled = Cancelled { order_id: order_id.to_string(), outcome };
    answer(desk.format, &cancelled, |cancelled| match cancelled.outcome {
        "already" => format!("{order_id} was cancelled before; nothing more to do"),
        _ => format!("{order_id} is being cancelled; a running service undoes what was done"),
    })
}

#[derive(Serialize)]
struct ToldAgain {
    order_id: String,
    notification: &'static str,
    channels: usize,
}

async fn tell_again(desk: &Desk, name: &str, signed: Signed) -> Result<()> {
    let order_id = desk.order_id(name).await?;
    let Signed { actor, note } = signed;
    let command = TellAgainCommand { order_id, channels: Arc::clone(&desk.channels), actor, note };
    let told = match desk.commands.run(&command).await? {
        TellAgainReply::Asked { kind, channels } => {
            ToldAgain { order_id: order_id.to_string(), notification: kind.as_str(), channels }
        }
        TellAgainReply::Refused { why } => bail!("nothing was sent: {why}"),
        TellAgainReply::NotFound => bail!("there is no order {order_id}"),
    };
    answer(desk.format, &told, |told| {
        let ToldAgain { order_id, notification, channels } = told;
        format!("{order_id}: {notification} goes out through {channels} channel(s) as soon as a service runs")
    })
}
