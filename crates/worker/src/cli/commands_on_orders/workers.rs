//! `orderwright workers`: looks at the workers of the database. Changes nothing.

use anyhow::Result;
use clap::Args;

use super::Desk;
use super::answer::{answer, listing, or_dash, second, table};
use crate::workers::WorkersView;

/// Nothing is asked for.
#[derive(Debug, Args)]
pub(in crate::cli) struct Workers {}

impl Workers {
    pub(super) async fn run(self, desk: &Desk) -> Result<()> {
        let workers = desk.store.operations.workers.list_workers().await?;
        answer(desk.format, &WorkersView::of(workers, desk.context.clock.now()), worker_table)
    }
}

fn worker_table(workers: &WorkersView) -> String {
    let mut table =
        table(&["worker", "state", "version", "host", "process", "started", "seen", "lease until", "holds"]);
    for worker in &workers.items {
        let held = worker.queues.iter().filter(|queue| queue.held > 0);
        let held: Vec<String> = held.map(|queue| format!("{} of {}", queue.held, queue.queue)).collect();
        table.add_row([
            worker.id.to_string(),
            worker.state.as_str().to_owned(),
            worker.version.clone(),
            worker.host.clone(),
            worker.process_id.to_string(),
            second(worker.started_at),
            second(worker.seen_at),
            or_dash(worker.lease_until.map(second).as_deref()),
            or_dash(Some(held.join(", ")).filter(|held| !held.is_empty()).as_deref()),
        ]);
    }
    let versions: Vec<&str> = workers.versions.iter().map(String::as_str).collect();
    listing(&table, "no worker has worked here in the last day", WorkersView::mixture(&versions))
}
