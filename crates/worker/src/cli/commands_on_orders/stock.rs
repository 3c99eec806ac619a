//! `orderwright stock`: looks at the stock, takes goods in, corrects it and books counts. Every change is a line in the ledger.

use anyhow::{Context, Result, bail};
use application::commands::{
    AdjustStockCommand, ChangeProductCommand, ChangeProductReply, IfUnchanged, IfUnchangedReply, Once,
    OnceReply, Seen, StockChange, StockReply,
};
use application::ports::{
    EndangeredOrderView, InventoryView, LowOnly, MovementView, Page, ReservationPage, ReservationView,
};
use application::queries::{GetInventoryLevelsQuery, GetStockOfProductQuery};
use clap::{Args, Subcommand};
use domain::{OrderId, ProductId, Rejection, Sku, UNITS_MAX};
use serde::Serialize;

use super::answer::{answer, facts, listing, or_dash, second, table};
use super::{Desk, Signed};
use crate::cli::texts;
use crate::http::{CHANGED_WORDS, stock_booked, stock_key};

/// Endangered orders that are shown.
const ENDANGERED_MAX: usize = 200;

/// Look at the stock, and change it.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Stock {
    /// List stock levels by sku.
    List {
        /// Only products at or below their reorder level.
        #[arg(long)]
        low: bool,
        /// Only those that come after this sku.
        #[arg(long, value_name = "SKU")]
        after: Option<Sku>,
        /// How many at most.
        #[arg(long, default_value_t = 200, value_name = "N", value_parser = texts::count)]
        limit: usize,
    },
    /// Show the stock of one product.
    Show {
        /// The product.
        sku: Sku,
    },
    /// Show the ledger of one product, latest entry first.
    Movements {
        /// The product.
        sku: Sku,
        /// Only entries before this position.
        #[arg(long, value_name = "POSITION")]
        before: Option<i64>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = texts::count)]
        limit: usize,
    },
    /// Show the open orders that hold units of one product, oldest first.
    Reservations {
        /// The product.
        sku: Sku,
        /// Only those that come after this order.
        #[arg(long, value_name = "ID")]
        after: Option<OrderId>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = texts::count)]
        limit: usize,
    },
    /// Take goods in.
    Receive {
        /// The product.
        sku: Sku,
        /// How many units came in.
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        units: i64,
        #[command(flatten)]
        reason: Reason,
    },
    /// Book what was counted on the shelf, units that are set aside for orders among it.
    Count {
        /// The product.
        sku: Sku,
        /// How many units are there.
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(0..=UNITS_MAX))]
        units: i64,
        #[command(flatten)]
        reason: Reason,
    },
    /// Say at how many available units, or fewer, it is time to reorder.
    ReorderLevel {
        /// The product.
        sku: Sku,
        /// At this many or fewer.
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(0..=UNITS_MAX))]
        units: i64,
        #[command(flatten)]
        signed: Signed,
    },
    /// Take units out of the stock, or add some.
    Adjust {
        /// The product.
        sku: Sku,
        /// How many units were found (+N) or lost (-N).
        #[arg(value_name = "±N", allow_negative_numbers = true)]
        units: i64,
        #[command(flatten)]
        reason: Reason,
    },
}

/// Why stock changes, and who says so.
#[derive(Debug, Args)]
pub(in crate::cli) struct Reason {
    /// Why; kept in the ledger.
    #[arg(long, value_name = "TEXT", value_parser = texts::line)]
    reason: String,
    /// Who says so.
    #[arg(long, env = "USER", default_value = "operator", value_name = "NAME", value_parser = texts::line)]
    actor: String,
    /// A text of your choosing, new for each change: the same key and change are booked once, however often they are sent.
    #[arg(long, value_name = "TEXT", value_parser = texts::key)]
    idempotency_key: Option<String>,
    /// Do it only if nothing was booked since you saw the product: what was 'received' and 'adjusted' then, added up.
    #[arg(long, value_name = "UNITS", allow_negative_numbers = true)]
    seen: Option<i64>,
}

