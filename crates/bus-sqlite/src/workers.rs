//! The processes that worked on this file, as each said of itself. One works on it at a time, and claims nothing in the file: what
//! it has in hand is known to it alone.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Fault, Unit, Worker, WorkerRegister, WorkerReport};
use jiff::Timestamp;
use rusqlite::{Connection, Result, Row, params};
use uuid::Uuid;

use crate::SqliteBus;
use crate::column::{Micros, time, time_or_none};
use crate::fault::fault;
use crate::unit::Rows;

#[async_trait]
impl<R: Rows> WorkerRegister for SqliteBus<R> {
    async fn report_worker(&self, report: &WorkerReport, now: Timestamp) -> std::result::Result<(), Fault> {
        let unit = self.unit().await?;
        upsert(unit.connection(), report, now).map_err(fault("workers.report"))?;
        Box::new(unit).commit().await
    }

    async fn worker_leaves(&self, id: Uuid, now: Timestamp) -> std::result::Result<(), Fault> {
        let unit = self.unit().await?;
        take_leave(unit.connection(), id, now).map_err(fault("workers.leave"))?;
        Box::new(unit).commit().await
    }

    async fn list_workers(&self) -> std::result::Result<Vec<Worker>, Fault> {
        self.read("workers.list", list).await
    }

    async fn forget_workers(&self, before: Timestamp) -> std::result::Result<usize, Fault> {
        let unit = self.unit().await?;
        let sql = "delete from workers where seen_at < ?";
        let gone = unit.connection().execute(sql, [Micros(before)]).map_err(fault("workers.forget"))?;
        Box::new(unit).commit().await?;
        Ok(gone)
    }

    fn held_here(&self) -> Vec<(Arc<str>, u64)> {
        let queues = self.shared.view.queues.values();
        queues.map(|queue| (Arc::clone(&queue.name), queue.held())).filter(|(_, held)| *held > 0).collect()
    }
}

fn upsert(connection: &Connection, report: &WorkerReport, now: Timestamp) -> Result<usize> {
    let sql = "insert into workers values (?, ?, ?, ?, ?, ?, null, ?)
         on conflict (worker_id) do update set seen_at = excluded.seen_at, left_at = null, queues = excluded.queues";
    let WorkerReport { id, version, host, process_id, started_at, queues: _ } = report;
    let queues = report.queues_text();
    let (started_at, seen_at) = (Micros(*started_at), Micros(now));
    let values = params![id.as_bytes(), version, host, process_id, started_at, seen_at, queues];
    connection.prepare_cached(sql)?.execute(values)
}

fn take_leave(connection: &Connection, id: Uuid, now: Timestamp) -> Result<usize> {
    connection
        .execute("update workers set left_at = ? where worker_id = ?", params![Micros(now), id.as_bytes()])
}

fn list(connection: &Connection) -> Result<Vec<Worker>> {
    let sql = "select worker_id, version, host, process_id, started_at, seen_at, left_at, queues from workers
         order by started_at, worker_id";
    connection.prepare_cached(sql)?.query_map([], worker)?.collect()
}

fn worker(row: &Row<'_>) -> Result<Worker> {
    let report = WorkerReport {
        id: row.get(0)?,
        version: row.get(1)?,
        host: row.get(2)?,
        process_id: row.get(3)?,
        started_at: time(row, 4)?,
        queues: WorkerReport::queues_from(&row.get::<_, String>(7)?),
    };
    let left_at = time_or_none(row, 6)?;
    Ok(Worker { report, seen_at: time(row, 5)?, left_at, lease_until: None })
}
