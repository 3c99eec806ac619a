//! Messages that were set aside, as an operator sees them.

use async_trait::async_trait;
use bus::{
    Archived, DeadLetter, DeadLetterFilter, DeadLetterGroup, DeadLetterGroups, DeadLetters, Fault,
    GROUPED_MAX, GroupKey, LetterAct, MovedLetter, Shelf, Signed, Unit, put_back, reason_pattern,
};
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::array::Array;
use crate::column::{Broken, rows_max, time};
use crate::fault::{broken, fault};
use crate::message_rows::{Moved, envelope, message};
use crate::pipeline::{Act, Param};
use crate::reading::{query, views};
use crate::store::PostgresBus;
use crate::unit::{PostgresUnit, Rows};

#[async_trait]
impl<R: Rows> DeadLetters for PostgresBus<R> {
    async fn list_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        max: usize,
    ) -> Result<Vec<DeadLetter>, Fault> {
        let reader = self.reader("dead_letters.list").await?;
        let archived = match filter.shelf {
            Shelf::Waiting => "null::bigint, null::text, null::text",
            Shelf::Archived => "archived_at, archived_by, archive_note",
        };
        let sql = format!(
            concat!(
                "select position, reason, died_at, ",
                message!(),
                ", {} from {} where {} order by position limit $7"
            ),
            archived,
            table(filter.shelf),
            matches(filter)
        );
        let rows = query(&reader, "dead_letters.list", &sql, &with(filter, &rows_max(max))).await?;
        rows.iter().map(dead_letter).collect::<Result<_, _>>().map_err(broken("dead_letters.list"))
    }

    async fn count_dead_letters(&self, filter: &DeadLetterFilter) -> Result<u64, Fault> {
        let reader = self.reader("dead_letters.count").await?;
        let sql = format!("select count(*) from {} where {}", table(filter.shelf), matches(filter));
        let rows = query(&reader, "dead_letters.count", &sql, &with(filter, &i64::MAX)).await?;
        let count = rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(fault("dead_letters.count", crate::fault::Taken::GiveUp))
    }

    async fn group_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        max: usize,
    ) -> Result<DeadLetterGroups, Fault> {
        const OPERATION: &str = "dead_letters.group";
        let reader = self.reader(OPERATION).await?;
        let rows_max = rows_max(max.saturating_add(1));
        let rows = query(&reader, OPERATION, &grouping(filter), &with(filter, &rows_max)).await?;
        let is_partial = rows.first().map(|row| row.try_get(8)).transpose();
        let is_partial = is_partial.map_err(|error| broken(OPERATION)(error.into()))?.unwrap_or(false);
        let mut groups = views(&rows, OPERATION, letter_group)?;
        let has_more = groups.len() > max;
        groups.truncate(max);
        Ok(DeadLetterGroups { groups, is_partial, has_more })
    }

    async fn redrive(&self, positions: &[i64], by: &Signed<'_>) -> Result<Vec<i64>, Fault> {
        const OPERATION: &str = "dead_letters.redrive";
        let mut unit = self.unit().await?;
        let sql = concat!(
            "with waited as (
                 delete from dead_letters where position = any($1) returning position, ",
            message!(),
            "), put_away as (
                 delete from archived_dead_letters where position = any($1) returning position, ",
            message!(),
            ") select * from waited union all select * from put_away"
        );
        let positions = Array::numbers(positions.iter().copied());
        let rows = unit.ask(Act::new(OPERATION, sql, vec![Box::new(positions)])).await?;
        let moved = Moved::read_all(&rows).map_err(broken(OPERATION))?;
        for moved in &moved {
            unit.return_to_queue(&moved.queue, put_back(moved.envelope.clone()));
        }
        unit.sign(LetterAct::Redrive, moved, by).await
    }

    async fn archive(&self, positions: &[i64], by: &Signed<'_>) -> Result<Vec<i64>, Fault> {
        const OPERATION: &str = "dead_letters.archive";
        let mut unit = self.unit().await?;
        let sql = concat!(
            "with gone as (delete from dead_letters where position = any($1) returning *)
             insert into archived_dead_letters (position, reason, died_at, group_key, archived_at, archived_by,
                 archive_note, ",
            message!(),
            ") select position, reason, died_at, group_key, $2, $3, $4, ",
            message!(),
            " from gone returning position, ",
            message!()
        );
        let values: Vec<Param> = vec![
            Box::new(Array::numbers(positions.iter().copied())),
            Box::new(by.at.as_microsecond()),
            Box::new(by.actor.to_owned()),
            Box::new(by.note.to_owned()),
        ];
        let rows = unit.ask(Act::new(OPERATION, sql, values)).await?;
        unit.sign(LetterAct::Archive, Moved::read_all(&rows).map_err(broken(OPERATION))?, by).await
    }
}

