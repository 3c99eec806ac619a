//! `orderwright queues`: looks at the queues, pauses and resumes their consumers. Every worker of the database heeds it within two
//! seconds.

use anyhow::{Result, bail};
use bus::PauseAct;
use clap::Subcommand;
use serde::Serialize;

use super::answer::{answer, listing, or_dash, second, table};
use super::{Desk, Signed};
use crate::cli::texts;
use crate::operations::{QueuesView, Turned};

/// Look at the queues, and pause their consumers.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Queues {
    /// List them: how many messages wait in the store, and which consumers are paused.
    List,
    /// Pause a consumer: its messages wait, in every worker and through restarts, until it is resumed.
    Pause {
        /// The queue.
        #[arg(value_parser = texts::line)]
        queue: String,
        #[command(flatten)]
        signed: Signed,
    },
    /// Resume a consumer that was paused.
    Resume {
        /// The queue.
        #[arg(value_parser = texts::line)]
        queue: String,
        #[command(flatten)]
        signed: Signed,
    },
}

impl Queues {
    pub(super) async fn run(self, desk: &Desk) -> Result<()> {
        match self {
            Self::List => {
                let queues = desk.store.operations.list_queues(desk.store.readers.as_ref()).await?;
                answer(desk.format, &queues, queue_table)
            }
            Self::Pause { queue, signed } => turn(desk, PauseAct::Pause, queue, &signed).await,
            Self::Resume { queue, signed } => turn(desk, PauseAct::Resume, queue, &signed).await,
        }
    }
}

#[derive(Serialize)]
struct Done {
    name: String,
    paused: bool,
    done: &'static str,
}

async fn turn(desk: &Desk, act: PauseAct, name: String, signed: &Signed) -> Result<()> {
    let by = bus::Signed { actor: &signed.actor, note: &signed.note, at: desk.context.clock.now() };
    let done = match desk.store.operations.turn(act, &name, &by).await? {
        Turned::Unknown => bail!("no queue is called '{name}'; list them with: queues list"),
        turned @ (Turned::Now | Turned::Before) => turned.as_str(),
    };
    let done = Done { name, paused: act == PauseAct::Pause, done };
    answer(desk.format, &done, |done| match (done.paused, done.done) {
        (true, "now") => {
            format!("{} is paused; running workers leave it alone within two seconds", done.name)
        }
        (true, _) => format!("{} was paused before; nothing was changed", done.name),
        (false, "now") => format!("{} goes on; running workers read it again within two seconds", done.name),
        (false, _) => format!("{} was not paused; nothing was changed", done.name),
    })
}

fn queue_table(queues: &QueuesView) -> String {
    let mut table = table(&["queue", "waiting", "paused since", "by", "because"]);
    for queue in &queues.items {
        let pause = queue.pause.as_ref();
        table.add_row([
            queue.name.clone(),
            queue.waiting.to_string(),
            or_dash(pause.map(|pause| second(pause.paused_at)).as_deref()),
            or_dash(pause.map(|pause| pause.paused_by.as_str())),
            or_dash(pause.map(|pause| pause.pause_reason.as_str())),
        ]);
    }
    listing(&table, "there are no queues", None)
}
