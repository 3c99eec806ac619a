//! What every clone, unit and feed of a store shares: connections, the queues of this process, and what others ask of the
//! keeper.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::{Fault, Routing, Stop, Topology};
use tokio::sync::Notify;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::connect::{self, DatabaseOwner, PostgresOptions, Presence};
use crate::fault::away;
use crate::leases::Leases;
use crate::lent::Lender;
use crate::message_rows::NO_QUEUE;
use crate::pace::Pace;
use crate::pipeline::{Act, Ending, Opening, run};
use crate::queue::Queue;
use crate::server::Server;

/// What every clone, unit and feed of a store shares.
pub(crate) struct Shared {
    pub(crate) units: Lender,
    pub(crate) pace: Pace,
    pub(crate) readers: Lender,
    pub(crate) server: Server,
    pub(crate) instance: Uuid,
    pub(crate) presence: Presence,
    pub(crate) owner: DatabaseOwner,
    pub(crate) lease: std::time::Duration,
    pub(crate) topology: Topology,
    pub(crate) routing: Routing,
    pub(crate) queues: BTreeMap<Arc<str>, Arc<Queue>>,
    pub(crate) leases: Leases,
    pub(crate) errands: Errands,
    pub(crate) stop: Stop,
    /// Held by whoever looks at all there is.
    pub(crate) audits: Arc<tokio::sync::Mutex<()>>,
    readers_met: AtomicU64,
}

/// What others ask of the keeper.
#[derive(Default)]
pub(crate) struct Errands {
    /// Told when there is something to do.
    pub(crate) waiting: Arc<Notify>,
    /// Whether something ended in doubt: rows may be claimed for this process without its knowing.
    pub(crate) doubt: AtomicBool,
    lists: Mutex<Lists>,
}

/// What is to be given up, and what others are to be told of.
#[derive(Default)]
pub(crate) struct Lists {
    /// Positions of rows that nobody here wants any more.
    pub(crate) give_up: Vec<i64>,
    /// Queues in which rows were left for whoever is free.
    pub(crate) announce: BTreeSet<Arc<str>>,
}

impl Shared {
    pub(crate) fn new(server: Server, options: PostgresOptions) -> Self {
        let units = connect::pool(&server, connect::Use::Units, options.pool_max, &options);
        let readers = connect::pool(&server, connect::Use::Reads, options.readers_max, &options);
        let pace = Pace::new(options.unit_gap, options.connect_limit);
        let PostgresOptions { topology, routing, instance, presence, owner, lease, queue_memory_max, .. } =
            options;
        let mut names = topology.all_queues();
        names.push(Arc::from(NO_QUEUE));
        let queue = |name: Arc<str>| (Arc::clone(&name), Arc::new(Queue::new(name, queue_memory_max)));
        let queues = names.into_iter().map(queue).collect();
        Self {
            units,
            pace,
            readers,
            server,
            instance,
            presence,
            owner,
            lease,
            topology,
            routing,
            queues,
            leases: Leases::default(),
            errands: Errands::default(),
            stop: Stop::new(),
            audits: Arc::default(),
            readers_met: AtomicU64::new(0),
        }
    }

    /// A number that no other reader of this process has.
    pub(crate) fn next_reader(&self) -> u64 {
        self.readers_met.fetch_add(1, Ordering::Relaxed)
    }

    /// Runs one statement that stands for itself.
    pub(crate) async fn run_alone(&self, operation: &'static str, act: Act) -> Result<Vec<Row>, Fault> {
        let connection = self.units.get().await.map_err(away(operation))?;
        let mut answers = run(&connection, Opening::None, &[act], Ending::None).await?;
        Ok(answers.pop().unwrap_or_default())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

impl Errands {
    /// Something ended in doubt.
    pub(crate) fn doubt(&self) {
        self.doubt.store(true, Ordering::Relaxed);
        self.waiting.notify_one();
    }

    /// These rows are for others.
    pub(crate) fn give_up(&self, positions: Vec<i64>) {
        if !positions.is_empty() {
            self.lists().give_up.extend(positions);
            self.waiting.notify_one();
        }
    }

    /// There are rows for others in this queue.
    pub(crate) fn announce(&self, queue: &Arc<str>) {
        self.lists().announce.insert(Arc::clone(queue));
        self.waiting.notify_one();
    }

    /// What is to be done now.
    pub(crate) fn take(&self) -> Lists {
        std::mem::take(&mut *self.lists())
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
