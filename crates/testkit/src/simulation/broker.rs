//! A broker between the workers: queues in memory that outlive every worker. It confirms what it takes, and may lose it all the same.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bus::{Delivery, Envelope, Fault, Feed, Origin, Receipt, Topology, Transport, Unsent, without_mark};
use tokio::sync::Notify;

use super::conditions::Conditions;
use super::fate::StoreFate;
use super::journal::Journal;
use super::stage::RUBBISH;
use super::transport::{Contact, TransportFate};

/// What carries messages between consumers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wiring {
    /// The store.
    #[default]
    Store,
    /// A broker, to which a relay takes everything from the outbox.
    Broker,
    /// Both: some of it stays with the store, the rest goes over a broker.
    LocalFirst,
}

impl Wiring {
    /// Every wiring.
    pub const ALL: [Self; 3] = [Self::Store, Self::Broker, Self::LocalFirst];
}

/// The broker.
pub(super) struct SimulatedBroker {
    topology: Topology,
    fate: Arc<dyn StoreFate>,
    /// Fate of the way to it; none if that is steady.
    way: Option<Arc<dyn TransportFate>>,
    journal: Arc<Journal>,
    conditions: Arc<Conditions>,
    queues: Mutex<Queues>,
    /// Wakes those who wait in the order in which they came; a `watch` would draw lots.
    changed: Notify,
}

#[derive(Default)]
struct Queues {
    /// Messages that nobody has in hand, each with the mark under which it is acknowledged.
    ready: BTreeMap<Arc<str>, VecDeque<(i64, Arc<Envelope>)>>,
    in_hand: usize,
    marks: i64,
    /// How often all queues were deleted.
    deletions: u64,
}

impl SimulatedBroker {
    pub(super) fn new(
        topology: Topology,
        fate: Arc<dyn StoreFate>,
        way: Option<Arc<dyn TransportFate>>,
        journal: Arc<Journal>,
        conditions: Arc<Conditions>,
    ) -> Arc<Self> {
        let (queues, changed) = (Mutex::default(), Notify::new());
        Arc::new(Self { topology, fate, way, journal, conditions, queues, changed })
    }

    fn is_cut_off(&self) -> bool {
        !self.conditions.has_quorum() || self.way.as_ref().is_some_and(|way| way.call() == Contact::Away)
    }

    /// Every queue is deleted, and declared anew at once. What nobody can read stays: it is to be found again, as a dead letter.
    pub(super) fn delete_queues(&self) {
        let mut queues = self.queues();
        queues.deletions += 1;
        queues.ready.values_mut().for_each(|ready| ready.retain(|(_, message)| &*message.body == RUBBISH));
    }

    /// Takes messages whatever its state: an outbox before it would keep them until it takes them.
    pub(super) fn take_all(&self, envelopes: &[Envelope]) {
        envelopes.iter().for_each(|envelope| self.take_on(envelope));
        self.note_change();
    }

    /// Messages that were not lost and are not acknowledged.
    pub(super) fn messages(&self) -> usize {
        let queues = self.queues();
        queues.in_hand + queues.ready.values().map(VecDeque::len).sum::<usize>()
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_on(&self, envelope: &Envelope) {
        // That one is to be found again, as a dead letter.
        let is_rubbish = &*envelope.body == RUBBISH;
        if !is_rubbish && self.fate.is_lost_at_broker(envelope) {
            self.journal.note(format_args!("the broker loses a {}", envelope.kind));
            return;
        }
        let message = Arc::new(without_mark(envelope));
        let mut queues = self.queues();
        for queue in self.topology.queues(&envelope.kind) {
            queues.marks += 1;
            let mark = queues.marks;
            queues.ready.entry(Arc::clone(queue)).or_default().push_back((mark, Arc::clone(&message)));
        }
    }

    pub(super) fn note_change(&self) {
        self.changed.notify_waiters();
    }
}

/// The broker as those who send and subscribe see it.
pub(super) struct OverBroker(pub(super) Arc<SimulatedBroker>);

#[async_trait]
impl Transport for OverBroker {
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault> {
        let (broker, queue) = (Arc::clone(&self.0), Arc::from(queue));
        let deletions = broker.queues().deletions;
        Ok(Box::new(BrokerFeed { broker, queue, in_hand: BTreeMap::new(), deletions }))
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        if !self.0.conditions.has_quorum() {
            return Err(Fault::retry("transport.send", "the broker has no quorum").into());
        }
        self.0.take_all(envelopes);
        Ok(())
    }
}

struct BrokerFeed {
    broker: Arc<SimulatedBroker>,
    queue: Arc<str>,
    in_hand: BTreeMap<i64, Arc<Envelope>>,
    /// Deletions of its queue that it knows of.
    deletions: u64,
}

impl BrokerFeed {
    fn take(&mut self, max: usize) -> Vec<Delivery> {
        let mut queues = self.broker.queues();
        let Some(ready) = queues.ready.get_mut(&self.queue) else { return Vec::new() };
        let taken: Vec<_> = ready.drain(..max.min(ready.len())).collect();
        queues.in_hand += taken.len();
        drop(queues);
        let deliveries = taken.iter().map(|(mark, envelope)| Delivery {
            envelope: Arc::clone(envelope),
            receipt: Receipt { queue: Arc::clone(&self.queue), origin: Origin::Broker(*mark) },
        });
        let deliveries = deliveries.collect();
        self.in_hand.extend(taken);
        deliveries
    }
}

#[async_trait]
impl Feed for BrokerFeed {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault> {
        let broker = Arc::clone(&self.broker);
        loop {
            let changed = broker.changed.notified();
            if !broker.conditions.has_quorum() {
                return Err(Fault::retry("feed.receive", "the broker has no quorum"));
            }
            let deliveries = self.take(max);
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            changed.await;
        }
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        if self.broker.is_cut_off() || self.broker.queues().deletions != self.deletions {
            self.give_back();
            return Err(Fault::retry("feed.acknowledge", "the channel broke"));
        }
        let own = receipts.iter().filter_map(Receipt::mark);
        let done = own.filter(|mark| self.in_hand.remove(mark).is_some()).count();
        self.broker.queues().in_hand -= done;
        Ok(())
    }
}

impl Drop for BrokerFeed {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl BrokerFeed {
    /// What was not acknowledged comes again, before everything else.
    fn give_back(&mut self) {
        let mut back = std::mem::take(&mut self.in_hand);
        let mut queues = self.broker.queues();
        queues.in_hand -= back.len();
        if queues.deletions != self.deletions {
            self.deletions = queues.deletions;
            back.retain(|_, message| &*message.body == RUBBISH);
        }
        let ready = queues.ready.entry(Arc::clone(&self.queue)).or_default();
        back.into_iter().rev().for_each(|message| ready.push_front(message));
        drop(queues);
        self.broker.note_change();
    }
}
