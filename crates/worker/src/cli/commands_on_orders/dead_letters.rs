//! `orderwright dead-letters`: looks at messages that were set aside, puts them back at a chosen rate or archives them. Only what
//! was there when the command began is moved, so a message that dies again is not sent round in circles.

use std::num::NonZeroU32;

use anyhow::{Result, bail};
use bus::{DeadLetter, DeadLetterFilter, GroupKey, LetterAct, MessageId, Shelf};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::answer::{answer, facts, listing, second, table};
use super::{Desk, Signed};
use crate::cli::Format;
use crate::cli::texts;
use crate::http::CHANGED_WORDS;
use crate::letters::{self, Errand, GroupsView, Outcome, Pace};

/// How many are looked up at a time.
const BATCH_MAX: usize = 1_000;

/// How many are archived in a second: nothing follows from it.
const ARCHIVED_PER_SECOND: NonZeroU32 = NonZeroU32::new(10_000).expect("more than none");

/// Look at messages that were set aside, put them back or archive them.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DeadLettersCommand {
    /// List them, oldest first.
    List {
        #[command(flatten)]
        wanted: Wanted,
        /// Those that were archived instead.
        #[arg(long)]
        archived: bool,
        /// Only those after this position.
        #[arg(long, value_name = "POSITION")]
        after: Option<i64>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = texts::count)]
        limit: usize,
    },
    /// Group them by cause: queue, kind, and the error without ids, numbers, times and quoted texts.
    Groups {
        #[command(flatten)]
        wanted: Wanted,
        /// How many groups at most.
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = texts::count)]
        limit: usize,
    },
    /// Show one with its message.
    Show {
        /// Its position, as listed.
        position: i64,
    },
    /// Put those that match back into their queues; an archived one is found by `--message-id`.
    Redrive {
        #[command(flatten)]
        wanted: Wanted,
        /// How many in a second, such as 50 or 50/s.
        #[arg(long, default_value = "100/s", value_name = "N/s", value_parser = rate)]
        rate: NonZeroU32,
        /// Only say how many it would be.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        seen: SeenFirst,
        #[command(flatten)]
        signed: Signed,
    },
    /// Archive those that match: they are listed only with `--archived`, and can still be put back one by one.
    Discard {
        #[command(flatten)]
        wanted: Wanted,
        /// Only say how many it would be.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        seen: SeenFirst,
        #[command(flatten)]
        signed: Signed,
    },
}

/// What was seen before.
#[derive(Clone, Copy, Debug, Args)]
pub(in crate::cli) struct SeenFirst {
    /// Do it only if the first that matches is still the one at this position.
    #[arg(long, value_name = "POSITION")]
    seen: Option<i64>,
}

/// Which dead letters are wanted.
#[derive(Debug, Args)]
pub(in crate::cli) struct Wanted {
    /// Only from this queue.
    #[arg(long, value_parser = texts::line)]
    queue: Option<String>,
    /// Only this kind of message.
    #[arg(long, value_parser = texts::line)]
    kind: Option<String>,
    /// Only those whose error contains this text.
    #[arg(long, value_name = "TEXT", value_parser = texts::line)]
    reason: Option<String>,
    /// Only this group, by its key as `dead-letters groups` shows it.
    #[arg(long, value_name = "KEY")]
    group: Option<GroupKey>,
    /// Only this message.
    #[arg(long, value_name = "ID")]
    message_id: Option<Uuid>,
}

fn rate(text: &str) -> Result<NonZeroU32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    number.parse().map_err(|_| "write how many in a second, such as 50/s; at least 1".to_owned())
}

impl Wanted {
    fn filter(self, after: Option<i64>) -> DeadLetterFilter {
        DeadLetterFilter {
            queue: self.queue,
            kind: self.kind,
            reason_contains: self.reason,
            message_id: self.message_id.map(MessageId),
            group: self.group,
            after,
            shelf: Shelf::Waiting,
        }
    }
}

