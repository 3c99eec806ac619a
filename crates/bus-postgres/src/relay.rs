//! Outgoing rows as a relay to a broker sees them: leased, sent, removed. What this process has committed is leased from
//! memory; the database knows that it is this process's. Rows of a process that died come back when it is missed.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Fault, Leased, OutboxStore, QUEUED};
use jiff::Timestamp;
use uuid::Uuid;

use crate::array::Array;
use crate::fault::Taken;
use crate::feed::claim_into;
use crate::leases::Lease;
use crate::message_rows::NO_QUEUE;
use crate::pipeline::{Act, Ending, Opening, run};
use crate::queue::{Next, Queue, Row};
use crate::store::PostgresBus;
use crate::unit::Rows;

#[async_trait]
impl<R: Rows> OutboxStore for PostgresBus<R> {
    async fn lease(
        &self,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<Vec<Leased>, Fault> {
        let queue = self.outgoing_queue();
        let reader = self.relay_reader(queue);
        queue.put_back(&self.shared.leases.end(now));
        let mut leased = Vec::with_capacity(max);
        for Row { position, letter } in self.take_or_claim(queue, reader, max).await? {
            let message_id = letter.envelope.id.0;
            // A row that cannot be read is left for a person, and holds up nobody.
            let messages = letter.open().unwrap_or_else(|error| {
                tracing::error!(%error, position, "a row of the outbox cannot be read");
                Vec::new()
            });
            let unsent = messages.len();
            self.shared.leases.begin(position, Lease { holder, until, message_id, unsent });
            leased.extend(messages.into_iter().map(|envelope| Leased { position, envelope }));
        }
        Ok(leased)
    }

    async fn remove(&self, holder: Uuid, positions: &[i64]) -> Result<usize, Fault> {
        let sent = self.shared.leases.sent(holder, positions);
        let removed = if sent.whole.is_empty() { 0 } else { self.remove_rows(&sent.whole).await? };
        self.shared.leases.settle(holder, &sent);
        self.outgoing_queue().release(sent.whole.into_iter().map(|(position, _)| position));
        Ok(removed)
    }
}

impl<R: Rows> PostgresBus<R> {
    fn outgoing_queue(&self) -> &Arc<Queue> {
        self.shared.queues.get(NO_QUEUE).expect("every store has the queue of rows for a broker")
    }

    /// All relays of a process are one reader of the outbox.
    fn relay_reader(&self, queue: &Queue) -> u64 {
        self.shared.leases.reader(|| {
            queue.join();
            self.shared.next_reader()
        })
    }

    async fn take_or_claim(&self, queue: &Arc<Queue>, reader: u64, max: usize) -> Result<Vec<Row>, Fault> {
        loop {
            match queue.next(reader, max) {
                Next::Take(rows) => return Ok(rows),
                Next::Failed(fault) => return Err(fault),
                Next::Wait => return Ok(Vec::new()),
                Next::Claim { max, rumours } => {
                    // Whoever waits here may be dropped at any moment; the claim must come to its end all the same.
                    let claim = claim_into(Arc::clone(&self.shared), Arc::clone(queue), max, rumours);
                    tokio::spawn(claim).await.expect("a claim does not panic");
                }
            }
        }
    }

    async fn remove_rows(&self, rows: &[(i64, Uuid)]) -> Result<usize, Fault> {
        let connection = self.shared.units.get().await.map_err(crate::fault::away("outbox.remove"))?;
        let sql = "with gone as (
                     delete from outbox where position = any($1) and claimed_by = $2
                         and (position, message_id) in (select * from unnest($1::bigint[], $5::uuid[]))
                     returning messages
                 ),
                 counted as (select coalesce(sum(messages), 0)::bigint as gone from gone),
                 tallied as (
                     insert into tally_changes (subject, name, amount)
                     select $3, $4, -gone from counted where gone > 0
                 )
             select gone from counted";
        let act = Act::new(
            "outbox.remove",
            sql,
            vec![
                Box::new(Array::numbers(rows.iter().map(|(position, _)| *position))),
                Box::new(self.shared.instance),
                Box::new(QUEUED),
                Box::new(NO_QUEUE),
                Box::new(Array::uuids(rows.iter().map(|(_, message_id)| *message_id))),
            ],
        );
        let answers = run(&connection, Opening::None, &[act], Ending::None).await?;
        let gone = answers.first().and_then(|rows| rows.first()).map(|row| row.try_get::<_, i64>(0));
        let gone = gone.transpose().map_err(crate::fault::fault("outbox.remove", Taken::GiveUp))?;
        Ok(usize::try_from(gone.unwrap_or(0)).unwrap_or(0))
    }
}
