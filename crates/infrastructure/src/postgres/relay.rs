//! Outgoing rows as a relay to a broker sees them: leased, sent, removed. What this process has committed is leased from
//! memory; the database knows that it is this process's. Rows of a process that died come back when it is missed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bus::{Fault, Leased, OutboxStore};
use jiff::Timestamp;
use uuid::Uuid;

use super::PostgresStore;
use super::array::Array;
use super::fault::Taken;
use super::feed::claim_into;
use super::outbox::NO_QUEUE;
use super::pipeline::{Act, Ending, Opening, run};
use super::queue::{Next, Queue, Row};
use crate::tally::Tallied;

/// Who among the relays of this process has which row, and until when.
#[derive(Default)]
pub(super) struct Leases(Mutex<State>);

#[derive(Default)]
struct State {
    reader: Option<u64>,
    by_position: BTreeMap<i64, Lease>,
}

#[derive(Clone, Copy)]
struct Lease {
    holder: Uuid,
    until: Timestamp,
}

#[async_trait]
impl OutboxStore for PostgresStore {
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
        let rows = self.take_or_claim(queue, reader, max).await?;
        self.shared.leases.begin(&rows, Lease { holder, until });
        let leased =
            |row: Row| Leased { position: row.position, envelope: Arc::unwrap_or_clone(row.envelope) };
        Ok(rows.into_iter().map(leased).collect())
    }

    async fn remove(&self, holder: Uuid, positions: &[i64]) -> Result<usize, Fault> {
        let ours = self.shared.leases.of(holder, positions);
        let removed = self.remove_rows(&ours).await?;
        self.shared.leases.forget(&ours);
        self.outgoing_queue().release(ours);
        Ok(removed)
    }
}

impl PostgresStore {
    fn outgoing_queue(&self) -> &Arc<Queue> {
        self.shared.queues.get(NO_QUEUE).expect("every store has the queue of rows for a broker")
    }

    /// All relays of a process are one reader of the outbox.
    fn relay_reader(&self, queue: &Queue) -> u64 {
        let mut state = self.shared.leases.lock();
        *state.reader.get_or_insert_with(|| {
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
                    claim_into(Arc::clone(&self.shared), Arc::clone(queue), max, rumours).await;
                }
            }
        }
    }

    async fn remove_rows(&self, positions: &[i64]) -> Result<usize, Fault> {
        let connection = self.shared.units.get().await.map_err(super::fault::away("outbox.remove"))?;
        let sql =
            "with gone as (delete from outbox where position = any($1) and claimed_by = $2 returning 1),
                 counted as (select count(*) as gone from gone),
                 tallied as (
                     insert into tally_changes (subject, name, amount)
                     select $3, $4, -gone from counted where gone > 0
                 )
             select gone from counted";
        let tallied = Tallied::Queued(Arc::from(NO_QUEUE));
        let act = Act::new(
            "outbox.remove",
            sql,
            vec![
                Box::new(Array::numbers(positions.iter().copied())),
                Box::new(self.shared.instance),
                Box::new(tallied.subject()),
                Box::new(NO_QUEUE),
            ],
        );
        let answers = run(&connection, Opening::None, &[act], Ending::None).await?;
        let gone = answers.first().and_then(|rows| rows.first()).map(|row| row.try_get::<_, i64>(0));
        let gone = gone.transpose().map_err(super::fault::fault("outbox.remove", Taken::GiveUp))?;
        Ok(usize::try_from(gone.unwrap_or(0)).unwrap_or(0))
    }
}

impl Leases {
    fn begin(&self, rows: &[Row], lease: Lease) {
        self.lock().by_position.extend(rows.iter().map(|row| (row.position, lease)));
    }

    /// Takes out the leases that are over.
    fn end(&self, now: Timestamp) -> Vec<i64> {
        self.lock()
            .by_position
            .extract_if(.., |_, lease| lease.until <= now)
            .map(|(position, _)| position)
            .collect()
    }

    fn of(&self, holder: Uuid, positions: &[i64]) -> Vec<i64> {
        let state = self.lock();
        let held =
            |position: &&i64| state.by_position.get(*position).is_some_and(|lease| lease.holder == holder);
        positions.iter().filter(held).copied().collect()
    }

    fn forget(&self, positions: &[i64]) {
        let mut state = self.lock();
        for position in positions {
            state.by_position.remove(position);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
