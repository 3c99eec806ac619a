//! `orderwright providers`: looks at events of the providers that belong to no order, and notes that a person has seen to one.

use anyhow::{Result, bail};
use application::commands::{SeeToEventCommand, TakeEventAgainCommand, TakenAgain};
use application::ports::{Page, Provider, Seen, UnmatchedFilter, UnmatchedView, Which};
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use super::answer::{answer, listing, or_dash, second, table};
use super::{Desk, Signed};

use crate::cli::texts;

/// Look at what the providers told that belongs to no order.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Providers {
    /// List events that belong to no order, oldest first.
    Unmatched {
        /// Only those of this provider.
        #[arg(long, value_parser = providers())]
        provider: Option<Provider>,
        /// Also those that a person has seen to.
        #[arg(long)]
        all: bool,
        /// Only those after this position.
        #[arg(long, value_name = "POSITION")]
        after: Option<i64>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = texts::count)]
        limit: usize,
    },
    /// Note that you have seen to an event, and what came of it. Moves no money and no order.
    Seen {
        /// Its position, as listed.
        position: i64,
        #[command(flatten)]
        signed: Signed,
    },
    /// Take an event once more: the order that it belongs to may be known by now.
    TakeAgain {
        /// Its position, as listed.
        position: i64,
        #[command(flatten)]
        signed: Signed,
    },
}

fn providers() -> impl TypedValueParser<Value = Provider> {
    PossibleValuesParser::new(Provider::ALL.iter().map(|provider| provider.as_str()))
        .try_map(|text| text.parse::<Provider>())
}

impl Providers {
    pub(super) async fn run(self, desk: &Desk) -> Result<()> {
        match self {
            Self::Unmatched { provider, all, after, limit } => {
                let which = if all { Which::All } else { Which::Unseen };
                let filter = UnmatchedFilter { provider, which, after };
                let page = desk.store.readers.unmatched(&filter, limit).await?;
                answer(desk.format, &page, event_table)
            }
            Self::Seen { position, signed } => see_to(desk, position, signed).await,
            Self::TakeAgain { position, signed } => take_again(desk, position, signed).await,
        }
    }
}

#[derive(Serialize)]
struct SeenTo {
    position: i64,
    seen: &'static str,
}

async fn see_to(desk: &Desk, position: i64, signed: Signed) -> Result<()> {
    let Signed { actor, note } = signed;
    let seen = match desk.commands.run(&SeeToEventCommand { position, actor, note }).await? {
        Seen::Now => "now",
        Seen::Before => "before",
        Seen::NotFound => {
            bail!("there is no unmatched event at position {position}; list them with: providers unmatched")
        }
    };
    answer(desk.format, &SeenTo { position, seen }, |seen| match seen.seen {
        "now" => format!("event {} is seen to", seen.position),
        _ => format!("event {} was seen to before; nothing was changed", seen.position),
    })
}

#[derive(Serialize)]
struct TookAgain {
    position: i64,
    outcome: &'static str,
}

async fn take_again(desk: &Desk, position: i64, signed: Signed) -> Result<()> {
    let Signed { actor, note } = signed;
    let outcome = match desk.commands.run(&TakeEventAgainCommand { position, actor, note }).await? {
        TakenAgain::Taken => "taken",
        TakenAgain::Before => "before",
        TakenAgain::Unmatched(mismatch) => {
            bail!("event {position} still belongs to no order: {mismatch}; nothing was changed")
        }
        TakenAgain::NotFound => {
            bail!("there is no unmatched event at position {position}; list them with: providers unmatched")
        }
    };
    answer(desk.format, &TookAgain { position, outcome }, |took| match took.outcome {
        "taken" => format!("event {} went to its order", took.position),
        _ => format!("event {} was seen to before; nothing was changed", took.position),
    })
}

fn event_table(page: &Page<UnmatchedView>) -> String {
    let mut table =
        table(&["position", "provider", "reason", "reference", "key", "what it tells", "came", "seen by"]);
    for event in &page.items {
        table.add_row([
            event.position.to_string(),
            event.provider.clone(),
            event.reason.clone(),
            event.reference.clone(),
            event.idempotency_key.clone(),
            event.detail.clone(),
            second(event.received_at),
            or_dash(event.seen_by.as_deref()),
        ]);
    }
    let last = page.items.last().filter(|_| page.has_more);
    listing(
        &table,
        "no unmatched events",
        last.map(|last| format!("there are more: --after {}", last.position)),
    )
}
