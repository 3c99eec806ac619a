//! Messages that were set aside, as an operator sees them.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{
    Archived, DeadLetter, DeadLetterFilter, DeadLetterGroup, DeadLetterGroups, DeadLetters, Envelope, Fault,
    GROUPED_MAX, GroupKey, LetterAct, MovedLetter, Shelf, Signed, Unit, put_back, reason_pattern,
};
use rusqlite::{Connection, OptionalExtension, Result, Row, named_params, params};

use crate::column::{Micros, rows_max, time};
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

    async fn group_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        max: usize,
    ) -> std::result::Result<DeadLetterGroups, Fault> {
        let filter = filter.clone();
        self.read("dead_letters.group", move |connection| group(connection, &filter, max)).await
    }

    async fn redrive(&self, positions: &[i64], by: &Signed<'_>) -> std::result::Result<Vec<i64>, Fault> {
        let mut unit = self.unit().await?;
        let moved = unit.redrive(positions).map_err(fault("dead_letters.redrive"))?;
        unit.sign(LetterAct::Redrive, moved, by).await
    }

    async fn archive(&self, positions: &[i64], by: &Signed<'_>) -> std::result::Result<Vec<i64>, Fault> {
        let unit = self.unit().await?;
        let moved = archive(unit.connection(), positions, by).map_err(fault("dead_letters.archive"))?;
        unit.sign(LetterAct::Archive, moved, by).await
    }
}

impl<R: Rows> SqliteUnit<R> {
    fn redrive(&mut self, positions: &[i64]) -> Result<Vec<Moved>> {
        let mut moved = Vec::with_capacity(positions.len());
        for position in positions {
            for shelf in [Shelf::Waiting, Shelf::Archived] {
                moved.extend(take(self.connection(), shelf, *position)?);
            }
        }
        let fresh = |moved: &Moved| (Arc::clone(&moved.queue), put_back(moved.envelope.clone()));
        self.return_to_queues(moved.iter().map(fresh));
        Ok(moved)
    }

    /// Has noted what was done, and commits it.
    async fn sign(
        mut self,
        act: LetterAct,
        moved: Vec<Moved>,
        by: &Signed<'_>,
    ) -> std::result::Result<Vec<i64>, Fault> {
        let letters: Vec<MovedLetter<'_>> = moved.iter().map(Moved::letter).collect();
        R::letters_moved(&mut self, act, &letters, by)?;
        Box::new(self).commit().await.map_err(Fault::at_commit)?;
        Ok(moved.iter().map(|moved| moved.position).collect())
    }
}

impl Moved {
    fn letter(&self) -> MovedLetter<'_> {
        MovedLetter { position: self.position, queue: &self.queue, envelope: &self.envelope }
    }
}

/// The table of a shelf.
const fn table(shelf: Shelf) -> &'static str {
    match shelf {
        Shelf::Waiting => "dead_letters",
        Shelf::Archived => "archived_dead_letters",
    }
}

fn take(connection: &Connection, shelf: Shelf, position: i64) -> Result<Option<Moved>> {
    let sql = format!("delete from {} where position = ? returning position, {MESSAGE}", table(shelf));
    connection.prepare_cached(&sql)?.query_row([position], Moved::read).optional()
}

fn archive(connection: &Connection, positions: &[i64], by: &Signed<'_>) -> Result<Vec<Moved>> {
    let mut copy = connection.prepare_cached(
        "insert into archived_dead_letters select *, ?, ?, ? from dead_letters where position = ?",
    )?;
    let mut moved = Vec::with_capacity(positions.len());
    for position in positions {
        copy.execute(params![Micros(by.at), by.actor, by.note, position])?;
        moved.extend(take(connection, Shelf::Waiting, *position)?);
    }
    Ok(moved)
}

/// The conditions of a filter, with its values below. Only a condition that is there lets an
/// index lead to a group or a message.
fn matches(filter: &DeadLetterFilter) -> String {
    let group = match filter.group {
        Some(_) => "group_key = :group",
        None => ":group is null",
    };
    let id = match filter.message_id {
        Some(_) => "message_id = :id",
        None => ":id is null",
    };
    format!(
        "(:queue is null or queue = :queue) and (:kind is null or kind = :kind)
         and (:text is null or instr(reason, :text) > 0) and {id} and position > :after
         and {group} and :max > 0"
    )
}

