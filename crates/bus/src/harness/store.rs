//! The store in memory: everything committed, who has what in hand, and change notifications. Also a transport, an
//! outbox and a dead-letter store over the same tables, as any store of the bus is.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::yield_now;
use uuid::Uuid;

use super::MemoryUnit;
use super::feed::MemoryFeed;
use super::grouping::grouped;
use super::mishap::{Act, Mishaps};
use super::shared::{Committed, Shared, lock};
use super::tables::{LetterRecord, Tables, Waiting};
use crate::{
    DeadLetter, DeadLetterFilter, DeadLetterGroups, DeadLetters, Envelope, Fault, Feed, Leased, OutboxStore,
    Routing, Signed, Store, Timer, Topology, Transport, Unsent, Verdict,
};

/// A store in memory. Clones share it; it survives every crash of its users, as a database would.
pub struct MemoryStore<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for MemoryStore<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Clone + Default + Send + 'static> MemoryStore<T> {
    /// An empty store whose published messages go straight into the queues that want them.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        Self::with_routing(topology, Routing::Store)
    }

    /// An empty store.
    #[must_use]
    pub fn with_routing(topology: Topology, routing: Routing) -> Self {
        let shared = Shared {
            mishaps: Mishaps::default(),
            committed: Mutex::new(Committed::default()),
            published: Mutex::default(),
            topology: Mutex::new(topology),
            claims: Mutex::default(),
            routing,
            turn: Arc::default(),
            changed: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The user's own tables as committed.
    #[must_use]
    pub fn data(&self) -> T {
        self.shared.read(|committed| committed.data.clone())
    }

    /// Everything that units have published and committed, in that order.
    #[must_use]
    pub fn published(&self) -> Vec<Envelope> {
        lock(&self.shared.published).clone()
    }

    /// Timers that are set, by key.
    #[must_use]
    pub fn timers(&self) -> Vec<Timer> {
        self.shared.read(|committed| committed.tables.timers.values().cloned().collect())
    }

    /// Delayed and parked messages, oldest first.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        self.shared.read(|committed| committed.tables.waiting.values().cloned().collect())
    }

    /// Messages that are ready or in hand in this queue, oldest first.
    #[must_use]
    pub fn queued(&self, queue: &str) -> Vec<Envelope> {
        self.shared.read(|committed| {
            let rows = committed.tables.queued.values().filter(|row| *row.queue == *queue);
            rows.map(|row| row.envelope.as_ref().clone()).collect()
        })
    }

    /// Messages that were set aside and match, oldest first.
    #[must_use]
    pub fn dead_letters(&self, filter: &DeadLetterFilter) -> Vec<DeadLetter> {
        self.shared.read(|committed| committed.tables.dead_letters(filter).cloned().collect())
    }

    /// Deliveries that some feed has in hand.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.shared.claims().count()
    }

    /// Deliveries of this queue that some feed has in hand.
    pub(super) fn in_hand_of(&self, queue: &str) -> usize {
        let positions: Vec<i64> = self.read_tables(|tables| {
            let rows = tables.queued.iter().filter(|(_, row)| *row.queue == *queue);
            rows.map(|(position, _)| *position).collect()
        });
        let claims = self.shared.claims();
        positions.into_iter().filter(|position| claims.holds(*position)).count()
    }

    /// Rows in the outbox.
    #[must_use]
    pub fn outgoing(&self) -> usize {
        self.shared.read(|committed| committed.tables.outgoing_count())
    }

    /// What persons did with dead letters: who asked, when and why.
    #[must_use]
    pub fn letter_records(&self) -> Vec<LetterRecord> {
        self.shared.read(|committed| committed.tables.records.clone())
    }

    /// Makes the next `times` of this operation fail.
    pub fn fail(&self, act: Act, verdict: Verdict, times: u32) {
        self.shared.mishaps.plan(act, verdict, times);
    }

    /// Forgets all failures that are still planned.
    pub fn heal(&self) {
        self.shared.mishaps.clear();
        self.shared.note_change();
    }

    pub(super) fn add_routes(&self, queue: &str, kinds: &[&'static str]) {
        let mut topology = lock(&self.shared.topology);
        for kind in kinds {
            if !topology.queues(kind).any(|wanting| **wanting == *queue) {
                *topology = std::mem::take(&mut *topology).subscribe(queue, &[kind]);
            }
        }
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.shared.read(|committed| committed.tables.next_due())
    }

    /// Counts changes of any kind; wait on it instead of asking again and again.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes()
    }

    pub(super) fn read_tables<R>(&self, reading: impl FnOnce(&Tables) -> R) -> R {
        self.shared.read(|committed| reading(&committed.tables))
    }

    pub(super) async fn write<R>(&self, writing: impl FnOnce(&mut Tables) -> R) -> R {
        yield_now().await;
        let _turn = self.shared.turn.lock().await;
        let result = writing(&mut lock(&self.shared.committed).tables);
        self.shared.note_change();
        result
    }
}

#[async_trait]
impl<T: Clone + Send + 'static> Store<MemoryUnit<T>> for MemoryStore<T> {
    async fn begin(&self) -> Result<Box<MemoryUnit<T>>, Fault> {
        yield_now().await;
        self.shared.mishaps.pass(Act::Begin)?;
        let turn = Arc::clone(&self.shared.turn).lock_owned().await;
        Ok(Box::new(MemoryUnit::over(Arc::clone(&self.shared), turn)))
    }
}

#[async_trait]
impl<T: Clone + Default + Send + 'static> Transport for MemoryStore<T> {
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault> {
        Ok(Box::new(MemoryFeed::new(Arc::clone(&self.shared), queue)))
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        self.shared.mishaps.pass(Act::Send)?;
        self.write(|tables| envelopes.iter().for_each(|envelope| self.shared.enqueue(tables, envelope)))
            .await;
        Ok(())
    }
}

#[async_trait]
impl<T: Clone + Default + Send + 'static> OutboxStore for MemoryStore<T> {
    async fn lease(
        &self,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<Vec<Leased>, Fault> {
        self.shared.mishaps.pass(Act::Lease)?;
        Ok(self.write(|tables| tables.lease(holder, now, until, max)).await)
    }

    async fn remove(&self, holder: Uuid, positions: &[i64]) -> Result<usize, Fault> {
        self.shared.mishaps.pass(Act::Remove)?;
        Ok(self.write(|tables| tables.remove_outgoing(holder, positions)).await)
    }
}

#[async_trait]
impl<T: Clone + Default + Send + 'static> DeadLetters for MemoryStore<T> {
    async fn list_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        max: usize,
    ) -> Result<Vec<DeadLetter>, Fault> {
        Ok(self.shared.read(|committed| committed.tables.dead_letters(filter).take(max).cloned().collect()))
    }

    async fn count_dead_letters(&self, filter: &DeadLetterFilter) -> Result<u64, Fault> {
        Ok(self.shared.read(|committed| committed.tables.dead_letters(filter).count()) as u64)
    }

    async fn group_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        max: usize,
    ) -> Result<DeadLetterGroups, Fault> {
        Ok(self.shared.read(|committed| grouped(committed.tables.dead_letters(filter), max)))
    }

    async fn redrive(&self, positions: &[i64], by: &Signed<'_>) -> Result<Vec<i64>, Fault> {
        Ok(self.write(|tables| tables.redrive(positions, by)).await)
    }

    async fn archive(&self, positions: &[i64], by: &Signed<'_>) -> Result<Vec<i64>, Fault> {
        Ok(self.write(|tables| tables.archive(positions, by)).await)
    }
}