impl DeadLettersCommand {
    pub(super) async fn run(self, desk: &Desk) -> Result<()> {
        match self {
            Self::List { wanted, archived, after, limit } => {
                let shelf = if archived { Shelf::Archived } else { Shelf::Waiting };
                list(desk, &DeadLetterFilter { shelf, ..wanted.filter(after) }, limit).await
            }
            Self::Groups { wanted, limit } => groups(desk, &wanted.filter(None), limit).await,
            Self::Show { position } => show(desk, position).await,
            Self::Redrive { wanted, dry_run: true, .. } => {
                count(desk, &wanted.filter(None), LetterAct::Redrive).await
            }
            Self::Discard { wanted, dry_run: true, .. } => {
                count(desk, &wanted.filter(None), LetterAct::Archive).await
            }
            Self::Redrive { wanted, rate, dry_run: false, seen, signed } => {
                carry_out(desk, (wanted.filter(None), seen), LetterAct::Redrive, rate, &signed).await
            }
            Self::Discard { wanted, dry_run: false, seen, signed } => {
                let rate = ARCHIVED_PER_SECOND;
                carry_out(desk, (wanted.filter(None), seen), LetterAct::Archive, rate, &signed).await
            }
        }
    }
}

/// A dead letter as it is shown.
#[derive(Serialize)]
struct Shown {
    position: i64,
    group: String,
    queue: String,
    kind: String,
    message_id: String,
    correlation_id: String,
    attempts: u32,
    reason: String,
    sent_at: String,
    died_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive_note: Option<String>,
    /// The message, as JSON where it is that.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
}

impl Shown {
    fn headline(letter: &DeadLetter) -> Self {
        Self {
            position: letter.position,
            group: letter.group().to_string(),
            queue: letter.queue.to_string(),
            kind: letter.envelope.kind.to_string(),
            message_id: letter.envelope.id.to_string(),
            correlation_id: letter.envelope.correlation_id.to_string(),
            attempts: letter.envelope.attempt,
            reason: letter.reason.clone(),
            sent_at: letter.envelope.sent_at.to_string(),
            died_at: second(letter.died_at),
            archived_at: letter.archived.as_ref().map(|archived| second(archived.at)),
            archived_by: letter.archived.as_ref().map(|archived| archived.by.clone()),
            archive_note: letter.archived.as_ref().map(|archived| archived.note.clone()),
            body: None,
        }
    }

    fn whole(letter: &DeadLetter) -> Self {
        let body = &letter.envelope.body;
        let text = || Value::String(String::from_utf8_lossy(body).into_owned());
        Self { body: Some(serde_json::from_slice(body).unwrap_or_else(|_| text())), ..Self::headline(letter) }
    }
}

async fn list(desk: &Desk, filter: &DeadLetterFilter, limit: usize) -> Result<()> {
    let letters = desk.store.dead_letters.list_dead_letters(filter, limit).await?;
    let matching = desk.store.dead_letters.count_dead_letters(filter).await?;
    let shown: Vec<Shown> = letters.iter().map(Shown::headline).collect();
    answer(desk.format, &shown, |shown| letter_table(shown, matching))
}

async fn groups(desk: &Desk, filter: &DeadLetterFilter, limit: usize) -> Result<()> {
    let found = desk.store.dead_letters.group_dead_letters(filter, limit).await?;
    answer(desk.format, &GroupsView::from(found), group_table)
}

fn group_table(groups: &GroupsView) -> String {
    let at_least = if groups.is_partial { "≥ " } else { "" };
    let mut table =
        table(&["group", "count", "queue", "kind", "reason", "sample", "first died", "last died"]);
    for group in &groups.items {
        table.add_row([
            group.key.clone(),
            format!("{at_least}{}", group.count),
            group.queue.clone(),
            group.kind.clone(),
            group.pattern.clone(),
            group.sample.to_string(),
            second(group.first_died_at),
            second(group.last_died_at),
        ]);
    }
    let more = groups.has_more.then(|| "there are more groups: --limit".to_owned());
    listing(&table, "no dead letters", more)
}

fn letter_table(letters: &[Shown], matching: u64) -> String {
    let mut table = table(&["position", "queue", "kind", "attempts", "reason", "died"]);
    for letter in letters {
        table.add_row([
            letter.position.to_string(),
            letter.queue.clone(),
            letter.kind.clone(),
            letter.attempts.to_string(),
            letter.reason.clone(),
            letter.died_at.clone(),
        ]);
    }
    let more = letters.last().filter(|_| letters.len() as u64 != matching);
    listing(
        &table,
        "no dead letters",
        more.map(|last| format!("{matching} in all: --after {}", last.position)),
    )
}

