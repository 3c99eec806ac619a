//! Inline dispatch: a message whose consumer only reads and writes the same store need not wait in a queue. It is
//! handled in the unit of work that published it, before that commits, so both steps become durable together or not
//! at all. The messages that it publishes are dispatched in turn.
//!
//! A message that cannot be handled inline spoils nothing: the unit is rolled back, and for a while messages go
//! through their queues, where the endpoint finds the bad one. Never waits, and never performs an effect.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::handling::{Plain, Receiver, handle, prepare_at_once, split_overtaken};
use crate::{Clock, Consumer, Delivery, Fault, PauseBoard, Unit, Verdict};

/// Steps within one unit; messages published after that go through their queues.
const STEPS_MAX: usize = 8;

/// How long messages go through their queues after inline dispatch failed: long enough for the bad message to reach
/// its queue and be set aside.
const PAUSE: Duration = Duration::from_secs(1);

/// Consumers whose messages are handled in the unit that published them.
pub struct Chain<U: Unit + ?Sized> {
    links: BTreeMap<Arc<str>, Box<dyn Link<U>>>,
    queues: Vec<Arc<str>>,
    clock: Arc<dyn Clock>,
    paused_until: Mutex<Timestamp>,
    pauses: PauseBoard,
}

/// A consumer without an effect, whatever its message.
#[async_trait]
pub(crate) trait Link<U: Unit + ?Sized>: Send + Sync {
    async fn handle(&self, unit: &mut U, deliveries: Vec<Delivery>, clock: &dyn Clock) -> Result<(), Fault>;
}

pub(crate) struct LinkTo<C>(pub(crate) C);

impl<U: Unit + ?Sized> Chain<U> {
    /// A chain without consumers: every message goes through its queue.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            links: BTreeMap::new(),
            queues: Vec::new(),
            clock,
            paused_until: Mutex::new(Timestamp::MIN),
            pauses: PauseBoard::default(),
        }
    }

    /// The same, heeding what persons have paused: a message for a paused queue goes there and waits.
    #[must_use]
    pub fn heeding(mut self, pauses: PauseBoard) -> Self {
        self.pauses = pauses;
        self
    }

    /// Adds this consumer. Consumers with effects cannot be added: the request for an effect must be durable before the
    /// effect happens.
    #[must_use]
    pub fn with<C: Consumer<U>>(self, consumer: Arc<C>) -> Self
    where
        U: 'static,
    {
        self.with_link(C::QUEUE, Box::new(LinkTo(Plain(consumer))))
    }

    pub(crate) fn with_link(mut self, queue: &str, link: Box<dyn Link<U>>) -> Self {
        let queue: Arc<str> = Arc::from(queue);
        self.queues.push(Arc::clone(&queue));
        self.links.insert(queue, link);
        self
    }

    /// Handles what the unit has published for the chain's consumers, and what they publish.
    ///
    /// # Errors
    /// The store's faults. [`Verdict::Conflict`] if a message cannot be handled: decided again, the unit leaves its
    /// messages to their queues.
    pub async fn follow(&self, unit: &mut U) -> Result<(), Fault> {
        if self.queues.is_empty() || self.clock.now() < self.paused_until() {
            return Ok(());
        }
        match self.follow_all(unit).await {
            Err(fault)
                if matches!(fault.verdict, Verdict::GiveUp | Verdict::LeaveToOthers | Verdict::Stale) =>
            {
                self.pause();
                tracing::warn!(%fault, "a message cannot be handled where it was published; it goes through its queue");
                Err(Fault::conflict("chain.follow", fault))
            }
            followed => followed,
        }
    }

    async fn follow_all(&self, unit: &mut U) -> Result<(), Fault> {
        let open = |queue: &&Arc<str>| !self.pauses.is_paused(queue);
        let queues: Vec<Arc<str>> = self.queues.iter().filter(open).cloned().collect();
        for _ in 0..STEPS_MAX {
            let reclaimed = unit.reclaim(&queues).await?;
            if reclaimed.is_empty() {
                return Ok(());
            }
            let mut by_queue: BTreeMap<Arc<str>, Vec<Delivery>> = BTreeMap::new();
            for delivery in reclaimed {
                by_queue.entry(Arc::clone(&delivery.receipt.queue)).or_default().push(delivery);
            }
            for (queue, deliveries) in by_queue {
                if let Some(link) = self.links.get(&queue) {
                    link.handle(unit, deliveries, self.clock.as_ref()).await?;
                }
            }
        }
        Ok(())
    }

    fn paused_until(&self) -> Timestamp {
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self) {
        let pause = SignedDuration::try_from(PAUSE).unwrap_or(SignedDuration::MAX);
        let until = self.clock.now().saturating_add(pause).unwrap_or(Timestamp::MAX);
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

#[async_trait]
impl<C, U> Link<U> for LinkTo<C>
where
    C: Receiver<U, Answer = ()>,
    U: Unit + ?Sized,
{
    async fn handle(&self, unit: &mut U, deliveries: Vec<Delivery>, clock: &dyn Clock) -> Result<(), Fault> {
        let mut part = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            part.push(prepare_at_once(delivery, ()).map_err(|spoilt| spoilt.fault)?);
        }
        while !part.is_empty() {
            handle(&self.0, unit, &mut part, clock).await?;
            (part, _) = split_overtaken(part);
        }
        Ok(())
    }
}
