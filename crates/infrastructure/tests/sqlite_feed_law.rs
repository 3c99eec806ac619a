//! The law of the queues: whatever is committed is handed out, to one feed at a time, until a committed unit settles it.
//! Nothing is lost, stuck or doubled by a full memory, a dropped feed, a rolled-back unit, a restart, or a neighbour.

use std::collections::BTreeSet;
use std::time::Duration;

use application::ports::UnitOfWork;
use bus::{
    CorrelationId, Delivery, Disposition, Envelope, Fault, Feed, MessageId, Routing, Settlement, Store,
    Topology, Transport,
};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use orderwright_infrastructure::sqlite::{SqliteOptions, SqliteStore};
use proptest::prelude::*;
use uuid::Uuid;

const QUEUES: [&str; 2] = ["left", "right"];
const KINDS: [&str; 3] = ["Left", "Right", "Both"];
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Small, so that memory is full all the time.
const MEMORY_MAX: usize = 3;

#[derive(Clone, Debug)]
enum Act {
    Publish { kind: usize, count: u8 },
    RollBack { kind: usize, count: u8 },
    Neighbour { kind: usize, count: u8 },
    Receive { feed: usize, max: usize },
    Settle { feed: usize, count: usize, fate: Fate },
    Due,
    Unpark,
    DropFeed { feed: usize },
    Restart,
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
    prop_oneof![
        6 => (0..3_usize, 1..6_u8).prop_map(|(kind, count)| Act::Publish { kind, count }),
        1 => (0..3_usize, 1..6_u8).prop_map(|(kind, count)| Act::RollBack { kind, count }),
        2 => (0..3_usize, 1..6_u8).prop_map(|(kind, count)| Act::Neighbour { kind, count }),
        8 => (0..4_usize, 1..5_usize).prop_map(|(feed, max)| Act::Receive { feed, max }),
        8 => (0..4_usize, 1..5_usize, fate).prop_map(|(feed, count, fate)| Act::Settle { feed, count, fate }),
        2 => Just(Act::Due),
        2 => Just(Act::Unpark),
        2 => (0..4_usize).prop_map(|feed| Act::DropFeed { feed }),
        1 => Just(Act::Restart),
    ]
}

/// Two feeds for each of two queues, and what they hold.
struct World {
    home: Home,
    store: SqliteStore,
    feeds: Vec<Option<Box<dyn Feed>>>,
    held: [Vec<Delivery>; 4],
    ready: [BTreeSet<(Uuid, u32)>; 2],
    delayed: Vec<(usize, Uuid, u32)>,
    parked: Vec<(usize, Uuid, u32)>,
    dead: usize,
    next_id: u128,
}

/// Where the rows are.
enum Home {
    Memory,
    Folder(std::path::PathBuf),
}

impl Home {
    fn open(&self) -> SqliteStore {
        match self {
            Self::Memory => SqliteStore::in_memory(options()).unwrap(),
            Self::Folder(folder) => SqliteStore::open(&folder.join("law.db"), options()).unwrap(),
        }
    }

    /// Another process on the same rows, which this one is not told about.
    fn neighbour(&self, store: &SqliteStore) -> SqliteStore {
        match self {
            Self::Memory => store.restarted().unwrap(),
            Self::Folder(_) => self.open(),
        }
    }
}

fn options() -> SqliteOptions {
    let topology =
        Topology::default().subscribe(QUEUES[0], &["Left", "Both"]).subscribe(QUEUES[1], &["Right", "Both"]);
    SqliteOptions { queue_memory_max: MEMORY_MAX, ..SqliteOptions::new(topology, Routing::Store) }
}

impl World {
    async fn new(home: Home) -> Self {
        let store = home.open();
        let mut world = Self {
            home,
            store,
            feeds: Vec::new(),
            held: Default::default(),
            ready: Default::default(),
            delayed: Vec::new(),
            parked: Vec::new(),
            dead: 0,
            next_id: 1,
        };
        world.subscribe().await;
        world
    }

