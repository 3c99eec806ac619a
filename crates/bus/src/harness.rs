//! The bus in memory and on virtual time, for the tests of its users. It runs the same endpoints, timers and sagas as
//! production. It replaces store, transport and clock, never a decision of the bus.
//!
//! Start tokio with its clock paused: then an hour passes in no time, and a test is the same each time it runs.
//!
//! ```
//! # use orderwright_bus as bus;
//! use std::{collections::BTreeMap, time::Duration};
//! use bus::{Fault, Message, Registry, Topology, Unit, Work};
//! use bus::harness::{Harness, MemoryUnit};
//! use serde::{Deserialize, Serialize};
//!
//! type Totals = BTreeMap<String, i64>;
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
//! #[message(kind = "Add")]
//! struct Add(String, i64);
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
//! #[message(kind = "Added")]
//! struct Added(i64);
//!
//! async fn add(unit: &mut MemoryUnit<Totals>, work: &mut Work<Add>) -> Result<(), Fault> {
//!     let Add(name, by) = &work.message;
//!     if *by == 0 {
//!         return Err(Fault::give_up("totals.add", "nothing to add"));
//!     }
//!     let total = unit.data.entry(name.clone()).or_default();
//!     *total += by;
//!     let added = Added(*total).caused_by(work.envelope(), 0, work.now());
//!     unit.publish(vec![added]).await
//! }
//!
//! #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() {
//!     let mut harness = Harness::new(Topology::default());
//!     harness.host(&Registry::new().handler("adder", add), &());
//!     for by in [2, 0, 3] {
//!         harness.send(Add("rain".into(), by)).await;
//!     }
//!     harness.run_until_idle().await;
//!     assert_eq!(harness.published::<Added>(), [Added(2), Added(5)]);
//!     harness.advance(Duration::from_secs(300)).await;
//!     assert_eq!(harness.dead_letters()[0].reason, "totals.add failed: nothing to add");
//!     assert_eq!(harness.data()["rain"], 5);
//! }
//! ```

mod claims;
mod error_queues;
mod feed;
mod grouping;
mod mishap;
mod mortal;
mod operator_tables;
mod operators;
mod sagas;
mod shared;
mod store;
mod tables;
mod unit;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::task::{JoinError, JoinSet};

pub use self::error_queues::MemoryErrorQueues;
pub use self::mishap::Act;
pub use self::mortal::{End, Mortal};
pub use self::operator_tables::OperatorRecord;
pub use self::sagas::{HoldsSagas, Sagas};
pub use self::store::MemoryStore;
pub use self::tables::{LetterRecord, WaitCause, Waiting};
pub use self::unit::MemoryUnit;
use crate::limits::BACKOFF_MIN;
use crate::pausable::run_unless_paused;
use crate::{
    Chain, Clock, Consumer, CorrelationId, DeadLetter, DeadLetterFilter, EffectConsumer, Endpoint,
    EndpointPolicy, Envelope, Host, IdSource, Message, MessageId, PauseBoard, RandomIds, Registry, Stop,
    TimerService, Topology, Transport, VirtualClock,
};

/// The moment at which every harness starts: 2026-01-01, midnight, UTC, in seconds since the epoch.
const ORIGIN_S: i64 = 1_767_225_600;

/// Virtual time within which the bus must come to rest; beyond it a test fails instead of hanging.
const REST_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Changes of the store within which the bus must come to rest; this finds messages that cause each other for ever.
const CHANGES_MAX: u64 = 1_000_000;

/// Starts one task afresh; used again after a crash.
type Start = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Endpoints, timers and a store in one process, on virtual time.
pub struct Harness<T> {
    store: MemoryStore<T>,
    clock: Arc<VirtualClock>,
    ids: Arc<RandomIds>,
    stop: Stop,
    pauses: PauseBoard,
    queues: Vec<&'static str>,
    starts: Vec<Start>,
    running: JoinSet<()>,
}

