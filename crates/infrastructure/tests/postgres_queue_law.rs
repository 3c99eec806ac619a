//! The law of the queues of two processes on one database: whatever is committed is handed out, by one of them at a time,
//! until a committed unit settles it. Nothing is lost, stuck or doubled by a full memory, a dropped feed, a rolled-back
//! unit, or a process that goes and comes again. The same holds when a broker carries what a process cannot keep for itself;
//! and then whoever listens there hears of everything.

mod postgres_stage;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use application::ports::Readers;
use async_trait::async_trait;
use bus::{
    CorrelationId, Delivery, Disposition, Envelope, Fault, Feed, LocalFirst, Origin, Receipt, Relay, Routing,
    Transport, Unsent, unmarked,
};
use jiff::SignedDuration;
use orderwright_infrastructure::postgres::{PostgresOptions, PostgresStore};
use postgres_stage::*;
use proptest::prelude::*;
use uuid::Uuid;

const QUEUES: [&str; 2] = ["q", "other"];
const KINDS: [&str; 2] = ["K", "L"];

/// A queue at the broker that the processes know nothing of.
const LISTENER: &str = "listener";

/// Small, so that memory is full all the time.
const MEMORY_MAX: usize = 3;

#[derive(Clone, Debug)]
enum Act {
    Publish { process: usize, kind: usize, count: u8 },
    RollBack { process: usize, kind: usize, count: u8 },
    Receive { feed: usize, max: usize },
    Settle { feed: usize, count: usize, fate: Fate },
    Due,
    Unpark,
    DropFeed { feed: usize },
    Restart { process: usize },
    Relay { process: usize },
    Adopt { process: usize },
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Done,
    Again,
    Park,
    Dead,
}

fn act() -> impl Strategy<Value = Act> {
    let fate =
        prop::sample::select(vec![Fate::Done, Fate::Done, Fate::Done, Fate::Again, Fate::Park, Fate::Dead]);
    let publishing = || (0..2_usize, 0..2_usize, 1..6_u8);
    prop_oneof![
        8 => publishing().prop_map(|(process, kind, count)| Act::Publish { process, kind, count }),
        1 => publishing().prop_map(|(process, kind, count)| Act::RollBack { process, kind, count }),
        8 => (0..4_usize, 1..5_usize).prop_map(|(feed, max)| Act::Receive { feed, max }),
        8 => (0..4_usize, 1..5_usize, fate).prop_map(|(feed, count, fate)| Act::Settle { feed, count, fate }),
        2 => Just(Act::Due),
        2 => Just(Act::Unpark),
        2 => (0..4_usize).prop_map(|feed| Act::DropFeed { feed }),
        1 => (0..2_usize).prop_map(|process| Act::Restart { process }),
        2 => (0..2_usize).prop_map(|process| Act::Relay { process }),
        1 => (0..2_usize).prop_map(|process| Act::Adopt { process }),
    ]
}

/// A message of a queue with the attempts that it has had.
type Key = (usize, Uuid, u32);

/// Each of two processes with a feed for each of two queues, and what the feeds hold.
struct World {
    address: String,
    broker: Option<Broker>,
    stores: Vec<PostgresStore>,
    feeds: Vec<Option<Box<dyn Feed>>>,
    held: [Vec<Delivery>; 4],
    ready: BTreeSet<Key>,
    delayed: Vec<Key>,
    parked: Vec<Key>,
    dead: u64,
    published: BTreeSet<Uuid>,
    next_id: u128,
    next_seed: u64,
}

/// Another database in the part of a broker.
#[derive(Clone)]
struct Broker(PostgresStore);

impl Broker {
    async fn start() -> Self {
        let topology = topology().subscribe(LISTENER, &KINDS);
        let options = PostgresOptions { topology, ..options(&clock(), 99) };
        Self(PostgresStore::connect(&database(), options).await.unwrap())
    }
}

#[async_trait]
impl Transport for Broker {
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault> {
        let feed = self.0.subscribe(queue).await?;
        Ok(Box::new(BrokerFeed { store: self.0.clone(), feed, held: HashMap::new() }))
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        self.0.send(envelopes).await
    }
}

/// What was delivered is done when it is acknowledged.
struct BrokerFeed {
    store: PostgresStore,
    feed: Box<dyn Feed>,
    held: HashMap<i64, Delivery>,
}

#[async_trait]
impl Feed for BrokerFeed {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault> {
        let mut received = self.feed.receive(max).await?;
        for delivery in &mut received {
            let mark = delivery.receipt.row().unwrap();
            self.held.insert(mark, delivery.clone());
            delivery.receipt.origin = Origin::Broker(mark);
        }
        Ok(received)
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        let mark = |receipt: &Receipt| receipt.mark().unwrap();
        let done: Vec<Delivery> =
            receipts.iter().map(|receipt| self.held.remove(&mark(receipt)).unwrap()).collect();
        postgres_stage::settle(&self.store, &done, Disposition::Done).await?;
        self.feed.acknowledge(&postgres_stage::receipts(&done)).await
    }
}

