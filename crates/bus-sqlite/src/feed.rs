//! A queue's stream of deliveries. What it holds is held in memory only: a feed that goes, or a process that dies, gives
//! everything back by being gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus::{Delivery, Fault, Feed, Receipt};
use rusqlite::{Connection, Result, params};

use crate::column::rows_max;
use crate::fault::fault;
use crate::message_rows::{MESSAGE, Moved};
use crate::queue::{Next, Queue, Row};
use crate::turns::Shared;
use crate::writer::stored_position;

/// Rows read ahead at once when a queue's memory has run dry, unless its memory is smaller still.
const READ_AHEAD_MAX: usize = 1_024;

/// How often an idle feed looks for rows of other processes, such as a command of an operator.
const FOREIGN_POLL: Duration = Duration::from_millis(500);

const _: () =
    assert!(READ_AHEAD_MAX <= bus::limits::QUEUE_MEMORY_MAX, "what is read ahead must fit in memory");

/// A feed of one queue.
pub(crate) struct StoreFeed<M: Default> {
    shared: Arc<Shared<M>>,
    queue: Arc<Queue>,
    held: BTreeMap<i64, Row>,
}

impl<M: Default> StoreFeed<M> {
    /// A feed that holds nothing yet.
    pub(crate) const fn new(shared: Arc<Shared<M>>, queue: Arc<Queue>) -> Self {
        Self { shared, queue, held: BTreeMap::new() }
    }

    fn hold(&mut self, rows: Vec<Row>) -> Vec<Delivery> {
        let deliveries = rows.iter().map(|row| self.queue.delivery(row)).collect();
        self.queue.hold(rows.len());
        self.held.extend(rows.into_iter().map(|row| (row.position, row)));
        deliveries
    }

    async fn read_on(&self, cursor: i64) -> std::result::Result<(), Fault> {
        let max = READ_AHEAD_MAX.min(self.shared.view.queue_memory_max).max(1);
        let turn = self.shared.turns.next_alone().await;
        let (rows, last) = read_on(&turn.writer().connection, &self.queue.name, cursor, max)
            .map_err(fault("feed.receive"))?;
        self.queue.refill(cursor, rows, last);
        Ok(())
    }

    /// Waits until something was committed here or, for a file that others may write to, until it is time to look.
    async fn wait(&self) -> std::result::Result<(), Fault> {
        if !self.shared.view.has_neighbours() {
            self.queue.woken.notified().await;
            return Ok(());
        }
        let woken = tokio::time::timeout(FOREIGN_POLL, self.queue.woken.notified()).await;
        // Whoever has the writer has looked, or will with the next transaction.
        if woken.is_err()
            && let Some(mut turn) = self.shared.turns.now()
            && turn.writer().connection.is_autocommit()
        {
            turn.writer_mut().notice_others(&self.shared.view).map_err(fault("feed.receive"))?;
        }
        Ok(())
    }
}

#[async_trait]
impl<M: Default + Send + 'static> Feed for StoreFeed<M> {
    async fn receive(&mut self, max: usize) -> std::result::Result<Vec<Delivery>, Fault> {
        loop {
            // Nothing is begun that could not be finished: what is taken here may lead to calls to the outside.
            self.shared.view.look_at_the_file()?;
            match self.queue.next(max) {
                Next::Take(rows) => return Ok(self.hold(rows)),
                Next::ReadOn { cursor } => self.read_on(cursor).await?,
                Next::Wait => self.wait().await?,
            }
        }
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> std::result::Result<(), Fault> {
        let done = receipts.iter().filter_map(Receipt::row).filter(|row| self.held.remove(row).is_some());
        self.queue.let_go(done.count());
        Ok(())
    }
}

impl<M: Default> Drop for StoreFeed<M> {
    fn drop(&mut self) {
        self.queue.let_go(self.held.len());
        self.queue.put_back(std::mem::take(&mut self.held).into_values());
    }
}

/// The queue's next rows behind the cursor and, if these are all, the last position given to anything: both of one moment.
fn read_on(connection: &Connection, queue: &str, cursor: i64, max: usize) -> Result<(Vec<Row>, Option<i64>)> {
    let snapshot = connection.unchecked_transaction()?;
    let sql = format!(
        "select position, {MESSAGE} from outbox where position > ? and queue = ? order by position limit ?"
    );
    let rows = snapshot
        .prepare_cached(&sql)?
        .query_map(params![cursor, queue, rows_max(max)], |row| {
            Moved::read(row).map(|moved| Row { position: moved.position, envelope: Arc::new(moved.envelope) })
        })?
        .collect::<Result<Vec<_>>>()?;
    let last = if rows.len() < max { Some(stored_position(&snapshot)?) } else { None };
    snapshot.rollback()?;
    Ok((rows, last))
}