impl<T: Clone + Default + Send + 'static> Harness<T> {
    /// A harness with nothing in it. Must be called within a tokio runtime, its clock best paused.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        Self::seeded(topology, 0)
    }

    /// The same with ids and jitter from another seed.
    #[must_use]
    pub fn seeded(topology: Topology, seed: u64) -> Self {
        let origin = Timestamp::from_second(ORIGIN_S).expect("the origin is within the calendar");
        let mut harness = Self {
            store: MemoryStore::new(topology),
            clock: Arc::new(VirtualClock::starting_at(origin)),
            ids: Arc::new(RandomIds::seeded(seed)),
            stop: Stop::new(),
            pauses: PauseBoard::default(),
            queues: Vec::new(),
            starts: Vec::new(),
            running: JoinSet::new(),
        };
        let (store, clock, stop) = (harness.store.clone(), Arc::clone(&harness.clock), harness.stop.clone());
        harness.start(Box::new(move || keep_time(store.clone(), Arc::clone(&clock), stop.clone()).boxed()));
        harness
    }

    /// Runs everything of a list.
    pub fn host<P: 'static>(&mut self, registry: &Registry<MemoryUnit<T>, P>, parts: &P) {
        let store = Arc::new(self.store.clone());
        let host = Host {
            store: Arc::clone(&store) as _,
            transport: store,
            clock: Arc::clone(&self.clock) as _,
            ids: Arc::clone(&self.ids) as _,
            policy: EndpointPolicy::default(),
            pauses: self.pauses.clone(),
        };
        let topology = registry.topology();
        for endpoint in registry.endpoints(parts, &host) {
            let kinds: Vec<&'static str> = topology.kinds(endpoint.queue()).collect();
            self.run(endpoint, &kinds);
        }
    }

    /// Runs a consumer; its queue gets the kinds that it understands.
    pub fn consume<C: Consumer<MemoryUnit<T>>>(&mut self, consumer: C) {
        self.consume_with(consumer, EndpointPolicy::default());
    }

    /// Runs a consumer under another policy.
    pub fn consume_with<C: Consumer<MemoryUnit<T>>>(&mut self, consumer: C, policy: EndpointPolicy) {
        let chain = Arc::new(Chain::new(Arc::clone(&self.clock) as _));
        self.consume_following(consumer, policy, chain);
    }

    /// Runs a consumer with inline dispatch by this chain. Register the queues of the chain's consumers first.
    pub fn consume_following<C: Consumer<MemoryUnit<T>>>(
        &mut self,
        consumer: C,
        policy: EndpointPolicy,
        chain: Arc<Chain<MemoryUnit<T>>>,
    ) {
        let endpoint = Endpoint::new(
            Arc::new(consumer),
            Arc::new(self.store.clone()),
            Arc::clone(&self.clock) as _,
            Arc::clone(&self.ids) as _,
            policy,
        );
        self.run(endpoint.following(chain), C::Message::KINDS);
    }

    /// Runs a consumer that calls the outside.
    pub fn consume_effects<C: EffectConsumer<MemoryUnit<T>>>(&mut self, consumer: C, policy: EndpointPolicy) {
        let endpoint = Endpoint::with_effects(
            Arc::new(consumer),
            Arc::new(self.store.clone()),
            Arc::clone(&self.clock) as _,
            Arc::clone(&self.ids) as _,
            policy,
        );
        self.run(endpoint, C::Message::KINDS);
    }

    fn run(&mut self, endpoint: Endpoint<MemoryUnit<T>>, kinds: &[&'static str]) {
        let queue = endpoint.queue();
        self.store.add_routes(queue, kinds);
        self.queues.push(queue);
        let (endpoint, store) = (Arc::new(endpoint), self.store.clone());
        let (stop, pauses) = (self.stop.clone(), self.pauses.clone());
        self.start(Box::new(move || {
            let (endpoint, store) = (Arc::clone(&endpoint), store.clone());
            let (stop, pauses) = (stop.clone(), pauses.clone());
            async move { run_unless_paused(&endpoint, &store, &pauses, &stop).await }.boxed()
        }));
    }

    fn start(&mut self, start: Start) {
        self.running.spawn(start());
        self.starts.push(start);
    }

    /// Sends a message that starts a conversation, about an instance of its own.
    pub async fn send<M: Message>(&self, message: M) -> MessageId {
        let id = self.ids.next(self.clock.now());
        self.send_envelope(message.first(MessageId(id), CorrelationId(id), self.clock.now())).await
    }

    /// Sends a message that starts a conversation about this instance.
    pub async fn send_about<M: Message>(&self, correlation_id: CorrelationId, message: M) -> MessageId {
        let id = MessageId(self.ids.next(self.clock.now()));
        self.send_envelope(message.first(id, correlation_id, self.clock.now())).await
    }

    /// Sends this envelope.
    pub async fn send_envelope(&self, envelope: Envelope) -> MessageId {
        self.store.send(std::slice::from_ref(&envelope)).await.expect("no failure of sending is planned");
        envelope.id
    }

    /// Waits until no consumer has work left at the present moment, effects included. What lies in a paused queue is no work.
    ///
    /// # Panics
    /// If the bus does not come to rest, or an endpoint fell.
    pub async fn run_until_idle(&mut self) {
        let mut changes = self.store.changes();
        let most = changes.borrow_and_update().wrapping_add(CHANGES_MAX);
        let limit = tokio::time::Instant::now() + REST_MAX;
        while !self.is_idle() {
            tokio::select! {
                biased;
                changed = changes.changed() => changed.expect("the store outlives its harness"),
                Some(ended) = self.running.join_next() => surface(ended),
                () = tokio::time::sleep_until(limit) => panic!("no rest within {REST_MAX:?}: {}", self.picture()),
            }
            assert!(*changes.borrow_and_update() < most, "no rest after many changes: {}", self.picture());
        }
    }

    fn is_idle(&self) -> bool {
        let nothing_due = self.store.next_due().is_none_or(|due_at| due_at > self.clock.now());
        let is_done = |queue: &&str| match self.pauses.is_paused(queue) {
            true => self.store.in_hand_of(queue) == 0,
            false => self.store.queued(queue).is_empty(),
        };
        nothing_due && self.queues.iter().all(is_done)
    }

    fn picture(&self) -> String {
        let ready = self.queues.iter().map(|queue| (*queue, self.store.queued(queue).len()));
        format!(
            "messages ready or in hand {:?}, next due {:?}",
            ready.collect::<Vec<_>>(),
            self.store.next_due()
        )
    }

    /// Lets time pass, fires what falls due on the way, and then waits until no work is left.
    pub async fn advance(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        self.run_until_idle().await;
    }

    /// Kills all tasks wherever they are and starts them again; only committed data survives.
    pub async fn crash(&mut self) {
        self.running.shutdown().await;
        for start in &self.starts {
            self.running.spawn(start());
        }
    }

    /// Tells everything to stop, and waits for nothing.
    pub fn signal_stop(&self) {
        self.stop.stop();
    }

    /// Stops gracefully and waits for the end.
    pub async fn stop(&mut self) {
        self.signal_stop();
        while let Some(ended) = self.running.join_next().await {
            surface(ended);
        }
    }

    /// All messages of this type that were published and committed, in that order.
    ///
    /// # Panics
    /// If one of them cannot be decoded.
    #[must_use]
    pub fn published<M: Message>(&self) -> Vec<M> {
        let envelopes = self.store.published();
        let wanted = envelopes.iter().filter(|envelope| M::KINDS.contains(&&*envelope.kind));
        let decode = |envelope: &Envelope| M::decode(&envelope.kind, &envelope.body);
        wanted.map(|envelope| decode(envelope).expect("a published message can be read")).collect()
    }

    /// All messages that were set aside for a person, oldest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.store.dead_letters(&DeadLetterFilter::default())
    }

    /// The user's own tables as committed.
    #[must_use]
    pub fn data(&self) -> T {
        self.store.data()
    }

    /// The store, to look into it or to let it fail.
    #[must_use]
    pub fn store(&self) -> &MemoryStore<T> {
        &self.store
    }

    /// Which queues are paused in this process. What is paused in the store is put here by [`PauseBoard::read`].
    #[must_use]
    pub fn pauses(&self) -> &PauseBoard {
        &self.pauses
    }

    /// The clock of this harness.
    #[must_use]
    pub fn clock(&self) -> Arc<VirtualClock> {
        Arc::clone(&self.clock)
    }

    /// The source of ids and jitter.
    #[must_use]
    pub fn ids(&self) -> Arc<RandomIds> {
        Arc::clone(&self.ids)
    }
}

/// A task that fell makes the test fall, with the same words.
fn surface(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Fires timers and returns delayed messages at the moment they are due, instead of polling: months pass in no time.
async fn keep_time<T: Clone + Default + Send + 'static>(
    store: MemoryStore<T>,
    clock: Arc<VirtualClock>,
    stop: Stop,
) {
    let service = TimerService::new(Arc::new(store.clone()) as _, Arc::clone(&clock) as Arc<dyn Clock>);
    let mut changes = store.changes();
    while !stop.is_stopped() {
        changes.mark_unchanged();
        let pause = match store.next_due() {
            Some(due_at) if due_at <= clock.now() => match service.step().await {
                Ok(_) => Duration::ZERO,
                Err(_) => BACKOFF_MIN,
            },
            Some(due_at) => Duration::try_from(due_at.duration_since(clock.now())).unwrap_or_default(),
            None => REST_MAX,
        };
        tokio::select! {
            biased;
            () = stop.stopped() => {}
            _ = changes.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
