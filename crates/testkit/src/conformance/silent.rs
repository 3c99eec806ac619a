//! A connection that takes no leave: what tells a broker of its end is that it is gone. For processes that are to die.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Delivery, Envelope, Fault, Feed, Receipt, Transport, Unsent};

/// A transport that is never dropped, nor any feed of it; whoever uses it ends the runtime that its connections live in.
pub struct Silent(ManuallyDrop<Arc<dyn Transport>>);

impl Silent {
    /// The same transport without its last words.
    #[must_use]
    pub const fn over(transport: Arc<dyn Transport>) -> Self {
        Self(ManuallyDrop::new(transport))
    }
}

#[async_trait]
impl Transport for Silent {
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault> {
        Ok(Box::new(SilentFeed(ManuallyDrop::new(self.0.subscribe(queue).await?))))
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        self.0.send(envelopes).await
    }
}

struct SilentFeed(ManuallyDrop<Box<dyn Feed>>);

#[async_trait]
impl Feed for SilentFeed {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault> {
        self.0.receive(max).await
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        self.0.acknowledge(receipts).await
    }
}
