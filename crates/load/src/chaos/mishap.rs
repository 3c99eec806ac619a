//! What is done to the processes, dealt like cards: a shuffled deck of everything that the plan allows, then another, so
//! that even a short run has some of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use super::{Carrier, Course, Engine, Plan};

/// Something that happens to a process or to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// `kill -9`, and a new life on the same rows.
    WorkerKilled,
    /// A polite stop in the middle of everything, as for an upgrade, and a new life.
    WorkerStopped,
    /// The database server goes as by a loss of power, and recovers.
    DatabaseKilled,
    /// The same of the broker.
    BrokerKilled,
    /// Nothing passes between a worker and the database for a while; then all of it does.
    DatabaseStalled,
    /// What passes between a worker and the database is lost for a while; then the connections break.
    DatabaseLost,
    /// All connections of a worker to the database break.
    DatabaseReset,
    /// As for the database.
    BrokerStalled,
    /// As for the database.
    BrokerLost,
    /// As for the database.
    BrokerReset,
    /// The payment gateway answers nothing for a while.
    GatewayHung,
    /// Somebody else holds a table, and every connection of the workers to the database waits for it.
    PoolFilled,
    /// Every queue at the broker is deleted, with what lies in it.
    QueuesDeleted,
    /// The broker loses every message that lies in a queue.
    MessagesLost,
    /// Somebody starts a worker with another database on the same virtual host.
    SecondDatabase,
    /// The file of the database is moved away and another one put in its place; then it is put back.
    FileReplaced,
}

/// What it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// One worker, or one of its ways.
    Worker,
    /// What all of them use.
    All,
}

impl Mishap {
    /// What the plan allows, as often as it should come in one deck.
    fn deck(plan: &Plan) -> Vec<Self> {
        match plan.course {
            Course::RollingRestarts => return vec![Self::WorkerStopped],
            Course::Chosen(mishaps) => return mishaps.to_vec(),
            Course::Mishaps => {}
        }
        let mut deck = vec![Self::WorkerKilled, Self::WorkerKilled, Self::WorkerStopped];
        let on_server = matches!(plan.engine, Engine::Postgres { .. });
        if on_server {
            deck.extend([Self::DatabaseKilled, Self::PoolFilled]);
        } else {
            deck.push(Self::FileReplaced);
        }
        if plan.carrier == Carrier::RabbitMq {
            deck.extend([Self::BrokerKilled, Self::GatewayHung]);
            deck.extend([Self::BrokerStalled, Self::BrokerLost, Self::BrokerReset]);
            deck.extend([Self::QueuesDeleted, Self::MessagesLost, Self::SecondDatabase]);
            if on_server {
                deck.extend([Self::DatabaseStalled, Self::DatabaseLost, Self::DatabaseReset]);
            }
        }
        deck
    }

    /// What happened, as it is counted.
    const fn name(self) -> &'static str {
        match self {
            Self::WorkerKilled => "worker killed",
            Self::WorkerStopped => "worker told to stop",
            Self::DatabaseKilled => "database server killed",
            Self::BrokerKilled => "broker killed",
            Self::DatabaseStalled => "way to the database stalled",
            Self::DatabaseLost => "way to the database lost bytes",
            Self::DatabaseReset => "way to the database reset",
            Self::BrokerStalled => "way to the broker stalled",
            Self::BrokerLost => "way to the broker lost bytes",
            Self::BrokerReset => "way to the broker reset",
            Self::GatewayHung => "gateway hung",
            Self::PoolFilled => "pool filled",
            Self::QueuesDeleted => "queues deleted",
            Self::MessagesLost => "messages lost at the broker",
            Self::SecondDatabase => "second database on the virtual host",
            Self::FileReplaced => "database file replaced",
        }
    }

    const fn target(self) -> Target {
        match self {
            Self::WorkerKilled | Self::WorkerStopped => Target::Worker,
            Self::DatabaseStalled | Self::DatabaseLost | Self::DatabaseReset => Target::Worker,
            Self::BrokerStalled | Self::BrokerLost | Self::BrokerReset => Target::Worker,
            Self::DatabaseKilled | Self::BrokerKilled | Self::GatewayHung | Self::PoolFilled => Target::All,
            Self::QueuesDeleted | Self::MessagesLost | Self::SecondDatabase | Self::FileReplaced => {
                Target::All
            }
        }
    }

    /// Whether it is over only after a time in which orders come in; the others are done in no time, or last on by themselves.
    pub(crate) const fn lasts(self) -> bool {
        match self {
            Self::WorkerKilled | Self::WorkerStopped | Self::DatabaseKilled | Self::BrokerKilled => true,
            Self::GatewayHung | Self::PoolFilled => true,
            Self::QueuesDeleted | Self::MessagesLost | Self::SecondDatabase | Self::FileReplaced => true,
            Self::DatabaseStalled | Self::DatabaseLost | Self::DatabaseReset => false,
            Self::BrokerStalled | Self::BrokerLost | Self::BrokerReset => false,
        }
    }
}

/// Mishaps yet to come.
pub(crate) struct Deck {
    whole: Vec<Mishap>,
    left: Vec<Mishap>,
}

impl Deck {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self { whole: Mishap::deck(plan), left: Vec::new() }
    }

    /// The next one.
    pub(crate) fn deal(&mut self, random: &mut SmallRng) -> Mishap {
        if self.left.is_empty() {
            self.left.clone_from(&self.whole);
            self.left.shuffle(random);
        }
        self.left.pop().expect("no plan has an empty deck")
    }
}

/// How often what happened, and to which worker, if it was done to one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Happened(BTreeMap<(Mishap, Option<usize>), u32>);

impl Happened {
    pub(crate) fn note(&mut self, mishap: Mishap, worker: usize) {
        let worker = match mishap.target() {
            Target::Worker => Some(worker),
            Target::All => None,
        };
        *self.0.entry((mishap, worker)).or_default() += 1;
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> u32 {
        self.0.values().sum()
    }

    /// How often this happened.
    #[must_use]
    pub fn times(&self, mishap: Mishap) -> u32 {
        self.0.iter().filter(|((what, _), _)| *what == mishap).map(|(_, count)| count).sum()
    }

    /// How often this happened to the worker with this number, counted from none.
    #[must_use]
    pub fn times_to(&self, mishap: Mishap, worker: usize) -> u32 {
        self.0.get(&(mishap, Some(worker))).copied().unwrap_or(0)
    }

    /// Whether there was one that lasted while orders came in.
    pub(crate) fn lasted(&self) -> bool {
        self.0.keys().any(|(mishap, _)| mishap.lasts())
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: BTreeSet<Mishap> = self.0.keys().map(|(mishap, _)| *mishap).collect();
        let each = kinds.into_iter().map(|mishap| format!("{} {}", mishap.name(), self.times(mishap)));
        f.write_str(&each.collect::<Vec<_>>().join(", "))
    }
}