impl<R: Rows> PostgresUnit<R> {
    /// Has noted what was done, and commits it.
    async fn sign(mut self, act: LetterAct, moved: Vec<Moved>, by: &Signed<'_>) -> Result<Vec<i64>, Fault> {
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

/// The conditions of a filter, with its values and a bound as [`with`] gives them. Only a condition that is there lets an
/// index lead to a group or a message.
fn matches(filter: &DeadLetterFilter) -> String {
    let group = match filter.group {
        Some(_) => "group_key = $6",
        None => "$6::bigint is null",
    };
    let id = match filter.message_id {
        Some(_) => "message_id = $4",
        None => "$4::uuid is null",
    };
    format!(
        "($1::text is null or queue = $1) and ($2::text is null or kind = $2)
         and ($3::text is null or strpos(reason, $3) > 0) and {id}
         and position > $5 and {group} and $7::bigint > 0"
    )
}

/// One more than may be read is read, to tell whether there are more.
fn grouping(filter: &DeadLetterFilter) -> String {
    let (conditions, table) = (matches(filter), table(filter.shelf));
    format!(
        "with latest as materialized (
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
             from read group by group_key order by found desc, sample desc limit $7
         ) g join {table} d on d.position = g.sample
         order by g.found desc, g.sample desc"
    )
}

fn letter_group(row: &Row) -> Result<DeadLetterGroup, Broken> {
    Ok(DeadLetterGroup {
        key: GroupKey::from_stored(row.try_get(0)?),
        queue: row.try_get(1)?,
        kind: row.try_get(2)?,
        pattern: reason_pattern(row.try_get(3)?),
        count: row.try_get::<_, i64>(4)?.unsigned_abs(),
        sample: row.try_get(5)?,
        first_died_at: time(row, 6)?,
        last_died_at: time(row, 7)?,
    })
}

/// The values of a filter and a bound behind them.
fn with<'a>(filter: &'a DeadLetterFilter, max: &'a i64) -> Vec<Box<dyn ToSql + Sync + Send + 'a>> {
    let id: Option<Uuid> = filter.message_id.map(|id| id.0);
    vec![
        Box::new(filter.queue.as_deref()),
        Box::new(filter.kind.as_deref()),
        Box::new(filter.reason_contains.as_deref()),
        Box::new(id),
        Box::new(filter.after.unwrap_or(0)),
        Box::new(filter.group.map(GroupKey::to_stored)),
        Box::new(*max),
    ]
}

fn dead_letter(row: &Row) -> Result<DeadLetter, Broken> {
    let (queue, envelope) = envelope(row, 3)?;
    let archived = match row.try_get::<_, Option<i64>>(13)? {
        Some(at) => {
            let at = Timestamp::from_microsecond(at)?;
            Some(Archived { at, by: row.try_get(14)?, note: row.try_get(15)? })
        }
        None => None,
    };
    Ok(DeadLetter {
        position: row.try_get(0)?,
        queue,
        envelope,
        reason: row.try_get(1)?,
        died_at: time(row, 2)?,
        archived,
    })
}
