//! Messages that were set aside, as an operator sees them.

use async_trait::async_trait;
use bus::{DeadLetter, DeadLetterFilter, DeadLetters, Fault, Redriven, Unit, put_back};
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::array::Array;
use crate::column::{Broken, rows_max, time};
use crate::fault::{broken, fault};
use crate::message_rows::{Moved, envelope, message};
use crate::pipeline::Act;
use crate::reading::query;
use crate::store::PostgresBus;
use crate::unit::Rows;

#[async_trait]
impl<R: Rows> DeadLetters for PostgresBus<R> {
    async fn list_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        max: usize,
    ) -> Result<Vec<DeadLetter>, Fault> {
        let reader = self.reader("dead_letters.list").await?;
        let rows = query(&reader, "dead_letters.list", LIST, &with(filter, &rows_max(max))).await?;
        rows.iter().map(dead_letter).collect::<Result<_, _>>().map_err(broken("dead_letters.list"))
    }

    async fn count_dead_letters(&self, filter: &DeadLetterFilter) -> Result<u64, Fault> {
        let reader = self.reader("dead_letters.count").await?;
        let rows = query(&reader, "dead_letters.count", COUNT, &with(filter, &i64::MAX)).await?;
        let count = rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(fault("dead_letters.count", crate::fault::Taken::GiveUp))
    }

    async fn redrive(&self, positions: &[i64], actor: &str, now: Timestamp) -> Result<usize, Fault> {
        let mut unit = self.unit().await?;
        let sql =
            concat!("delete from dead_letters where position = any($1) returning position, ", message!());
        let positions = Array::numbers(positions.iter().copied());
        let rows = unit.ask(Act::new("dead_letters.redrive", sql, vec![Box::new(positions)])).await?;
        let redriven = Moved::read_all(&rows).map_err(broken("dead_letters.redrive"))?;
        let letters: Vec<Redriven<'_>> = redriven.iter().map(Moved::redriven).collect();
        R::redriven(&mut unit, &letters, actor, now)?;
        let count = redriven.len();
        for moved in redriven {
            unit.return_to_queue(&moved.queue, put_back(moved.envelope));
        }
        Box::new(unit).commit().await.map_err(Fault::at_commit)?;
        Ok(count)
    }
}

impl Moved {
    fn redriven(&self) -> Redriven<'_> {
        Redriven { position: self.position, queue: &self.queue, envelope: &self.envelope }
    }
}

macro_rules! matches_filter {
    () => {
        "($1::text is null or queue = $1) and ($2::text is null or kind = $2)
             and ($3::text is null or strpos(reason, $3) > 0) and ($4::uuid is null or message_id = $4)
             and position > $5"
    };
}

const LIST: &str = concat!(
    "select position, reason, died_at, ",
    message!(),
    " from dead_letters where ",
    matches_filter!(),
    " order by position limit $6"
);

const COUNT: &str =
    concat!("select count(*) from dead_letters where ", matches_filter!(), " and $6::bigint > 0");

/// The values of a filter and a bound behind them.
fn with<'a>(filter: &'a DeadLetterFilter, max: &'a i64) -> Vec<Box<dyn ToSql + Sync + Send + 'a>> {
    let id: Option<Uuid> = filter.message_id.map(|id| id.0);
    vec![
        Box::new(filter.queue.as_deref()),
        Box::new(filter.kind.as_deref()),
        Box::new(filter.reason_contains.as_deref()),
        Box::new(id),
        Box::new(filter.after.unwrap_or(0)),
        Box::new(*max),
    ]
}

fn dead_letter(row: &Row) -> Result<DeadLetter, Broken> {
    let (queue, envelope) = envelope(row, 3)?;
    Ok(DeadLetter {
        position: row.try_get(0)?,
        queue,
        envelope,
        reason: row.try_get(1)?,
        died_at: time(row, 2)?,
    })
}