    async fn subscribe(&mut self) {
        self.feeds.clear();
        for feed in 0..4 {
            self.feeds.push(Some(self.store.subscribe(QUEUES[feed / 2]).await.unwrap()));
        }
    }

    async fn run(&mut self, act: &Act) {
        match *act {
            Act::Publish { kind, count } => {
                let store = self.store.clone();
                self.publish(&store, kind, count).await;
            }
            Act::RollBack { kind, count } => {
                let messages = self.messages(kind, count);
                let mut unit: Box<dyn UnitOfWork> = self.store.begin().await.unwrap();
                unit.publish(messages).await.unwrap();
            }
            Act::Neighbour { kind, count } => {
                let neighbour = self.home.neighbour(&self.store);
                self.publish(&neighbour, kind, count).await;
            }
            Act::Receive { feed, max } => self.receive(feed, max).await,
            Act::Settle { feed, count, fate } => self.settle(feed, count, fate).await.unwrap(),
            Act::Due => self.requeue_due().await,
            Act::Unpark => self.unpark().await,
            Act::DropFeed { feed } => self.drop_feed(feed).await,
            Act::Restart => self.restart().await,
        }
    }

    fn messages(&mut self, kind: usize, count: u8) -> Vec<Envelope> {
        let mut message = || {
            let id = Uuid::from_u128(self.next_id);
            self.next_id += 1;
            Envelope::first(MessageId(id), CorrelationId(id), KINDS[kind], Bytes::from_static(b"1"), NOW)
        };
        (0..count).map(|_| message()).collect()
    }

    async fn publish(&mut self, store: &SqliteStore, kind: usize, count: u8) {
        let messages = self.messages(kind, count);
        for queue in 0..2 {
            if kind == 2 || kind == queue {
                self.ready[queue].extend(messages.iter().map(|message| (message.id.0, 0)));
            }
        }
        store.send(&messages).await.unwrap();
    }

    /// Every row handed out was ready: not held by another feed, not settled, with the attempts that it has had.
    async fn receive(&mut self, feed: usize, max: usize) {
        let queue = feed / 2;
        let receiving = self.feeds[feed].as_mut().unwrap().receive(max);
        let wanted = !self.ready[queue].is_empty();
        let Ok(received) = tokio::time::timeout(Duration::from_secs(5), receiving).await else {
            assert!(!wanted || self.is_untold(), "something is ready and nothing was handed out");
            return;
        };
        for delivery in received.unwrap() {
            let key = (delivery.envelope.id.0, delivery.envelope.attempt);
            assert!(self.ready[queue].remove(&key), "{key:?} was handed out though it is not ready");
            self.held[feed].push(delivery);
        }
    }

    /// Rows in memory that another writer added are noticed with the next unit only, as nobody else can be there in life.
    fn is_untold(&self) -> bool {
        matches!(self.home, Home::Memory)
    }

    async fn settle(&mut self, feed: usize, count: usize, fate: Fate) -> Result<(), Fault> {
        let count = count.min(self.held[feed].len());
        let settled: Vec<Delivery> = self.held[feed].drain(..count).collect();
        let disposition = match fate {
            Fate::Done => Disposition::Done,
            Fate::Again => Disposition::Redeliver { due_at: NOW, reason: "again".to_owned() },
            Fate::Park => Disposition::Park { until: NOW + SignedDuration::from_hours(1) },
            Fate::Dead => Disposition::DeadLetter { reason: "dead".to_owned() },
        };
        let settlement = |delivery: &Delivery| Settlement {
            delivery: delivery.clone(),
            disposition: disposition.clone(),
            at: NOW,
        };
        let mut unit: Box<dyn UnitOfWork> = self.store.begin().await?;
        unit.settle(settled.iter().map(settlement).collect()).await?;
        unit.commit().await?;
        let receipts: Vec<_> = settled.iter().map(|delivery| delivery.receipt.clone()).collect();
        self.feeds[feed].as_mut().unwrap().acknowledge(&receipts).await?;
        let key = |delivery: &Delivery| (feed / 2, delivery.envelope.id.0, delivery.envelope.attempt);
        match fate {
            Fate::Done => {}
            Fate::Again => self.delayed.extend(settled.iter().map(key).map(|(q, id, n)| (q, id, n + 1))),
            Fate::Park => self.parked.extend(settled.iter().map(key)),
            Fate::Dead => self.dead += settled.len(),
        }
        Ok(())
    }