impl Stock {
    pub(super) async fn run(self, desk: &Desk) -> Result<()> {
        match self {
            Self::List { low, after, limit } => {
                let low = if low { LowOnly::Yes } else { LowOnly::No };
                let query = GetInventoryLevelsQuery { low, after, max: limit };
                let page = query.read(desk.store.readers.as_ref()).await?;
                answer(desk.format, &page, levels)
            }
            Self::Show { sku } => show(desk, &sku, Booked::Nothing).await,
            Self::Movements { sku, before, limit } => {
                level_of(desk, &sku).await?;
                let movements = desk.store.readers.movements(ProductId::of(&sku), before, limit).await?;
                answer(desk.format, &movements, |movements| ledger(movements))
            }
            Self::Reservations { sku, after, limit } => reservations(desk, &sku, after, limit).await,
            Self::Receive { sku, units, reason } => {
                change(desk, sku, StockChange::Receive(units), reason).await
            }
            Self::Count { sku, units, reason } => change(desk, sku, StockChange::Count(units), reason).await,
            Self::ReorderLevel { sku, units, signed } => reorder_level(desk, sku, units, signed).await,
            Self::Adjust { sku, units, reason } => {
                change(desk, sku, StockChange::Adjust(units), reason).await
            }
        }
    }
}

async fn level_of(desk: &Desk, sku: &Sku) -> Result<InventoryView> {
    GetStockOfProductQuery { sku }
        .read(desk.store.readers.as_ref())
        .await?
        .with_context(|| format!("there is no product with the sku '{sku}'"))
}

/// A page of reservations, with what to say after `--after` for the next.
#[derive(Serialize)]
struct Held {
    items: Vec<ReservationView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

async fn reservations(desk: &Desk, sku: &Sku, after: Option<OrderId>, limit: usize) -> Result<()> {
    level_of(desk, sku).await?;
    let ReservationPage { items, next } =
        desk.store.readers.reservations(ProductId::of(sku), after, limit).await?;
    answer(desk.format, &Held { items, next: next.map(|id| id.to_string()) }, held)
}

fn held(page: &Held) -> String {
    let mut table = table(&["order", "reference", "customer", "status", "units", "since"]);
    for order in &page.items {
        table.add_row([
            order.order_id.to_string(),
            or_dash(order.external_reference.as_deref()),
            order.customer_id.clone(),
            order.status.clone(),
            order.units.to_string(),
            second(order.since),
        ]);
    }
    let more = page.next.as_ref().map(|next| format!("there may be more: --after {next}"));
    match (page.items.as_slice(), more) {
        ([], Some(more)) => format!("no open order so far holds any\n{more}"),
        (_, more) => listing(&table, "no open order holds any", more),
    }
}

async fn change(desk: &Desk, sku: Sku, change: StockChange, reason: Reason) -> Result<()> {
    let Reason { reason, actor, idempotency_key, seen } = reason;
    let seen = seen.map(|booked| Seen::Stock(sku.clone(), booked));
    let command = AdjustStockCommand { sku: sku.clone(), change, reason, actor };
    let key = idempotency_key.map(|key| stock_key(&command, seen.as_ref(), key));
    let answer = |reply| match reply {
        IfUnchangedReply::Ran(StockReply::Done { ref inventory, availability }) => {
            stock_booked(&sku, inventory, availability).ok_or(reply)
        }
        refused @ (IfUnchangedReply::Ran(_) | IfUnchangedReply::Changed) => Err(refused),
    };
    let command = IfUnchanged { command: &command, seen: seen.as_ref() };
    let booked = desk.commands.run(&Once { key: key.as_ref(), command: &command, answer }).await?;
    let refused = match booked {
        OnceReply::Done(_) => return show(desk, &sku, Booked::Now).await,
        OnceReply::Replayed(_) => return show(desk, &sku, Booked::Before).await,
        OnceReply::Reused => bail!(
            "the stock of {sku} was not changed: this key was used for another change; use a new key for a new change"
        ),
        OnceReply::Refused(IfUnchangedReply::Ran(reply)) => reply,
        OnceReply::Refused(IfUnchangedReply::Changed) => {
            bail!("the stock of {sku} was not changed: {CHANGED_WORDS}")
        }
    };
    match refused {
        StockReply::Rejected(rejection @ Rejection::InsufficientStock { .. }) => bail!(
            "the stock of {sku} was not changed: {rejection}; to book what was found on the shelf, reserved units among it: \
             orderwright stock count {sku} N"
        ),
        StockReply::Rejected(rejection) => bail!("the stock of {sku} was not changed: {rejection}"),
        StockReply::Done { .. } => {
            bail!("the stock of {sku} was changed, and what became of it cannot be told")
        }
        StockReply::UnknownSku => bail!("there is no product with the sku '{sku}'"),
    }
}

async fn reorder_level(desk: &Desk, sku: Sku, units: i64, signed: Signed) -> Result<()> {
    let Signed { actor, note } = signed;
    let command = ChangeProductCommand {
        sku: sku.clone(),
        name: None,
        description: None,
        price: None,
        availability: None,
        reorder_level: Some(units),
        shipping: None,
        actor,
        note,
    };
    match desk.commands.run(&command).await? {
        ChangeProductReply::Done { .. } => show(desk, &sku, Booked::Now).await,
        ChangeProductReply::Rejected(rejection) => bail!("{sku} was not changed: {rejection}"),
        ChangeProductReply::UnknownSku => bail!("there is no product with the sku '{sku}'"),
    }
}

/// The stock of a product, and the orders that lack what is short of it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    level: InventoryView,
    endangered: Vec<EndangeredOrderView>,
    more_endangered: bool,
    /// Whether the change was booked before, under the same key.
    #[serde(skip_serializing_if = "is_first")]
    replayed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
const fn is_first(replayed: &bool) -> bool {
    !*replayed
}

/// What was booked before the stock is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Booked {
    Nothing,
    Now,
    /// By an earlier call with the same key.
    Before,
}

