//! `orderwright error-queues`: looks at the broker's error queues, puts messages back and discards them. Never more than was shown:
//! what is meant is named by its mark.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use super::answer::{answer, facts, listing, or_dash, second, table};
use super::{Desk, Signed};
use crate::cli::texts;
use crate::set_aside::{self, ErrorAct, ErrorQueueView, ErrorQueuesView, SetAsideView, Wanted};

/// Look at the broker's error queues, put messages back or discard them.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ErrorQueuesCommand {
    /// List them, with the reasons of the first and the last message.
    List,
    /// Show the first messages of one, whole; they stay there.
    Show {
        /// The error queue.
        #[arg(value_parser = texts::line)]
        name: String,
        /// How many at most.
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = texts::count)]
        limit: usize,
    },
    /// Put the first messages back into the queue that they came from.
    PutBack {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        signed: Signed,
    },
    /// Discard the first messages for good.
    Discard {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        signed: Signed,
    },
}

/// Which messages.
#[derive(Debug, Args)]
pub(in crate::cli) struct Which {
    /// The error queue.
    #[arg(value_parser = texts::line)]
    name: String,
    /// How many, from the first on.
    #[arg(long, value_name = "N", value_parser = count)]
    count: usize,
    /// The mark of the last of them, as it was shown.
    #[arg(long, value_name = "MARK")]
    mark: Uuid,
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=set_aside::LOOK_MAX).contains(&count) => Ok(count),
        Ok(_) | Err(_) => Err(format!("a whole number from 1 to {}", set_aside::LOOK_MAX)),
    }
}

impl ErrorQueuesCommand {
    pub(super) async fn run(self, desk: &Desk) -> Result<()> {
        let operations = &desk.store.operations;
        match self {
            Self::List => answer(desk.format, &set_aside::list(operations).await?, queue_table),
            Self::Show { name, limit } => {
                answer(desk.format, &set_aside::look(operations, &name, limit).await?, |shown| {
                    all_facts(shown)
                })
            }
            Self::PutBack { which, signed } => act(desk, ErrorAct::PutBack, which, &signed).await,
            Self::Discard { which, signed } => act(desk, ErrorAct::Discard, which, &signed).await,
        }
    }
}

#[derive(Serialize)]
struct Done {
    name: String,
    moved: usize,
}

async fn act(desk: &Desk, act: ErrorAct, which: Which, signed: &Signed) -> Result<()> {
    let Which { name, count, mark } = which;
    let wanted = Wanted { name, count, mark };
    let by = (signed.actor.as_str(), signed.note.as_str());
    set_aside::carry_out(&desk.store.operations, &desk.commands, act, &wanted, by).await?;
    let done = Done { name: wanted.name, moved: count };
    answer(desk.format, &done, |done| match act {
        ErrorAct::PutBack => format!("{} messages of {} were put back", done.moved, done.name),
        ErrorAct::Discard => format!("{} messages of {} were discarded", done.moved, done.name),
    })
}

fn queue_table(queues: &ErrorQueuesView) -> String {
    if !queues.has_broker {
        return "there is no broker, so there are no error queues; dead letters lie in the database"
            .to_owned();
    }
    let mut table = table(&["error queue", "messages", "causes", "first", "last of the first 100"]);
    for queue in &queues.items {
        table.add_row([
            queue.name.clone(),
            queue.messages.to_string(),
            causes(queue),
            or_dash(queue.first_reason.as_deref()),
            or_dash(queue.last_reason.as_deref()),
        ]);
    }
    listing(&table, "there are no error queues", None)
}

/// What is there most of comes first.
fn causes(queue: &ErrorQueueView) -> String {
    let mut causes: Vec<_> = queue.causes.iter().collect();
    causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let told: Vec<String> = causes.iter().map(|(cause, count)| format!("{count} {cause}")).collect();
    or_dash((!told.is_empty()).then(|| told.join(", ")).as_deref())
}

fn all_facts(messages: &[SetAsideView]) -> String {
    if messages.is_empty() {
        return "nothing lies in this error queue".to_owned();
    }
    messages.iter().map(message_facts).collect::<Vec<_>>().join("\n\n")
}

fn message_facts(message: &SetAsideView) -> String {
    let headers: Vec<String> =
        message.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    facts([
        ("place", message.place.to_string()),
        ("mark", message.mark.to_string()),
        ("cause", message.cause.to_owned()),
        ("reason", message.reason.clone()),
        ("message", message.message_id.clone().unwrap_or_default()),
        ("kind", message.kind.clone().unwrap_or_default()),
        ("sent", message.sent_at.map(second).unwrap_or_default()),
        ("set aside", message.died_at.map(second).unwrap_or_default()),
        ("content type", message.content_type.clone()),
        ("headers", headers.join("\n")),
        ("body", serde_json::to_string_pretty(&message.body).unwrap_or_default()),
    ])
    .to_string()
}