    async fn requeue_due(&mut self) {
        let mut unit: Box<dyn UnitOfWork> = self.store.begin().await.unwrap();
        let count = unit.requeue_due(NOW, 1_000).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(count, self.delayed.len());
        for (queue, id, attempt) in self.delayed.drain(..) {
            self.ready[queue].insert((id, attempt));
        }
    }

    async fn unpark(&mut self) {
        let ids: BTreeSet<Uuid> = self.parked.iter().map(|(_, id, _)| *id).collect();
        let ids: Vec<CorrelationId> = ids.into_iter().map(CorrelationId).collect();
        let mut unit: Box<dyn UnitOfWork> = self.store.begin().await.unwrap();
        let count = unit.unpark(&ids, NOW).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(count, self.parked.len());
        for (queue, id, attempt) in self.parked.drain(..) {
            self.ready[queue].insert((id, attempt));
        }
    }

    async fn drop_feed(&mut self, feed: usize) {
        self.feeds[feed] = None;
        self.give_back(feed);
        self.feeds[feed] = Some(self.store.subscribe(QUEUES[feed / 2]).await.unwrap());
    }

    fn give_back(&mut self, feed: usize) {
        for delivery in self.held[feed].drain(..) {
            self.ready[feed / 2].insert((delivery.envelope.id.0, delivery.envelope.attempt));
        }
    }

    async fn restart(&mut self) {
        (0..4).for_each(|feed| self.give_back(feed));
        self.feeds.clear();
        self.store = match self.home {
            Home::Memory => self.store.restarted().unwrap(),
            Home::Folder(_) => self.home.open(),
        };
        self.subscribe().await;
    }

    /// In the end everything that was ever kept comes out, once, and the tables are empty.
    async fn drain(&mut self) {
        self.requeue_due().await;
        self.unpark().await;
        for feed in [0, 2] {
            self.drop_feed(feed + 1).await;
            while !self.ready[feed / 2].is_empty() {
                let before = self.ready[feed / 2].len();
                self.receive(feed, 7).await;
                assert!(self.ready[feed / 2].len() < before, "a row is stuck");
            }
            self.settle(feed, usize::MAX, Fate::Done).await.unwrap();
        }
        let overview = application::ports::Readers::overview(&self.store).await.unwrap();
        assert!(overview.queues.iter().all(|(_, waiting)| *waiting == 0), "{:?}", overview.queues);
        assert_eq!((overview.waiting, overview.dead_letters), (0, self.dead as u64));
    }
}

async fn law(home: Home, acts: Vec<Act>) {
    let mut world = World::new(home).await;
    for act in &acts {
        world.run(act).await;
    }
    world.drain().await;
}

/// Virtual time, so that waiting for what never comes costs nothing.
fn run(law: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(law);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_row_in_memory_is_handed_out_until_it_is_settled(acts in prop::collection::vec(act(), 0..60)) {
        run(law(Home::Memory, acts));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_row_in_a_file_is_handed_out_until_it_is_settled_even_if_a_neighbour_wrote_it(
        acts in prop::collection::vec(act(), 0..60), case: u64,
    ) {
        let folder = std::env::temp_dir().join(format!("orderwright-law-{}-{case:x}", std::process::id()));
        run(law(Home::Folder(folder.clone()), acts));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
