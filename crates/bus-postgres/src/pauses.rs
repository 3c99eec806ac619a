//! Queues that a person has paused.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Fault, PauseAct, Paused, Pauses, Signed, Unit};
use tokio_postgres::Row;

use crate::column::{Broken, time};
use crate::pipeline::{Act, Param};
use crate::reading::{query, views};
use crate::store::PostgresBus;
use crate::unit::{PostgresUnit, Rows};

#[async_trait]
impl<R: Rows> Pauses for PostgresBus<R> {
    async fn paused_queues(&self) -> Result<Vec<Paused>, Fault> {
        const OPERATION: &str = "pauses.list";
        let reader = self.reader(OPERATION).await?;
        let sql = "select queue, paused_at, paused_by, note from paused_queues order by queue";
        views(&query(&reader, OPERATION, sql, &[]).await?, OPERATION, paused)
    }

    async fn pause_queue(&self, queue: &str, by: &Signed<'_>) -> Result<bool, Fault> {
        let mut unit = self.unit().await?;
        let sql = "insert into paused_queues (queue, paused_at, paused_by, note) values ($1, $2, $3, $4)
             on conflict do nothing returning queue";
        let values: Vec<Param> = vec![
            Box::new(queue.to_owned()),
            Box::new(by.at.as_microsecond()),
            Box::new(by.actor.to_owned()),
            Box::new(by.note.to_owned()),
        ];
        let paused = !unit.ask(Act::new("pauses.pause", sql, values)).await?.is_empty();
        unit.sign_pause(PauseAct::Pause, queue, paused, by).await
    }

    async fn resume_queue(&self, queue: &str, by: &Signed<'_>) -> Result<bool, Fault> {
        let mut unit = self.unit().await?;
        let sql = "delete from paused_queues where queue = $1 returning queue";
        let act = Act::new("pauses.resume", sql, vec![Box::new(queue.to_owned())]);
        let resumed = !unit.ask(act).await?.is_empty();
        unit.sign_pause(PauseAct::Resume, queue, resumed, by).await
    }
}

impl<R: Rows> PostgresUnit<R> {
    /// Has noted what was done, if anything was, and commits it.
    async fn sign_pause(
        mut self,
        act: PauseAct,
        queue: &str,
        is_done: bool,
        by: &Signed<'_>,
    ) -> Result<bool, Fault> {
        if is_done {
            R::consumer_moved(&mut self, act, queue, by)?;
            Box::new(self).commit().await.map_err(Fault::at_commit)?;
        }
        Ok(is_done)
    }
}

fn paused(row: &Row) -> Result<Paused, Broken> {
    let queue: Arc<str> = Arc::from(row.try_get::<_, &str>(0)?);
    Ok(Paused { queue, at: time(row, 1)?, by: row.try_get(2)?, note: row.try_get(3)? })
}
