//! Messages that were set aside, as an operator sees them.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{DeadLetter, DeadLetterFilter, DeadLetters, Envelope, Fault, Redriven, Unit, put_back};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, named_params, params};

use crate::column::{rows_max, time};
use crate::fault::fault;
use crate::message_rows::{MESSAGE, Moved, message};
use crate::unit::Rows;
use crate::{SqliteBus, SqliteUnit};

#[async_trait]
impl<R: Rows> DeadLetters for SqliteBus<R> {
    async fn list_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        max: usize,
    ) -> std::result::Result<Vec<DeadLetter>, Fault> {
        let filter = filter.clone();
        self.read("dead_letters.list", move |connection| list(connection, &filter, max)).await
    }

    async fn count_dead_letters(&self, filter: &DeadLetterFilter) -> std::result::Result<u64, Fault> {
        let filter = filter.clone();
        self.read("dead_letters.count", move |connection| count(connection, &filter)).await
    }

    async fn redrive(
        &self,
        positions: &[i64],
        actor: &str,
        now: Timestamp,
    ) -> std::result::Result<usize, Fault> {
        let mut unit = self.unit().await?;
        let redriven = unit.redrive(positions).map_err(fault("dead_letters.redrive"))?;
        let letters: Vec<Redriven<'_>> = redriven.iter().map(Moved::redriven).collect();
        R::redriven(&mut unit, &letters, actor, now)?;
        Box::new(unit).commit().await.map_err(Fault::at_commit)?;
        Ok(redriven.len())
    }
}

impl<R: Rows> SqliteUnit<R> {
    fn redrive(&mut self, positions: &[i64]) -> Result<Vec<Moved>> {
        let mut redriven = Vec::with_capacity(positions.len());
        for position in positions {
            redriven.extend(take(self.connection(), *position)?);
        }
        let fresh = |moved: &Moved| (Arc::clone(&moved.queue), put_back(moved.envelope.clone()));
        self.return_to_queues(redriven.iter().map(fresh));
        Ok(redriven)
    }
}

impl Moved {
    fn redriven(&self) -> Redriven<'_> {
        Redriven { position: self.position, queue: &self.queue, envelope: &self.envelope }
    }
}

fn take(connection: &Connection, position: i64) -> Result<Option<Moved>> {
    let sql = format!("select position, {MESSAGE} from dead_letters where position = ?");
    let found = connection.prepare_cached(&sql)?.query_row([position], Moved::read).optional()?;
    connection.prepare_cached("delete from dead_letters where position = ?")?.execute(params![position])?;
    Ok(found)
}

const MATCHES: &str = "(:queue is null or queue = :queue) and (:kind is null or kind = :kind)
     and (:text is null or instr(reason, :text) > 0) and (:id is null or message_id = :id) and position > :after";

fn list(connection: &Connection, filter: &DeadLetterFilter, max: usize) -> Result<Vec<DeadLetter>> {
    let sql = format!(
        "select position, reason, died_at, {MESSAGE} from dead_letters where {MATCHES} order by position limit :max"
    );
    connection
        .prepare_cached(&sql)?
        .query_map(
            named_params! {
                ":queue": filter.queue, ":kind": filter.kind, ":text": filter.reason_contains,
                ":id": filter.message_id.map(|id| id.0), ":after": filter.after.unwrap_or(0), ":max": rows_max(max),
            },
            dead_letter,
        )?
        .collect()
}

fn count(connection: &Connection, filter: &DeadLetterFilter) -> Result<u64> {
    connection.prepare_cached(&format!("select count(*) from dead_letters where {MATCHES}"))?.query_row(
        named_params! {
            ":queue": filter.queue, ":kind": filter.kind, ":text": filter.reason_contains,
            ":id": filter.message_id.map(|id| id.0), ":after": filter.after.unwrap_or(0),
        },
        |row| row.get::<_, i64>(0).map(i64::unsigned_abs),
    )
}

fn dead_letter(row: &Row<'_>) -> Result<DeadLetter> {
    let (queue, envelope): (Arc<str>, Envelope) = message(row, 3)?;
    Ok(DeadLetter { position: row.get(0)?, queue, envelope, reason: row.get(1)?, died_at: time(row, 2)? })
}
