//! The processes that work on this database, as each says of itself, with the lease that each has on its claims.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Fault, Worker, WorkerRegister, WorkerReport};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::column::{Broken, count, time};
use crate::message_rows::NO_QUEUE;
use crate::pipeline::{Act, Param};
use crate::reading::{query, views};
use crate::store::PostgresBus;
use crate::unit::Rows;

const REPORT: &str = "insert into workers (worker_id, version, host, process_id, started_at, seen_at, queues)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (worker_id) do update set seen_at = excluded.seen_at, left_at = null, queues = excluded.queues";

/// The lease stands in the row by which the process claims messages.
const LIST: &str =
    "select worker_id, version, host, process_id, w.started_at, seen_at, left_at, queues, alive_until
     from workers w left join instances i on i.instance_id = w.worker_id
     order by w.started_at, worker_id";

#[async_trait]
impl<R: Rows> WorkerRegister for PostgresBus<R> {
    async fn report_worker(&self, report: &WorkerReport, now: Timestamp) -> Result<(), Fault> {
        let values: Vec<Param> = vec![
            Box::new(report.id),
            Box::new(report.version.clone()),
            Box::new(report.host.clone()),
            Box::new(i64::from(report.process_id)),
            Box::new(report.started_at.as_microsecond()),
            Box::new(now.as_microsecond()),
            Box::new(report.queues_text()),
        ];
        self.run_alone("workers.report", Act::new("workers.report", REPORT, values)).await.map(drop)
    }

    async fn worker_leaves(&self, id: Uuid, now: Timestamp) -> Result<(), Fault> {
        let sql = "update workers set left_at = $2 where worker_id = $1";
        let values: Vec<Param> = vec![Box::new(id), Box::new(now.as_microsecond())];
        self.run_alone("workers.leave", Act::new("workers.leave", sql, values)).await.map(drop)
    }

    async fn list_workers(&self) -> Result<Vec<Worker>, Fault> {
        const OPERATION: &str = "workers.list";
        let reader = self.reader(OPERATION).await?;
        views(&query(&reader, OPERATION, LIST, &[]).await?, OPERATION, worker)
    }

    async fn forget_workers(&self, before: Timestamp) -> Result<usize, Fault> {
        let sql = "delete from workers where seen_at < $1 returning 1";
        let values: Vec<Param> = vec![Box::new(before.as_microsecond())];
        let gone = self.run_alone("workers.forget", Act::new("workers.forget", sql, values)).await?;
        Ok(gone.len())
    }

    fn held_here(&self) -> Vec<(Arc<str>, u64)> {
        let read = self.shared.queues.values().filter(|queue| *queue.name != *NO_QUEUE);
        let held = read.map(|queue| (Arc::clone(&queue.name), queue.known().len() as u64));
        held.filter(|(_, held)| *held > 0).collect()
    }
}

fn worker(row: &Row) -> Result<Worker, Broken> {
    let moment = |at: i64| Timestamp::from_microsecond(at);
    let report = WorkerReport {
        id: row.try_get(0)?,
        version: row.try_get(1)?,
        host: row.try_get(2)?,
        process_id: count(row, 3)?,
        started_at: time(row, 4)?,
        queues: WorkerReport::queues_from(row.try_get(7)?),
    };
    Ok(Worker {
        report,
        seen_at: time(row, 5)?,
        left_at: row.try_get::<_, Option<i64>>(6)?.map(moment).transpose()?,
        lease_until: row.try_get::<_, Option<i64>>(8)?.map(moment).transpose()?,
    })
}
