//! What persons do with consumers, and the register of processes, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::MemoryStore;
use crate::{Fault, PauseAct, Paused, Pauses, Signed, Worker, WorkerRegister, WorkerReport};

/// The record of what a person did with a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorRecord {
    /// What.
    pub act: PauseAct,
    /// The queue.
    pub queue: String,
    /// Who asked.
    pub actor: String,
    /// Why.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// The rows behind both.
#[derive(Clone, Debug, Default)]
pub(super) struct OperatorTables {
    paused: BTreeMap<Arc<str>, Paused>,
    records: Vec<OperatorRecord>,
    workers: BTreeMap<Uuid, Worker>,
}

impl OperatorTables {
    fn note(&mut self, act: PauseAct, queue: &str, by: &Signed<'_>) {
        let Signed { actor, note, at } = *by;
        let (queue, actor, note) = (queue.to_owned(), actor.to_owned(), note.to_owned());
        self.records.push(OperatorRecord { act, queue, actor, note, at });
    }

    fn pause(&mut self, queue: &str, by: &Signed<'_>) -> bool {
        if self.paused.contains_key(queue) {
            return false;
        }
        let queue_name: Arc<str> = Arc::from(queue);
        let paused = Paused {
            queue: Arc::clone(&queue_name),
            at: by.at,
            by: by.actor.to_owned(),
            note: by.note.to_owned(),
        };
        self.paused.insert(queue_name, paused);
        self.note(PauseAct::Pause, queue, by);
        true
    }

    fn resume(&mut self, queue: &str, by: &Signed<'_>) -> bool {
        let was_paused = self.paused.remove(queue).is_some();
        if was_paused {
            self.note(PauseAct::Resume, queue, by);
        }
        was_paused
    }
}

impl<T: Clone + Default + Send + 'static> MemoryStore<T> {
    /// What persons did with consumers: who asked, when and why.
    #[must_use]
    pub fn operator_records(&self) -> Vec<OperatorRecord> {
        self.read_tables(|tables| tables.operators.records.clone())
    }
}

#[async_trait]
impl<T: Clone + Default + Send + 'static> Pauses for MemoryStore<T> {
    async fn paused_queues(&self) -> Result<Vec<Paused>, Fault> {
        Ok(self.read_tables(|tables| tables.operators.paused.values().cloned().collect()))
    }

    async fn pause_queue(&self, queue: &str, by: &Signed<'_>) -> Result<bool, Fault> {
        Ok(self.write(|tables| tables.operators.pause(queue, by)).await)
    }

    async fn resume_queue(&self, queue: &str, by: &Signed<'_>) -> Result<bool, Fault> {
        Ok(self.write(|tables| tables.operators.resume(queue, by)).await)
    }
}

#[async_trait]
impl<T: Clone + Default + Send + 'static> WorkerRegister for MemoryStore<T> {
    async fn report_worker(&self, report: &WorkerReport, now: Timestamp) -> Result<(), Fault> {
        let worker = Worker { report: report.clone(), seen_at: now, left_at: None, lease_until: None };
        self.write(|tables| drop(tables.operators.workers.insert(report.id, worker))).await;
        Ok(())
    }

    async fn worker_leaves(&self, id: Uuid, now: Timestamp) -> Result<(), Fault> {
        self.write(|tables| {
            if let Some(worker) = tables.operators.workers.get_mut(&id) {
                worker.left_at = Some(now);
            }
        })
        .await;
        Ok(())
    }

    async fn list_workers(&self) -> Result<Vec<Worker>, Fault> {
        let mut workers: Vec<Worker> =
            self.read_tables(|tables| tables.operators.workers.values().cloned().collect());
        workers.sort_by_key(|worker| (worker.report.started_at, worker.report.id));
        Ok(workers)
    }

    async fn forget_workers(&self, before: Timestamp) -> Result<usize, Fault> {
        Ok(self
            .write(|tables| {
                let workers = &mut tables.operators.workers;
                let count = workers.len();
                workers.retain(|_, worker| worker.seen_at >= before);
                count - workers.len()
            })
            .await)
    }

    fn held_here(&self) -> Vec<(Arc<str>, u64)> {
        Vec::new()
    }
}
