//! Queues that a person has paused.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Fault, PauseAct, Paused, Pauses, Signed, Unit};
use rusqlite::{Connection, Result, Row, params};

use crate::column::{Micros, time};
use crate::fault::fault;
use crate::unit::Rows;
use crate::{SqliteBus, SqliteUnit};

#[async_trait]
impl<R: Rows> Pauses for SqliteBus<R> {
    async fn paused_queues(&self) -> std::result::Result<Vec<Paused>, Fault> {
        self.read("pauses.list", list).await
    }

    async fn pause_queue(&self, queue: &str, by: &Signed<'_>) -> std::result::Result<bool, Fault> {
        let unit = self.unit().await?;
        let paused = insert(unit.connection(), queue, by).map_err(fault("pauses.pause"))?;
        unit.sign_pause(PauseAct::Pause, queue, paused > 0, by).await
    }

    async fn resume_queue(&self, queue: &str, by: &Signed<'_>) -> std::result::Result<bool, Fault> {
        let unit = self.unit().await?;
        let sql = "delete from paused_queues where queue = ?";
        let resumed = unit.connection().execute(sql, [queue]).map_err(fault("pauses.resume"))?;
        unit.sign_pause(PauseAct::Resume, queue, resumed > 0, by).await
    }
}

impl<R: Rows> SqliteUnit<R> {
    /// Has noted what was done, if anything was, and commits it.
    async fn sign_pause(
        mut self,
        act: PauseAct,
        queue: &str,
        is_done: bool,
        by: &Signed<'_>,
    ) -> std::result::Result<bool, Fault> {
        if is_done {
            R::consumer_moved(&mut self, act, queue, by)?;
            Box::new(self).commit().await.map_err(Fault::at_commit)?;
        }
        Ok(is_done)
    }
}

fn insert(connection: &Connection, queue: &str, by: &Signed<'_>) -> Result<usize> {
    let sql = "insert into paused_queues values (?, ?, ?, ?) on conflict do nothing";
    connection.execute(sql, params![queue, Micros(by.at), by.actor, by.note])
}

fn list(connection: &Connection) -> Result<Vec<Paused>> {
    let sql = "select queue, paused_at, paused_by, note from paused_queues order by queue";
    connection.prepare_cached(sql)?.query_map([], paused)?.collect()
}

fn paused(row: &Row<'_>) -> Result<Paused> {
    let queue: Arc<str> = row.get(0)?;
    Ok(Paused { queue, at: time(row, 1)?, by: row.get(2)?, note: row.get(3)? })
}
