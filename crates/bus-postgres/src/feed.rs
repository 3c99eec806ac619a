//! A queue's stream of deliveries. What it hands out is claimed by this process in the database.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Delivery, Fault, Feed, Receipt};

use crate::bundle::Letter;
use crate::column::{Broken, count, rows_max};
use crate::message_rows::{Moved, message};
use crate::pipeline::{Act, Param};
use crate::queue::{Next, Queue, Row};
use crate::shared::Shared;

/// A feed of one queue.
pub(crate) struct PostgresFeed {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    reader: u64,
}

impl PostgresFeed {
    /// A feed that holds nothing yet.
    pub(crate) fn join(shared: Arc<Shared>, queue: Arc<Queue>) -> Self {
        queue.join();
        let reader = shared.next_reader();
        Self { shared, queue, reader }
    }
}

#[async_trait]
impl Feed for PostgresFeed {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault> {
        loop {
            match self.queue.next(self.reader, max) {
                Next::Take(rows) => return Ok(rows.iter().map(|row| self.queue.delivery(row)).collect()),
                Next::Failed(fault) => return Err(fault),
                Next::Wait => self.queue.woken.notified().await,
                Next::Claim { max, rumours } => {
                    // Whoever waits here may be dropped at any moment; the claim must come to its end all the same.
                    tokio::spawn(claim_into(Arc::clone(&self.shared), Arc::clone(&self.queue), max, rumours));
                }
            }
        }
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        self.queue.release(receipts.iter().filter_map(Receipt::row));
        Ok(())
    }
}

impl Drop for PostgresFeed {
    fn drop(&mut self) {
        self.shared.errands.give_up(self.queue.leave(self.reader));
    }
}

/// Claims what it may for this process and tells the queue how that went.
pub(crate) async fn claim_into(shared: Arc<Shared>, queue: Arc<Queue>, max: usize, rumours: u64) {
    match claim(&shared, &queue.name, max).await {
        // The last reader went meanwhile.
        Ok(rows) if !queue.is_read() => {
            shared.errands.give_up(rows.iter().map(|row| row.position).collect());
            queue.claimed(Vec::new(), rumours);
        }
        Ok(rows) => queue.claimed(rows, rumours),
        Err(fault) => {
            shared.errands.doubt();
            queue.claim_failed(fault);
        }
    }
}

/// Takes the oldest rows that nobody has. Rows that another process is taking at this moment are passed over.
async fn claim(shared: &Shared, queue: &str, max: usize) -> Result<Vec<Row>, Fault> {
    let sql = concat!(
        "with free as (
             select position as place from outbox where queue = $1 and claimed_by is null
             order by position limit $2 for update skip locked
         )
         update outbox set claimed_by = $3 from free where position = free.place
         returning position, ",
        message!(),
        ", messages"
    );
    let params: Vec<Param> =
        vec![Box::new(queue.to_owned()), Box::new(rows_max(max)), Box::new(shared.instance)];
    let rows = shared.run_alone("feed.receive", Act::new("feed.receive", sql, params)).await?;
    let mut rows: Vec<Row> = rows.iter().filter_map(readable).collect();
    rows.sort_unstable_by_key(|row| row.position);
    Ok(rows)
}

/// A row that cannot be a message is left for a person, and holds up nobody.
fn readable(row: &tokio_postgres::Row) -> Option<Row> {
    match read(row) {
        Ok(row) => Some(row),
        Err(error) => {
            tracing::error!(%error, position = ?row.try_get::<_, i64>(0), "a row of the outbox cannot be read");
            None
        }
    }
}

fn read(row: &tokio_postgres::Row) -> Result<Row, Broken> {
    let Moved { position, envelope, .. } = Moved::read(row)?;
    Ok(Row { position, letter: Letter { envelope: Arc::new(envelope), messages: count(row, 11)? } })
}