/// Reads rows by a statement that has the conditions of a filter and the bound `:max`.
fn read<T>(
    connection: &Connection,
    sql: &str,
    filter: &DeadLetterFilter,
    max: i64,
    view: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let values = named_params! {
        ":queue": filter.queue, ":kind": filter.kind, ":text": filter.reason_contains,
        ":id": filter.message_id.map(|id| id.0), ":after": filter.after.unwrap_or(0),
        ":group": filter.group.map(GroupKey::to_stored), ":max": max,
    };
    connection.prepare_cached(sql)?.query_map(values, view)?.collect()
}

fn list(connection: &Connection, filter: &DeadLetterFilter, max: usize) -> Result<Vec<DeadLetter>> {
    let (conditions, table) = (matches(filter), table(filter.shelf));
    let archived = match filter.shelf {
        Shelf::Waiting => "null, null, null",
        Shelf::Archived => "archived_at, archived_by, archive_note",
    };
    let sql = format!(
        "select position, reason, died_at, {MESSAGE}, {archived} from {table} where {conditions}
         order by position limit :max"
    );
    read(connection, &sql, filter, rows_max(max), dead_letter)
}

fn count(connection: &Connection, filter: &DeadLetterFilter) -> Result<u64> {
    let sql = format!("select count(*) from {} where {}", table(filter.shelf), matches(filter));
    let counted = read(connection, &sql, filter, i64::MAX, |row| row.get::<_, i64>(0))?;
    Ok(counted.first().copied().unwrap_or(0).unsigned_abs())
}

/// One more than may be read is read, to tell whether there are more.
fn group(connection: &Connection, filter: &DeadLetterFilter, max: usize) -> Result<DeadLetterGroups> {
    let (conditions, table) = (matches(filter), table(filter.shelf));
    let sql = format!(
        "with latest as (
             select position, died_at, group_key from {table} where {conditions}
             order by position desc limit {GROUPED_MAX} + 1
         ), read as (
             select * from latest order by position desc limit {GROUPED_MAX}
         )
         select g.group_key, d.queue, d.kind, d.reason, g.found, g.sample, g.first_died, g.last_died,
             (select count(*) from latest) > {GROUPED_MAX}
         from (
             select group_key, count(*) as found, max(position) as sample, min(died_at) as first_died,
                 max(died_at) as last_died
             from read group by group_key order by found desc, sample desc limit :max
         ) g cross join {table} d on d.position = g.sample
         order by g.found desc, g.sample desc"
    );
    let mut is_partial = false;
    let mut groups = read(connection, &sql, filter, rows_max(max.saturating_add(1)), |row| {
        is_partial = row.get(8)?;
        Ok(DeadLetterGroup {
            key: GroupKey::from_stored(row.get(0)?),
            queue: row.get(1)?,
            kind: row.get(2)?,
            pattern: reason_pattern(&row.get::<_, String>(3)?),
            count: row.get::<_, i64>(4)?.unsigned_abs(),
            sample: row.get(5)?,
            first_died_at: time(row, 6)?,
            last_died_at: time(row, 7)?,
        })
    })?;
    let has_more = groups.len() > max;
    groups.truncate(max);
    Ok(DeadLetterGroups { groups, is_partial, has_more })
}

fn dead_letter(row: &Row<'_>) -> Result<DeadLetter> {
    let (queue, envelope): (Arc<str>, Envelope) = message(row, 3)?;
    let archived = match row.get::<_, Option<Micros>>(13)? {
        Some(Micros(at)) => Some(Archived { at, by: row.get(14)?, note: row.get(15)? }),
        None => None,
    };
    Ok(DeadLetter {
        position: row.get(0)?,
        queue,
        envelope,
        reason: row.get(1)?,
        died_at: time(row, 2)?,
        archived,
    })
}
