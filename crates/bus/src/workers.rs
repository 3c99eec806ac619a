//! The processes that work on one store, as each says of itself from time to time. Nothing depends on it but what persons see:
//! a process that says nothing loses no message.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Fault;

/// What a process says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerReport {
    /// Its id, which no other process has.
    pub id: Uuid,
    /// The version of its program.
    pub version: String,
    /// The machine that it runs on.
    pub host: String,
    /// Its number there.
    pub process_id: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// The queues that it reads.
    pub queues: Vec<WorkerQueue>,
}

/// A queue that a process reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerQueue {
    /// Its name.
    pub queue: String,
    /// Messages of it that the process has claimed and not finished.
    pub held: u64,
}

/// A process as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// What it last said.
    pub report: WorkerReport,
    /// When it said so.
    pub seen_at: Timestamp,
    /// When it took its leave, if it did.
    pub left_at: Option<Timestamp>,
    /// Until when its claims stand unless it renews them; none where claims need no renewal, or it has none.
    pub lease_until: Option<Timestamp>,
}

/// The register of processes.
#[async_trait]
pub trait WorkerRegister: Send + Sync {
    /// Notes what a process says of itself, in one statement.
    ///
    /// # Errors
    /// Those of the store.
    async fn report_worker(&self, report: &WorkerReport, now: Timestamp) -> Result<(), Fault>;

    /// Notes that a process takes its leave.
    ///
    /// # Errors
    /// Those of the store.
    async fn worker_leaves(&self, id: Uuid, now: Timestamp) -> Result<(), Fault>;

    /// Every process that is not forgotten, the oldest first.
    ///
    /// # Errors
    /// Those of the store.
    async fn list_workers(&self) -> Result<Vec<Worker>, Fault>;

    /// Forgets those that were last seen before this moment; returns how many.
    ///
    /// # Errors
    /// Those of the store.
    async fn forget_workers(&self, before: Timestamp) -> Result<usize, Fault>;

    /// Messages that this very process has claimed in the store and not finished, by queue. Asks no store.
    fn held_here(&self) -> Vec<(Arc<str>, u64)>;
}

impl WorkerReport {
    /// The queues as a store keeps them.
    ///
    /// # Panics
    /// Never: names and numbers always have a form in JSON.
    #[must_use]
    pub fn queues_text(&self) -> String {
        serde_json::to_string(&self.queues).expect("names and numbers have a form in JSON")
    }

    /// The queues that a store has kept; none if another program wrote what cannot be read.
    #[must_use]
    pub fn queues_from(text: &str) -> Vec<WorkerQueue> {
        serde_json::from_str(text).unwrap_or_default()
    }
}