const fn queue_of(feed: usize) -> usize {
    feed / 2
}

const fn process_of(feed: usize) -> usize {
    feed % 2
}

fn key(feed: usize, delivery: &Delivery) -> Key {
    (queue_of(feed), delivery.envelope.id.0, delivery.envelope.attempt)
}

impl World {
    async fn new(broker: Option<Broker>) -> Self {
        let mut world = Self {
            address: database(),
            broker,
            stores: Vec::new(),
            feeds: Vec::new(),
            held: Default::default(),
            ready: BTreeSet::new(),
            delayed: Vec::new(),
            parked: Vec::new(),
            dead: 0,
            published: BTreeSet::new(),
            next_id: 1,
            next_seed: 1,
        };
        for _ in 0..2 {
            let store = world.open().await;
            world.stores.push(store);
        }
        for feed in 0..4 {
            world.feeds.push(None);
            world.subscribe(feed).await;
        }
        world
    }

    async fn open(&mut self) -> PostgresStore {
        self.next_seed += 1;
        let options = PostgresOptions {
            queue_memory_max: MEMORY_MAX,
            pool_max: 4,
            routing: if self.broker.is_some() { Routing::Outbox } else { Routing::Store },
            ..options(&clock(), self.next_seed)
        };
        PostgresStore::connect(&self.address, options).await.unwrap()
    }

    async fn subscribe(&mut self, feed: usize) {
        let store = self.stores[process_of(feed)].clone();
        let queue = QUEUES[queue_of(feed)];
        let subscribed = match self.broker.clone() {
            None => store.subscribe(queue).await,
            Some(broker) => {
                let both = LocalFirst::new(Arc::new(store), Arc::new(broker), Arc::new(ids(1)));
                both.subscribe(queue).await
            }
        };
        self.feeds[feed] = Some(subscribed.unwrap());
    }

    /// Takes to the broker what a process has for it.
    async fn relay(&self, process: usize) {
        let Some(broker) = self.broker.clone() else { return };
        let outbox = Arc::new(self.stores[process].clone());
        let relay = Relay::new(outbox, Arc::new(broker), clock(), Arc::new(ids(1)));
        while relay.step().await.unwrap() > 0 {}
    }

    async fn run(&mut self, act: &Act) {
        match *act {
            Act::Publish { process, kind, count } => {
                let messages = self.messages(kind, count);
                self.stores[process].send(&messages).await.unwrap();
                self.ready.extend(messages.iter().map(|message| (kind, message.id.0, 0)));
                self.published.extend(messages.iter().map(|message| message.id.0));
            }
            Act::RollBack { process, kind, count } => {
                let messages = self.messages(kind, count);
                let mut unit = unit(&self.stores[process]).await;
                unit.publish(messages).await.unwrap();
                unit.unpark(&[CorrelationId(Uuid::nil())], NOW).await.unwrap();
            }
            Act::Receive { feed, max } => {
                self.receive(feed, max, Duration::from_millis(20)).await;
            }
            Act::Settle { feed, count, fate } => self.settle(feed, count, fate).await,
            Act::Due => self.requeue_due().await,
            Act::Unpark => self.unpark().await,
            Act::DropFeed { feed } => {
                self.let_go(feed);
                self.subscribe(feed).await;
            }
            Act::Restart { process } => self.restart(process).await,
            Act::Relay { process } => self.relay(process).await,
            Act::Adopt { process } => {
                self.stores[process].adopt_strays().await.unwrap();
            }
        }
    }

    fn messages(&mut self, kind: usize, count: u8) -> Vec<Envelope> {
        let mut message = || {
            self.next_id += 1;
            of_kind(KINDS[kind], self.next_id)
        };
        (0..count).map(|_| message()).collect()
    }

    /// Every row handed out was ready: not held by another feed, not settled, with the attempts that it has had.
    async fn receive(&mut self, feed: usize, max: usize, limit: Duration) {
        let receiving = self.feeds[feed].as_mut().unwrap().receive(max);
        let Ok(received) = tokio::time::timeout(limit, receiving).await else { return };
        for delivery in received.unwrap() {
            let key = key(feed, &delivery);
            assert!(self.ready.remove(&key), "{key:?} was handed out though it is not ready");
            self.held[feed].push(delivery);
        }
    }

