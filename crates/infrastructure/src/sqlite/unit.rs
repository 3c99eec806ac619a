//! The unit of work on SQLite: one immediate transaction, statements executed where they are called. Dropped, it is
//! rolled back; committed, what it published is handed to the queues in memory while the writer is still held.

use std::sync::Arc;

use application::ports::{
    AuditRepository, HistoryRepository, IdempotencyRepository, InventoryRepository, OrderRepository,
    PaymentRepository, ProductRepository, ShipmentRepository, UnitOfWork,
};
use async_trait::async_trait;
use bus::{Admission, CorrelationId, Envelope, Fault, Settlement, Timer, TimerKey, Unit};
use jiff::Timestamp;
use rusqlite::{Connection, Result};
use tokio::sync::OwnedMutexGuard;

use super::fault::fault;
use super::memory::{Memories, View};
use super::store::Shared;
use super::tally::Tally;
use super::writer::Writer;
use super::{inbox, timers};

/// One transaction.
pub struct SqliteUnit {
    pub(super) shared: Arc<Shared>,
    /// What was published and is to be handed over after the commit: queue, position, message.
    pub(super) fresh: Vec<(Arc<str>, i64, Arc<Envelope>)>,
    /// What this transaction changes of the counts.
    pub(super) tally: Tally,
    /// What this transaction has read and written.
    pub(super) view: View,
    writer: OwnedMutexGuard<Writer>,
    last_position: i64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

impl SqliteUnit {
    /// Begins a transaction on a writer that nobody else holds.
    pub(super) fn begin(
        shared: Arc<Shared>,
        writer: OwnedMutexGuard<Writer>,
    ) -> std::result::Result<Self, Fault> {
        writer.run("begin immediate").map_err(fault("unit.begin"))?;
        let mut unit = Self {
            shared,
            fresh: Vec::new(),
            tally: Tally::default(),
            view: View::default(),
            writer,
            last_position: 0,
            state: State::Open,
        };
        let shared = Arc::clone(&unit.shared);
        shared.notice_others(&mut unit.writer).map_err(fault("unit.begin"))?;
        unit.last_position = unit.writer.last_position;
        Ok(unit)
    }

    /// The connection, within the transaction.
    pub(super) fn connection(&self) -> &Connection {
        &self.writer.connection
    }

    /// Rows that need not be read.
    pub(super) fn memories(&self) -> &Memories {
        &self.writer.memories
    }

    /// Gives out `count` positions in a row and returns the first.
    pub(super) fn take_positions(&mut self, count: usize) -> i64 {
        let first = self.last_position + 1;
        self.last_position += i64::try_from(count).expect("a batch is far smaller than 2^63");
        first
    }

    fn make_durable(&mut self) -> Result<()> {
        self.tally.store(&self.writer.connection)?;
        if self.last_position != self.writer.last_position {
            self.connection()
                .prepare_cached("update positions set last_position = ?")?
                .execute([self.last_position])?;
        }
        self.writer.run("commit")
    }

    fn hand_over(&mut self) {
        self.writer.last_position = self.last_position;
        self.writer.memories.absorb(std::mem::take(&mut self.view));
        for (queue, position, envelope) in self.fresh.drain(..) {
            if let Some(queue) = self.shared.queues.get(&queue) {
                queue.push(position, envelope);
            }
        }
    }
}

impl Drop for SqliteUnit {
    fn drop(&mut self) {
        if self.state == State::Closed || self.connection().is_autocommit() {
            return;
        }
        if let Err(error) = self.writer.run("rollback") {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }
}

#[async_trait]
impl Unit for SqliteUnit {
    async fn publish(&mut self, envelopes: Vec<Envelope>) -> std::result::Result<(), Fault> {
        self.publish_all(envelopes).map_err(fault("outbox.publish"))
    }

    async fn settle(&mut self, settlements: Vec<Settlement>) -> std::result::Result<(), Fault> {
        self.settle_all(&settlements)
    }

    async fn unpark(
        &mut self,
        correlations: &[CorrelationId],
        _now: Timestamp,
    ) -> std::result::Result<usize, Fault> {
        self.unpark_all(correlations).map_err(fault("outbox.unpark"))
    }

    async fn requeue_due(&mut self, now: Timestamp, max: usize) -> std::result::Result<usize, Fault> {
        self.requeue_all_due(now, max).map_err(fault("outbox.requeue"))
    }

    async fn set_timers(&mut self, timers: Vec<Timer>) -> std::result::Result<(), Fault> {
        timers::set(self.connection(), &timers).map_err(fault("timers.set"))
    }

    async fn cancel_timers(&mut self, timers: Vec<TimerKey>) -> std::result::Result<(), Fault> {
        timers::cancel(self.connection(), &timers).map_err(fault("timers.cancel"))
    }

    async fn take_due_timers(
        &mut self,
        now: Timestamp,
        max: usize,
    ) -> std::result::Result<Vec<Timer>, Fault> {
        timers::take_due(self.connection(), now, max).map_err(fault("timers.take_due"))
    }

    async fn admit(
        &mut self,
        source: &str,
        ids: &[String],
        now: Timestamp,
    ) -> std::result::Result<Vec<Admission>, Fault> {
        let first = self.take_positions(ids.len());
        inbox::admit(self.connection(), first, source, ids, now).map_err(fault("inbox.admit"))
    }

    async fn commit(mut self: Box<Self>) -> std::result::Result<(), Fault> {
        match self.make_durable() {
            Ok(()) => {
                self.state = State::Closed;
                self.hand_over();
                Ok(())
            }
            Err(error) => {
                // Whether it is durable is not known for certain, so memory vouches for nothing any more.
                self.writer.seen = None;
                Err(fault("unit.commit")(error))
            }
        }
    }
}

impl UnitOfWork for SqliteUnit {
    fn orders(&mut self) -> &mut dyn OrderRepository {
        self
    }

    fn products(&mut self) -> &mut dyn ProductRepository {
        self
    }

    fn inventory(&mut self) -> &mut dyn InventoryRepository {
        self
    }

    fn payments(&mut self) -> &mut dyn PaymentRepository {
        self
    }

    fn shipments(&mut self) -> &mut dyn ShipmentRepository {
        self
    }

    fn history(&mut self) -> &mut dyn HistoryRepository {
        self
    }

    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository {
        self
    }

    fn audit(&mut self) -> &mut dyn AuditRepository {
        self
    }
}
