//! `orderwright dead-letters`: looks at messages that were set aside and puts them back at a chosen rate. Only what was
//! there when the command began is put back, so a message that dies again is not sent round in circles.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, Result};
use bus::{DeadLetter, DeadLetterFilter};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::Desk;
use super::answer::{answer, facts, listing, second, table};
use crate::cli::Format;
use crate::cli::texts;

/// Steps in a second at most; a higher rate puts more into each step.
const STEPS_PER_SECOND_MAX: u32 = 10;

/// Look at messages that were set aside, and put them back.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DeadLettersCommand {
    /// List them, oldest first.
    List {
        #[command(flatten)]
        wanted: Wanted,
        /// Only those after this position.
        #[arg(long, value_name = "POSITION")]
        after: Option<i64>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
    /// Show one with its message.
    Show {
        /// Its position, as listed.
        position: i64,
    },
    /// Put those that match back into their queues.
    Redrive {
        #[command(flatten)]
        wanted: Wanted,
        /// How many in a second, such as 50 or 50/s.
        #[arg(long, default_value = "100/s", value_name = "N/s", value_parser = rate)]
        rate: NonZeroU32,
        /// Only say how many it would be.
        #[arg(long)]
        dry_run: bool,
        /// Who asks for it; kept with what was done.
        #[arg(long, env = "USER", default_value = "operator", value_name = "NAME", value_parser = texts::line)]
        actor: String,
    },
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
            message_id: None,
            after,
        }
    }
}

impl DeadLettersCommand {
    pub(super) async fn run(self, desk: &Desk) -> Result<()> {
        match self {
            Self::List { wanted, after, limit } => list(desk, &wanted.filter(after), limit).await,
            Self::Show { position } => show(desk, position).await,
            Self::Redrive { wanted, dry_run: true, .. } => count(desk, &wanted.filter(None)).await,
            Self::Redrive { wanted, rate, dry_run: false, actor } => {
                redrive(desk, wanted.filter(None), rate, &actor).await
            }
        }
    }
}

/// A dead letter as it is shown.
#[derive(Serialize)]
struct Shown {
    position: i64,
    queue: String,
    kind: String,
    message_id: String,
    correlation_id: String,
    attempts: u32,
    reason: String,
    sent_at: String,
    died_at: String,
    /// The message, as JSON where it is that.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
}

impl Shown {
    fn headline(letter: &DeadLetter) -> Self {
        Self {
            position: letter.position,
            queue: letter.queue.to_string(),
            kind: letter.envelope.kind.to_string(),
            message_id: letter.envelope.id.to_string(),
            correlation_id: letter.envelope.correlation_id.to_string(),
            attempts: letter.envelope.attempt,
            reason: letter.reason.clone(),
            sent_at: letter.envelope.sent_at.to_string(),
            died_at: second(letter.died_at),
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
    let filter = DeadLetterFilter { after: position.checked_sub(1), ..DeadLetterFilter::default() };
    let letters = desk.store.dead_letters.list_dead_letters(&filter, 1).await?;
    let letter = letters.iter().find(|letter| letter.position == position);
    let letter = letter.with_context(|| format!("there is no dead letter at position {position}"))?;
    answer(desk.format, &Shown::whole(letter), letter_facts)
}

fn letter_facts(letter: &Shown) -> String {
    let body = letter.body.as_ref().and_then(|body| serde_json::to_string_pretty(body).ok());
    facts([
        ("position", letter.position.to_string()),
        ("queue", letter.queue.clone()),
        ("kind", letter.kind.clone()),
        ("message", letter.message_id.clone()),
        ("order", letter.correlation_id.clone()),
        ("attempts", letter.attempts.to_string()),
        ("reason", letter.reason.clone()),
        ("sent", letter.sent_at.clone()),
        ("died", letter.died_at.clone()),
        ("body", body.unwrap_or_default()),
    ])
    .to_string()
}

#[derive(Serialize)]
struct Redriven {
    matching: u64,
    redriven: u64,
}

async fn count(desk: &Desk, filter: &DeadLetterFilter) -> Result<()> {
    let matching = desk.store.dead_letters.count_dead_letters(filter).await?;
    answer(desk.format, &Redriven { matching, redriven: 0 }, |counted| {
        format!("{} would be put back; nothing was changed", counted.matching)
    })
}

async fn redrive(desk: &Desk, mut filter: DeadLetterFilter, rate: NonZeroU32, actor: &str) -> Result<()> {
    let matching = desk.store.dead_letters.count_dead_letters(&filter).await?;
    let progress = match desk.format {
        Format::Text => ProgressBar::new(matching),
        Format::Json => ProgressBar::hidden(),
    };
    let (step, pause) = pace(rate);
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut redriven = 0;
    while progress.position() < matching {
        ticks.tick().await;
        let left = usize::try_from(matching - progress.position()).unwrap_or(usize::MAX);
        let letters = desk.store.dead_letters.list_dead_letters(&filter, left.min(step)).await?;
        let Some(last) = letters.last() else { break };
        filter.after = Some(last.position);
        let positions: Vec<i64> = letters.iter().map(|letter| letter.position).collect();
        redriven +=
            desk.store.dead_letters.redrive(&positions, actor, desk.context.clock.now()).await? as u64;
        progress.inc(letters.len() as u64);
    }
    progress.finish_and_clear();
    answer(desk.format, &Redriven { matching, redriven }, |done| {
        format!("{} of {} put back; a running service goes on with them", done.redriven, done.matching)
    })
}

/// Letters in one step, and the pause between two steps.
fn pace(rate: NonZeroU32) -> (usize, Duration) {
    let step = rate.get().div_ceil(STEPS_PER_SECOND_MAX);
    (step as usize, Duration::from_secs(1).mul_f64(f64::from(step) / f64::from(rate.get())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_rate_is_kept_whatever_the_size_of_the_step() {
        for per_second in [1, 7, 10, 11, 100, 12_345] {
            let (step, pause) = pace(NonZeroU32::new(per_second).expect("not zero"));
            let kept = step as f64 / pause.as_secs_f64();
            assert!((kept - f64::from(per_second)).abs() < 0.001 * kept, "{per_second}: {kept}");
        }
    }

    #[test]
    fn a_rate_may_be_written_with_its_unit_and_is_never_zero() {
        assert_eq!(rate("50/s").map(NonZeroU32::get), Ok(50));
        assert_eq!(rate("50").map(NonZeroU32::get), Ok(50));
        assert!(rate("0/s").is_err() && rate("fast").is_err());
    }
}