async fn show(desk: &Desk, sku: &Sku, booked: Booked) -> Result<()> {
    let level = level_of(desk, sku).await?;
    let mut endangered = Page { items: Vec::new(), has_more: false };
    if level.short > 0 {
        endangered = desk.store.readers.endangered_orders(ProductId::of(sku), ENDANGERED_MAX).await?;
    }
    let Page { items, has_more } = endangered;
    let replayed = booked == Booked::Before;
    answer(desk.format, &Shown { level, endangered: items, more_endangered: has_more, replayed }, shown)
}

fn shown(shown: &Shown) -> String {
    let mut level = level_facts(&shown.level);
    if shown.replayed {
        level = format!("booked before under this key; nothing was changed now\n{level}");
    }
    if shown.endangered.is_empty() {
        return level;
    }
    let mut table = table(&["endangered order", "reference", "customer", "status", "reserved", "missing"]);
    for order in &shown.endangered {
        table.add_row([
            order.order_id.to_string(),
            or_dash(order.external_reference.as_deref()),
            order.customer_id.clone(),
            order.status.clone(),
            order.reserved.to_string(),
            order.missing.to_string(),
        ]);
    }
    let more = shown.more_endangered.then(|| "there are more".to_owned());
    format!("{level}\n\n{}", listing(&table, "", more))
}

fn levels(page: &Page<InventoryView>) -> String {
    let mut table = table(&[
        "sku",
        "available",
        "reserved",
        "shipped",
        "received",
        "adjusted",
        "short",
        "reorder at",
        "",
        "last moved",
    ]);
    for level in &page.items {
        table.add_row([
            level.sku.clone(),
            level.available.to_string(),
            level.reserved.to_string(),
            level.shipped.to_string(),
            level.received.to_string(),
            level.adjusted.to_string(),
            level.short.to_string(),
            level.reorder_level.to_string(),
            lowness(level).to_owned(),
            second(level.last_updated),
        ]);
    }
    let last = page.items.last().filter(|_| page.has_more);
    listing(&table, "no products", last.map(|last| format!("there are more: --after {}", last.sku)))
}

const fn lowness(level: &InventoryView) -> &'static str {
    if level.low { "low" } else { "" }
}

fn level_facts(level: &InventoryView) -> String {
    facts([
        ("sku", level.sku.clone()),
        ("available", level.available.to_string()),
        ("reserved", level.reserved.to_string()),
        ("shipped", level.shipped.to_string()),
        ("received", level.received.to_string()),
        ("adjusted", level.adjusted.to_string()),
        ("short", level.short.to_string()),
        ("reorder at", level.reorder_level.to_string()),
        ("", lowness(level).to_owned()),
        ("last moved", second(level.last_updated)),
    ])
    .to_string()
}

fn ledger(movements: &[MovementView]) -> String {
    let mut table = table(&["position", "when", "what", "units", "because of"]);
    for movement in movements {
        table.add_row([
            movement.position.to_string(),
            second(movement.at),
            movement.kind.clone(),
            movement.quantity.to_string(),
            movement.cause.clone(),
        ]);
    }
    listing(&table, "the stock of this product has never moved", None)
}
