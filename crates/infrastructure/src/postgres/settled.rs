//! Up to which batch of events nothing can be added any more. Workers write at the same time: a batch with a lower number may
//! become visible behind one with a higher one. So a reader notes the highest number given out and, after that, who is just
//! writing; when all of those have ended, every batch up to that number is visible or will never be. A writer holds the lock on
//! the table before it takes a number and until its commit can be seen, so no writer is overlooked. Writing costs nothing for it.

use std::collections::BTreeSet;
use std::time::Duration;

use bus::Fault;
use bus_postgres::{Lent, broken, query};
use tokio::sync::Mutex;

const OPERATION: &str = "events.settle";

/// How often it is looked again for writers to end, and the pause in between.
const LOOKS_MAX: usize = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// What is known of it in this process.
#[derive(Default)]
pub(super) struct Settled(Mutex<Known>);

#[derive(Default)]
struct Known {
    up_to: i64,
    waits: Option<Wait>,
}

/// A number, and those who may still be writing a batch up to it.
struct Wait {
    number: i64,
    writers: BTreeSet<String>,
}

impl Known {
    /// Takes what was seen: first the highest number, then who was writing.
    fn saw(&mut self, number: i64, writers: BTreeSet<String>) {
        if number < self.up_to {
            // Numbers never go back, so this is another database: an older one was restored under this address.
            *self = Self::default();
        }
        if let Some(wait) = &mut self.waits {
            wait.writers.retain(|writer| writers.contains(writer));
            if wait.writers.is_empty() {
                self.up_to = self.up_to.max(wait.number);
                self.waits = None;
            }
        }
        if writers.is_empty() {
            self.up_to = self.up_to.max(number);
            self.waits = None;
        } else if self.waits.is_none() && number > self.up_to {
            self.waits = Some(Wait { number, writers });
        }
    }
}

/// The highest number given out, and the highest of which it is known that all up to it can be seen.
pub(super) struct Reach {
    pub(super) given: i64,
    pub(super) settled: i64,
}

impl Settled {
    /// Looks until all that was given out by the beginning is settled, but not for long.
    pub(super) async fn reach(&self, client: &Lent) -> Result<Reach, Fault> {
        let mut asked = None;
        for look in 0..LOOKS_MAX {
            if look > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            // One after the other: what is seen must be taken in the order in which it was seen.
            let mut known = self.0.lock().await;
            let given = highest(client).await?;
            let writers = writers(client).await?;
            known.saw(given, writers);
            let settled = known.up_to;
            if settled >= *asked.get_or_insert(given) || look + 1 == LOOKS_MAX {
                return Ok(Reach { given, settled });
            }
        }
        unreachable!("the last look returns")
    }
}

async fn highest(client: &Lent) -> Result<i64, Fault> {
    let sql = "select case when is_called then last_value else 0 end from event_batches_position_seq";
    let rows = query(client, OPERATION, sql, &[]).await?;
    let number = rows.first().map_or(Ok(0), |row| row.try_get(0));
    number.map_err(|error| broken(OPERATION)(error.into()))
}

async fn writers(client: &Lent) -> Result<BTreeSet<String>, Fault> {
    let sql = "select virtualtransaction from pg_locks
         where locktype = 'relation' and mode = 'RowExclusiveLock' and granted and relation = 'event_batches'::regclass
             and database = (select oid from pg_database where datname = current_database())";
    let rows = query(client, OPERATION, sql, &[]).await?;
    let found = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>();
    found.map_err(|error| broken(OPERATION)(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_number_is_settled_when_all_who_wrote_at_its_time_have_ended() {
        let mut known = Known::default();
        known.saw(5, who(&["a", "b"]));
        assert_eq!(known.up_to, 0, "a or b may write a batch up to 5");
        known.saw(9, who(&["b", "c"]));
        assert_eq!(known.up_to, 0, "b may still");
        known.saw(12, who(&["c", "d"]));
        assert_eq!(known.up_to, 5, "c and d began when 5 was given out");
        known.saw(12, who(&["d"]));
        assert_eq!(known.up_to, 5);
        known.saw(14, who(&["e"]));
        assert_eq!(known.up_to, 12);
        known.saw(14, who(&[]));
        assert_eq!(known.up_to, 14, "no one writes");
        known.saw(8, who(&["a"]));
        assert_eq!(known.up_to, 0, "an older database was restored");
        known.saw(9, who(&[]));
        assert_eq!(known.up_to, 9);
    }
}
