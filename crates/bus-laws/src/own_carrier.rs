//! A store as its own broker: what it carries is done for good when its rows say so, which is stored before the
//! acknowledgement, as endpoints do.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Delivery, Disposition, Envelope, Fault, Feed, Receipt, Routing, Transport, Unsent};

use crate::stage::settle;
use crate::{Bus, BusHome, CarrierHome};

#[async_trait]
impl<H: BusHome> CarrierHome for H {
    async fn connect(&mut self) -> Arc<dyn Transport> {
        Arc::new(OwnCarrier(self.bus(Routing::Store).await))
    }
}

/// Settles in the very store that a delivery came from, since only who claimed a delivery may.
struct OwnCarrier(Bus);

#[async_trait]
impl Transport for OwnCarrier {
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault> {
        let feed = self.0.transport.subscribe(queue).await?;
        Ok(Box::new(OwnFeed { bus: self.0.clone(), feed, held: Vec::new() }))
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        self.0.transport.send(envelopes).await
    }
}

/// A feed whose acknowledgement first stores that the deliveries are done.
struct OwnFeed {
    bus: Bus,
    feed: Box<dyn Feed>,
    held: Vec<Delivery>,
}

#[async_trait]
impl Feed for OwnFeed {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault> {
        let received = self.feed.receive(max).await?;
        self.held.extend(received.iter().cloned());
        Ok(received)
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        let held = std::mem::take(&mut self.held);
        let (done, held) = held.into_iter().partition::<Vec<_>, _>(|it| receipts.contains(&it.receipt));
        self.held = held;
        settle(&self.bus, &done, Disposition::Done).await?;
        self.feed.acknowledge(receipts).await
    }
}
