//! One queue's stream of deliveries in memory. Only this file knows which messages are in hand, so dropping the feed,
//! or a crash, returns them.

use std::sync::Arc;

use async_trait::async_trait;

use super::mishap::Act;
use super::shared::Shared;
use crate::{Delivery, Fault, Feed, Receipt};

/// A stream of one queue.
pub(super) struct MemoryFeed<T> {
    shared: Arc<Shared<T>>,
    queue: Arc<str>,
    id: u64,
}

impl<T> MemoryFeed<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, queue: &str) -> Self {
        let id = shared.claims().next_feed();
        Self { shared, queue: Arc::from(queue), id }
    }
}

#[async_trait]
impl<T: Send + 'static> Feed for MemoryFeed<T> {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault> {
        let mut changes = self.shared.changes();
        loop {
            tokio::task::yield_now().await;
            self.shared.mishaps.pass(Act::Receive)?;
            changes.mark_unchanged();
            // No await between claim and return: a caller that drops this future must lose nothing.
            let deliveries = self.shared.claim(&self.queue, self.id, max);
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        tokio::task::yield_now().await;
        self.shared.mishaps.pass(Act::Acknowledge)?;
        self.shared.drop_unsettled(receipts).await;
        self.shared.claims().forget(self.id, receipts);
        self.shared.note_change();
        Ok(())
    }
}

impl<T> Drop for MemoryFeed<T> {
    fn drop(&mut self) {
        self.shared.claims().forget_feed(self.id);
        self.shared.note_change();
    }
}
