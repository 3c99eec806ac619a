//! The bus in memory and on virtual time, for the tests of its users. It runs the same endpoints, timers and sagas as
//! production. It replaces store, transport and clock, never a decision of the bus.
//!
//! Start tokio with its clock paused: then an hour passes in no time, and a test is the same each time it runs.
//!
//! ```
//! # use orderwright_bus as bus;
//! use std::{collections::BTreeMap, time::Duration};
//! use bus::{Consumer, Envelope, Fault, Message, Topology, Unit, Work, from_json, to_json};
//! use bus::harness::{Harness, MemoryUnit};
//!
//! type Totals = BTreeMap<String, i64>;
//!
//! #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
//! struct Add(String, i64);
//! #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
//! struct Added(i64);
//! struct Adder;
//!
//! macro_rules! json_message {
//!     ($name:ident) => {
//!         impl Message for $name {
//!             const KINDS: &'static [&'static str] = &[stringify!($name)];
//!             fn kind(&self) -> &'static str { stringify!($name) }
//!             fn encode(&self) -> bytes::Bytes { to_json(self) }
//!             fn decode(_kind: &str, body: &[u8]) -> Result<Self, Fault> { from_json(body) }
//!         }
//!     };
//! }
//! json_message!(Add);
//! json_message!(Added);
//!
//! #[async_trait::async_trait]
//! impl Consumer<MemoryUnit<Totals>> for Adder {
//!     type Message = Add;
//!     type Answer = ();
//!     fn queue(&self) -> &'static str { "adder" }
//!     async fn perform(&self, _: &Add, _: &Envelope) -> Result<(), Fault> { Ok(()) }
//!     async fn handle(&self, unit: &mut MemoryUnit<Totals>, batch: &mut [Work<Add, ()>]) -> Result<(), Fault> {
//!         let mut replies = Vec::new();
//!         for work in batch {
//!             let Add(name, by) = &work.message;
//!             if *by == 0 {
//!                 return Err(Fault::give_up("totals.add", "nothing to add"));
//!             }
//!             let total = unit.data.entry(name.clone()).or_default();
//!             *total += by;
//!             replies.push(Added(*total).caused_by(work.envelope(), 0, work.envelope().sent_at));
//!         }
//!         unit.publish(replies).await
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() {
//!     let mut harness = Harness::new(Topology::default());
//!     harness.consume(Adder);
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

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod claims;
mod feed;
mod mishap;
mod mortal;
mod sagas;
mod store;
mod tables;
mod unit;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::task::{JoinError, JoinSet};

pub use self::mishap::Act;
pub use self::mortal::{End, Mortal};
pub use self::sagas::{HoldsSagas, Sagas};
pub use self::store::MemoryStore;
pub use self::tables::{Redrive, WaitCause, Waiting};
pub use self::unit::MemoryUnit;
use crate::limits::BACKOFF_MIN;
use crate::{
    Chain, Clock, Consumer, CorrelationId, DeadLetter, DeadLetterFilter, Endpoint, EndpointPolicy, Envelope,
    IdSource, Message, MessageId, RandomIds, Stop, TimerService, Topology, Transport, VirtualClock,
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
            queues: Vec::new(),
            starts: Vec::new(),
            running: JoinSet::new(),
        };
        let (store, clock, stop) = (harness.store.clone(), Arc::clone(&harness.clock), harness.stop.clone());
        harness.start(Box::new(move || keep_time(store.clone(), Arc::clone(&clock), stop.clone()).boxed()));
        harness
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
        let queue = consumer.queue();
        self.store.add_routes(queue, C::Message::KINDS);
        self.queues.push(queue);
        let store = Arc::new(self.store.clone());
        let endpoint = Endpoint::new(
            Arc::new(consumer),
            Arc::clone(&store) as _,
            Arc::clone(&self.clock) as _,
            Arc::clone(&self.ids) as _,
            policy,
        );
        let endpoint = Arc::new(endpoint.following(chain));
        let stop = self.stop.clone();
        self.start(Box::new(move || {
            let (endpoint, store, stop) = (Arc::clone(&endpoint), Arc::clone(&store), stop.clone());
            async move {
                let feed = store.subscribe(queue).await.expect("memory knows every queue");
                endpoint.run(feed, stop).await;
            }
            .boxed()
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

    /// Waits until no consumer has work left at the present moment, effects included.
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
        nothing_due && self.queues.iter().all(|queue| self.store.queued(queue).is_empty())
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
