//! Two carriers for one queue: messages that this process published for itself stay in the store; messages of others
//! come over the broker. The store decides what stays, since it knows whether its reader has room.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use crate::retry::Backoff;
use crate::{Delivery, Envelope, Fault, Feed, IdSource, Receipt, Transport, Unsent};

/// Delivers from the store and from the broker; sends over the broker.
pub struct LocalFirst {
    store: Arc<dyn Transport>,
    broker: Arc<dyn Transport>,
    ids: Arc<dyn IdSource>,
}

impl LocalFirst {
    /// A broker, and the store as the local carrier.
    pub fn new(store: Arc<dyn Transport>, broker: Arc<dyn Transport>, ids: Arc<dyn IdSource>) -> Self {
        Self { store, broker, ids }
    }
}

#[async_trait]
impl Transport for LocalFirst {
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault> {
        let broker = self.broker.subscribe(queue).await?;
        let store = self.store.subscribe(queue).await?;
        Ok(Box::new(BothFeeds {
            store,
            broker,
            ids: Arc::clone(&self.ids),
            queue: queue.to_owned(),
            store_first: false,
            asked_again_at: Instant::now(),
            backoff: Backoff::default(),
        }))
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        self.broker.send(envelopes).await
    }
}

/// One queue of both. While the broker is away, messages in the store still arrive.
struct BothFeeds {
    store: Box<dyn Feed>,
    broker: Box<dyn Feed>,
    ids: Arc<dyn IdSource>,
    queue: String,
    store_first: bool,
    asked_again_at: Instant,
    backoff: Backoff,
}

#[async_trait]
impl Feed for BothFeeds {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault> {
        loop {
            let brokered = async {
                sleep_until(self.asked_again_at).await;
                self.broker.receive(max).await
            };
            let stored = self.store.receive(max);
            // The future that is dropped here has lost nothing. They take turns in being first, so neither starves.
            self.store_first = !self.store_first;
            let brokered = if self.store_first {
                tokio::select! {
                    biased;
                    stored = stored => return stored,
                    brokered = brokered => brokered,
                }
            } else {
                tokio::select! {
                    biased;
                    brokered = brokered => brokered,
                    stored = stored => return stored,
                }
            };
            match brokered {
                Ok(deliveries) => {
                    self.backoff = Backoff::default();
                    return Ok(deliveries);
                }
                Err(fault) => {
                    tracing::warn!(queue = self.queue, %fault, "the broker is away");
                    self.asked_again_at = Instant::now() + self.backoff.next(self.ids.as_ref());
                }
            }
        }
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        let (brokered, stored): (Vec<Receipt>, Vec<Receipt>) =
            receipts.iter().cloned().partition(|receipt| receipt.mark().is_some());
        // A failure of one carrier must not keep the other waiting.
        let stored = if stored.is_empty() { Ok(()) } else { self.store.acknowledge(&stored).await };
        let brokered = if brokered.is_empty() { Ok(()) } else { self.broker.acknowledge(&brokered).await };
        stored.and(brokered)
    }
}
