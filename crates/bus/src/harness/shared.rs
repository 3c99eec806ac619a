//! What store, feeds and units in memory share: everything committed, and who has what in hand.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::claims::Claims;
use super::mishap::Mishaps;
use super::tables::Tables;
use crate::{Delivery, Envelope, Origin, Receipt, Routing, Topology, without_mark};

/// Everything that is committed.
#[derive(Default)]
pub(super) struct Committed<T> {
    pub(super) tables: Tables,
    pub(super) data: T,
}

pub(super) struct Shared<T> {
    pub(super) mishaps: Mishaps,
    pub(super) committed: Mutex<Committed<T>>,
    pub(super) published: Mutex<Vec<Envelope>>,
    pub(super) topology: Mutex<Topology>,
    pub(super) claims: Mutex<Claims>,
    pub(super) routing: Routing,
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    pub(super) changed: watch::Sender<u64>,
}

/// The value, also after a panic elsewhere.
pub(super) fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Shared<T> {
    pub(super) fn read<R>(&self, reading: impl FnOnce(&Committed<T>) -> R) -> R {
        reading(&lock(&self.committed))
    }

    pub(super) fn commit(&self, tables: Tables, data: T, published: Vec<Envelope>) {
        *lock(&self.committed) = Committed { tables, data };
        lock(&self.published).extend(published);
        self.note_change();
    }

    pub(super) fn route(&self, tables: &mut Tables, envelope: &Envelope) {
        match self.routing {
            Routing::Store => self.enqueue(tables, envelope),
            Routing::Outbox => tables.add_outgoing(envelope.clone()),
        }
    }

    /// Takes back what a unit has published for these queues.
    pub(super) fn reclaim(
        &self,
        tables: &mut Tables,
        own_rows: &mut Vec<i64>,
        queues: &[Arc<str>],
    ) -> Vec<Delivery> {
        match self.routing {
            Routing::Store => tables.reclaim(own_rows, queues),
            Routing::Outbox => {
                let topology = lock(&self.topology);
                tables.take_back(own_rows, |envelope| topology.take_back(envelope, queues))
            }
        }
    }

    pub(super) fn enqueue(&self, tables: &mut Tables, envelope: &Envelope) {
        let message = Arc::new(without_mark(envelope));
        for queue in lock(&self.topology).queues(&envelope.kind) {
            tables.enqueue(Arc::clone(queue), Arc::clone(&message));
        }
    }

    pub(super) fn claims(&self) -> MutexGuard<'_, Claims> {
        lock(&self.claims)
    }

    pub(super) fn claim(&self, queue: &Arc<str>, feed: u64, max: usize) -> Vec<Delivery> {
        let committed = lock(&self.committed);
        let mut claims = self.claims();
        let rows = committed.tables.queued.iter().filter(|(_, row)| row.queue == *queue);
        rows.filter(|(position, _)| claims.take(**position, feed))
            .take(max)
            .map(|(position, row)| Delivery {
                envelope: Arc::clone(&row.envelope),
                receipt: Receipt { queue: Arc::clone(queue), origin: Origin::Store(*position) },
            })
            .collect()
    }

    /// An acknowledged message is gone for good, as with any broker: acknowledging too early loses messages, and a
    /// test sees it.
    pub(super) async fn drop_unsettled(&self, receipts: &[Receipt]) {
        let _turn = self.turn.lock().await;
        let mut committed = lock(&self.committed);
        for position in receipts.iter().filter_map(Receipt::row) {
            committed.tables.queued.remove(&position);
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn note_change(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}
