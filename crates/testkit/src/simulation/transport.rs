//! A transport that is late, out of order and forgetful of acknowledgements: everything that the contract allows, and nothing
//! that it forbids.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus::{Delivery, Envelope, Fault, Feed, Receipt, Transport, Unsent};
use tokio::time::Instant;

use super::dice::Dice;

/// How unsteady a transport is.
pub trait TransportFate: Send + Sync + 'static {
    /// How long this delivery is held back.
    fn delay(&self) -> Duration;

    /// Whether a call to the transport fails.
    fn call(&self) -> Contact;

    /// Chance for the order of what comes at once.
    fn dice(&self) -> &Dice;
}

/// Whether the transport is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// It is.
    There,
    /// Not at the moment.
    Away,
}

/// A transport over another.
pub(super) struct UnsteadyTransport {
    pub(super) inner: Arc<dyn Transport>,
    pub(super) fate: Arc<dyn TransportFate>,
    /// Whether a broker is in between, which gives again what it heard no word about.
    pub(super) is_brokered: bool,
}

#[async_trait]
impl Transport for UnsteadyTransport {
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault> {
        let inner = self.inner.subscribe(queue).await?;
        let (fate, is_brokered) = (Arc::clone(&self.fate), self.is_brokered);
        Ok(Box::new(UnsteadyFeed { inner, fate, is_brokered, held: Vec::new() }))
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        self.inner.send(envelopes).await
    }
}

/// Deliveries on their way, each with the moment of its arrival.
struct UnsteadyFeed {
    inner: Box<dyn Feed>,
    fate: Arc<dyn TransportFate>,
    is_brokered: bool,
    held: Vec<(Instant, Delivery)>,
}

impl UnsteadyFeed {
    /// Holds deliveries back, in an order of its own.
    fn hold(&mut self, deliveries: Vec<Delivery>) {
        let now = Instant::now();
        for delivery in deliveries {
            let place = self.fate.dice().below(self.held.len() as u64 + 1);
            let place = usize::try_from(place).expect("a place in a vector");
            let delay = self.fate.delay();
            self.held.insert(if delay.is_zero() { self.held.len() } else { place }, (now + delay, delivery));
        }
    }

    fn arrived(&mut self, max: usize) -> Vec<Delivery> {
        let now = Instant::now();
        let mut arrived = Vec::new();
        self.held.retain(|(at, delivery)| {
            let take = *at <= now && arrived.len() < max;
            if take {
                arrived.push(delivery.clone());
            }
            !take
        });
        arrived
    }
}

#[async_trait]
impl Feed for UnsteadyFeed {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault> {
        loop {
            let arrived = self.arrived(max);
            if !arrived.is_empty() {
                return Ok(arrived);
            }
            if self.fate.call() == Contact::Away {
                return Err(Fault::retry("feed.receive", "the transport is away"));
            }
            // Nothing is awaited between receiving and holding, so whoever drops this future loses nothing.
            let received = match self.held.iter().map(|(at, _)| *at).min() {
                None => Some(self.inner.receive(max).await?),
                Some(next) => tokio::select! {
                    biased;
                    received = self.inner.receive(max) => Some(received?),
                    () = tokio::time::sleep_until(next) => None,
                },
            };
            self.hold(received.unwrap_or_default());
        }
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        if self.is_brokered {
            return self.inner.acknowledge(receipts).await;
        }
        match self.fate.call() {
            Contact::There => self.inner.acknowledge(receipts).await,
            Contact::Away => Err(Fault::retry("feed.acknowledge", "the transport is away")),
        }
    }
}
