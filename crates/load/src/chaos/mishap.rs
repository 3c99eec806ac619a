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
    /// No queue at the broker has a quorum for a while: none takes messages or gives any. All connections stay open.
    QuorumLost,
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
            deck.extend([Self::QuorumLost, Self::QueuesDeleted, Self::MessagesLost, Self::SecondDatabase]);
            if on_server {
                deck.extend([Self::DatabaseStalled, Self::DatabaseLost, Self::DatabaseReset]);
            }
        }
        deck
    }

    /// What happened, as it is counted; what it was done to; and whether it is over only after a time in which orders come in (the
    /// others are done in no time, or last on by themselves).
    const fn facts(self) -> (&'static str, Target, bool) {
        use Target::{All, Worker};
        match self {
            Self::WorkerKilled => ("worker killed", Worker, true),
            Self::WorkerStopped => ("worker told to stop", Worker, true),
            Self::DatabaseKilled => ("database server killed", All, true),
            Self::BrokerKilled => ("broker killed", All, true),
            Self::DatabaseStalled => ("way to the database stalled", Worker, false),
            Self::DatabaseLost => ("way to the database lost bytes", Worker, false),
            Self::DatabaseReset => ("way to the database reset", Worker, false),
            Self::BrokerStalled => ("way to the broker stalled", Worker, false),
            Self::BrokerLost => ("way to the broker lost bytes", Worker, false),
            Self::BrokerReset => ("way to the broker reset", Worker, false),
            Self::GatewayHung => ("gateway hung", All, true),
            Self::PoolFilled => ("pool filled", All, true),
            Self::QuorumLost => ("quorum lost at the broker", All, true),
            Self::QueuesDeleted => ("queues deleted", All, true),
            Self::MessagesLost => ("messages lost at the broker", All, true),
            Self::SecondDatabase => ("second database on the virtual host", All, true),
            Self::FileReplaced => ("database file replaced", All, true),
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
        let (_, target, _) = mishap.facts();
        let worker = match target {
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
        self.0.keys().any(|(mishap, _)| mishap.facts().2)
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: BTreeSet<Mishap> = self.0.keys().map(|(mishap, _)| *mishap).collect();
        let each = kinds.into_iter().map(|mishap| format!("{} {}", mishap.facts().0, self.times(mishap)));
        f.write_str(&each.collect::<Vec<_>>().join(", "))
    }
}