    async fn settle(&mut self, feed: usize, count: usize, fate: Fate) {
        let count = count.min(self.held[feed].len());
        let settled: Vec<Delivery> = self.held[feed].drain(..count).collect();
        let disposition = match fate {
            Fate::Done => Disposition::Done,
            Fate::Again => Disposition::Redeliver { due_at: NOW, reason: "again".to_owned() },
            Fate::Park => Disposition::Park { until: NOW + SignedDuration::from_hours(1) },
            Fate::Dead => Disposition::DeadLetter { reason: "dead".to_owned() },
        };
        postgres_stage::settle(&self.stores[process_of(feed)], &settled, disposition).await.unwrap();
        self.feeds[feed].as_mut().unwrap().acknowledge(&receipts(&settled)).await.unwrap();
        let keys = settled.iter().map(|delivery| key(feed, delivery));
        match fate {
            Fate::Done => {}
            Fate::Again => self.delayed.extend(keys.map(|(queue, id, attempt)| (queue, id, attempt + 1))),
            Fate::Park => self.parked.extend(keys),
            Fate::Dead => self.dead += u64::try_from(settled.len()).unwrap(),
        }
    }

    async fn requeue_due(&mut self) {
        let mut unit = unit(&self.stores[0]).await;
        assert_eq!(unit.requeue_due(NOW, 1_000).await.unwrap(), self.delayed.len());
        unit.commit().await.unwrap();
        self.ready.extend(self.delayed.drain(..));
    }

    async fn unpark(&mut self) {
        let ids: BTreeSet<CorrelationId> = self.parked.iter().map(|(_, id, _)| CorrelationId(*id)).collect();
        let mut unit = unit(&self.stores[1]).await;
        let ids: Vec<CorrelationId> = ids.into_iter().collect();
        assert_eq!(unit.unpark(&ids, NOW).await.unwrap(), self.parked.len());
        unit.commit().await.unwrap();
        self.ready.extend(self.parked.drain(..));
    }

    fn let_go(&mut self, feed: usize) {
        self.feeds[feed] = None;
        let back: Vec<Key> = self.held[feed].drain(..).map(|delivery| key(feed, &delivery)).collect();
        self.ready.extend(back);
    }

    async fn restart(&mut self, process: usize) {
        let own: Vec<usize> = (0..4).filter(|feed| process_of(*feed) == process).collect();
        own.iter().for_each(|feed| self.let_go(*feed));
        let fresh = self.open().await;
        std::mem::replace(&mut self.stores[process], fresh).close().await;
        for feed in own {
            self.subscribe(feed).await;
        }
    }

    /// In the end everything that was ever kept comes out, once, and the tables are empty.
    async fn drain(&mut self) {
        self.requeue_due().await;
        self.unpark().await;
        let begun = tokio::time::Instant::now();
        while !self.ready.is_empty() {
            self.stores[0].adopt_strays().await.unwrap();
            self.relay(0).await;
            self.relay(1).await;
            for feed in 0..4 {
                self.receive(feed, 7, Duration::from_millis(20)).await;
            }
            assert!(begun.elapsed() < SOON, "stuck: {:?}", self.ready);
        }
        for feed in 0..4 {
            self.settle(feed, usize::MAX, Fate::Done).await;
        }
        self.hear_of_everything().await;
        let overview = self.stores[0].overview().await.unwrap();
        assert!(overview.queues.iter().all(|(_, waiting)| *waiting == 0), "{:?}", overview.queues);
        assert_eq!((overview.waiting, overview.dead_letters), (0, self.dead));
    }

    /// Who listens at the broker has heard of every message, whoever handled it.
    async fn hear_of_everything(&self) {
        let Some(broker) = &self.broker else { return };
        let mut listener = broker.subscribe(LISTENER).await.unwrap();
        let mut heard = BTreeSet::new();
        let begun = tokio::time::Instant::now();
        while heard != self.published {
            self.relay(0).await;
            self.relay(1).await;
            let some = tokio::time::timeout(Duration::from_millis(20), listener.receive(64)).await;
            for delivery in some.into_iter().flat_map(Result::unwrap) {
                assert!(KINDS.contains(&unmarked(&delivery.envelope.kind).1));
                heard.insert(delivery.envelope.id.0);
            }
            assert!(begun.elapsed() < SOON, "not heard of: {:?}", self.published.difference(&heard));
        }
    }
}

/// Who carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carriage {
    Store,
    LocalFirst,
}

fn run(acts: &[Act], carriage: Carriage) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let broker = match carriage {
            Carriage::Store => None,
            Carriage::LocalFirst => Some(Broker::start().await),
        };
        let mut world = World::new(broker).await;
        for act in acts {
            world.run(act).await;
        }
        world.drain().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_row_is_handed_out_by_one_process_at_a_time_until_it_is_settled(
        acts in prop::collection::vec(act(), 0..50),
    ) {
        run(&acts, Carriage::Store);
    }

    #[test]
    fn with_a_broker_beside_the_store_too_and_others_hear_of_everything(
        acts in prop::collection::vec(act(), 0..50),
    ) {
        run(&acts, Carriage::LocalFirst);
    }
}