async fn show(desk: &Desk, position: i64) -> Result<()> {
    for shelf in [Shelf::Waiting, Shelf::Archived] {
        let filter =
            DeadLetterFilter { after: position.checked_sub(1), shelf, ..DeadLetterFilter::default() };
        let letters = desk.store.dead_letters.list_dead_letters(&filter, 1).await?;
        if let Some(letter) = letters.iter().find(|letter| letter.position == position) {
            return answer(desk.format, &Shown::whole(letter), letter_facts);
        }
    }
    bail!("there is no dead letter at position {position}")
}

fn letter_facts(letter: &Shown) -> String {
    let body = letter.body.as_ref().and_then(|body| serde_json::to_string_pretty(body).ok());
    facts([
        ("position", letter.position.to_string()),
        ("group", letter.group.clone()),
        ("queue", letter.queue.clone()),
        ("kind", letter.kind.clone()),
        ("message", letter.message_id.clone()),
        ("order", letter.correlation_id.clone()),
        ("attempts", letter.attempts.to_string()),
        ("reason", letter.reason.clone()),
        ("sent", letter.sent_at.clone()),
        ("died", letter.died_at.clone()),
        ("archived", letter.archived_at.clone().unwrap_or_default()),
        ("by", letter.archived_by.clone().unwrap_or_default()),
        ("because", letter.archive_note.clone().unwrap_or_default()),
        ("body", body.unwrap_or_default()),
    ])
    .to_string()
}

#[derive(Serialize)]
struct Moved {
    matching: u64,
    moved: u64,
}

async fn count(desk: &Desk, filter: &DeadLetterFilter, act: LetterAct) -> Result<()> {
    let matching = match filter.message_id {
        Some(_) => {
            letters::find(desk.store.dead_letters.as_ref(), act, filter, BATCH_MAX).await?.0.len() as u64
        }
        None => desk.store.dead_letters.count_dead_letters(filter).await?,
    };
    answer(desk.format, &Moved { matching, moved: 0 }, |counted| {
        format!("{} would be {}; nothing was changed", counted.matching, done(act))
    })
}

const fn done(act: LetterAct) -> &'static str {
    match act {
        LetterAct::Redrive => "put back",
        LetterAct::Archive => "archived",
    }
}

/// Only what is there when it begins is moved. What dies again meanwhile has a later position than all of it.
async fn carry_out(
    desk: &Desk,
    (mut filter, SeenFirst { mut seen }): (DeadLetterFilter, SeenFirst),
    act: LetterAct,
    rate: NonZeroU32,
    signed: &Signed,
) -> Result<()> {
    let store = desk.store.dead_letters.as_ref();
    let waiting = store.count_dead_letters(&filter).await?;
    let progress = match desk.format {
        Format::Text => ProgressBar::new(waiting),
        Format::Json => ProgressBar::hidden(),
    };
    let Signed { actor, note } = signed;
    let errand = Errand { letters: store, clock: desk.context.clock.as_ref(), act, actor, note, until: None };
    let (mut pace, mut matching, mut moved) = (Pace::new(rate), 0, 0);
    loop {
        let left = usize::try_from(waiting.saturating_sub(matching)).unwrap_or(usize::MAX);
        let max = if filter.message_id.is_some() { BATCH_MAX } else { left.min(BATCH_MAX) };
        let (mut items, _) = letters::find(store, act, &filter, max).await?;
        if !letters::is_as_seen(&items, seen.take()) {
            bail!("nothing was done: {CHANGED_WORDS}");
        }
        let Some(last) = items.last() else { break };
        filter.after = Some(last.position);
        errand.run(&mut items, &mut pace, |count| progress.inc(count as u64)).await?;
        matching += items.len() as u64;
        moved += letters::moved(&items) as u64;
        if filter.message_id.is_some() || items.iter().any(|item| item.outcome == Outcome::Failed) {
            break;
        }
    }
    progress.finish_and_clear();
    let matching = matching.max(waiting);
    answer(desk.format, &Moved { matching, moved }, |moved| match act {
        LetterAct::Redrive => {
            format!("{} of {} put back; a running service goes on with them", moved.moved, moved.matching)
        }
        LetterAct::Archive => format!("{} of {} archived", moved.moved, moved.matching),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_may_be_written_with_its_unit_and_is_never_zero() {
        assert_eq!(rate("50/s").map(NonZeroU32::get), Ok(50));
        assert_eq!(rate("50").map(NonZeroU32::get), Ok(50));
        assert!(rate("0/s").is_err() && rate("fast").is_err());
    }
}
