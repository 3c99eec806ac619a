//! What persons do with consumers, and the register of processes, in memory.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::MemoryStore;
use super::operator_tables::OperatorRecord;
use crate::{Fault, Paused, Pauses, Signed, Worker, WorkerRegister, WorkerReport};

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
