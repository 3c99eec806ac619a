//! `orderwright audit`: looks at what persons did, when and why. Changes nothing.

use anyhow::Result;
use application::ports::{AuditFilter, AuditView, Page};
use clap::Args;

use super::Desk;
use super::answer::{answer, listing, second, table};
use crate::cli::texts;

/// Which entries are wanted.
#[derive(Debug, Args)]
pub(in crate::cli) struct Audit {
    /// Only what this person did.
    #[arg(long, value_name = "NAME", value_parser = texts::line)]
    actor: Option<String>,
    /// Only what was done to this, as the log names it: an order's id, a sku, 'dead letter 7', 'key abc'.
    #[arg(long, value_name = "TEXT", value_parser = texts::line)]
    subject: Option<String>,
    /// Only entries before this position.
    #[arg(long, value_name = "POSITION")]
    before: Option<i64>,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = texts::count)]
    limit: usize,
}

impl Audit {
    pub(super) async fn run(self, desk: &Desk) -> Result<()> {
        let Self { actor, subject, before, limit } = self;
        let page = desk.store.readers.audit(&AuditFilter { actor, subject, before }, limit).await?;
        answer(desk.format, &page, log)
    }
}

fn log(page: &Page<AuditView>) -> String {
    let mut table = table(&["position", "when", "who", "what", "to what", "why"]);
    for entry in &page.items {
        table.add_row([
            entry.position.to_string(),
            second(entry.at),
            entry.actor.clone(),
            entry.action.clone(),
            entry.subject.clone(),
            entry.note.clone(),
        ]);
    }
    let last = page.items.last().filter(|_| page.has_more);
    listing(
        &table,
        "nobody has done anything by hand",
        last.map(|last| format!("there are more: --before {}", last.position)),
    )
}
