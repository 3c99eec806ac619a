//! The law of the queues of two processes on one database: whatever is committed is handed out, by one of them at a time,
//! until a committed unit settles it. Nothing is lost, stuck or doubled by a full memory, a dropped feed, a rolled-back
//! unit, or a process that goes and comes again.

mod postgres_stage;

use std::collections::BTreeSet;
use std::time::Duration;

use application::ports::Readers;
use bus::{CorrelationId, Delivery, Disposition, Envelope, Feed, Transport};
use jiff::SignedDuration;
use orderwright_infrastructure::postgres::{PostgresOptions, PostgresStore};
use postgres_stage::*;
use proptest::prelude::*;
use uuid::Uuid;

const QUEUES: [&str; 2] = ["q", "other"];
const KINDS: [&str; 2] = ["K", "L"];

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
    ]
}

/// A message of a queue with the attempts that it has had.
type Key = (usize, Uuid, u32);

/// Each of two processes with a feed for each of two queues, and what the feeds hold.
struct World {
    address: String,
    stores: Vec<PostgresStore>,
    feeds: Vec<Option<Box<dyn Feed>>>,
    held: [Vec<Delivery>; 4],
    ready: BTreeSet<Key>,
    delayed: Vec<Key>,
    parked: Vec<Key>,
    dead: u64,
    next_id: u128,
    next_seed: u64,
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
    async fn new() -> Self {
        let mut world = Self {
            address: database(),
            stores: Vec::new(),
            feeds: Vec::new(),
            held: Default::default(),
            ready: BTreeSet::new(),
            delayed: Vec::new(),
            parked: Vec::new(),
            dead: 0,
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
            ..options(&clock(), self.next_seed)
        };
        PostgresStore::connect(&self.address, options).await.unwrap()
    }

    async fn subscribe(&mut self, feed: usize) {
        let store = &self.stores[process_of(feed)];
        self.feeds[feed] = Some(store.subscribe(QUEUES[queue_of(feed)]).await.unwrap());
    }

    async fn run(&mut self, act: &Act) {
        match *act {
            Act::Publish { process, kind, count } => {
                let messages = self.messages(kind, count);
                self.stores[process].send(&messages).await.unwrap();
                self.ready.extend(messages.iter().map(|message| (kind, message.id.0, 0)));
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
            for feed in 0..4 {
                self.receive(feed, 7, Duration::from_millis(20)).await;
            }
            assert!(begun.elapsed() < SOON, "stuck: {:?}", self.ready);
        }
        for feed in 0..4 {
            self.settle(feed, usize::MAX, Fate::Done).await;
        }
        let overview = self.stores[0].overview().await.unwrap();
        assert!(overview.queues.iter().all(|(_, waiting)| *waiting == 0), "{:?}", overview.queues);
        assert_eq!((overview.waiting, overview.dead_letters), (0, self.dead));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_row_is_handed_out_by_one_process_at_a_time_until_it_is_settled(
        acts in prop::collection::vec(act(), 0..50),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for act in &acts {
                world.run(act).await;
            }
            world.drain().await;
        });
    }
}
