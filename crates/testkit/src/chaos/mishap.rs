//! What is done to the processes, dealt like cards: a shuffled deck of everything that the plan allows, then another, so
//! that even a short run has some of each.

use std::collections::BTreeMap;
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
}

impl Mishap {
    /// What the plan allows, as often as it should come in one deck.
    fn deck(plan: &Plan) -> Vec<Self> {
        if plan.course == Course::RollingRestarts {
            return vec![Self::WorkerStopped];
        }
        let mut deck = vec![Self::WorkerKilled, Self::WorkerKilled, Self::WorkerStopped];
        let on_server = matches!(plan.engine, Engine::Postgres { .. });
        if on_server {
            deck.push(Self::DatabaseKilled);
        }
        if plan.carrier == Carrier::RabbitMq {
            deck.extend([Self::BrokerKilled, Self::GatewayHung]);
            deck.extend([Self::BrokerStalled, Self::BrokerLost, Self::BrokerReset]);
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
        }
    }
}

/// Mishaps yet to come.
pub(super) struct Deck {
    whole: Vec<Mishap>,
    left: Vec<Mishap>,
}

impl Deck {
    pub(super) fn new(plan: &Plan) -> Self {
        Self { whole: Mishap::deck(plan), left: Vec::new() }
    }

    /// The next one.
    pub(super) fn deal(&mut self, random: &mut SmallRng) -> Mishap {
        if self.left.is_empty() {
            self.left.clone_from(&self.whole);
            self.left.shuffle(random);
        }
        self.left.pop().expect("no plan has an empty deck")
    }
}

/// How often what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Happened(BTreeMap<Mishap, u32>);

impl Happened {
    pub(super) fn note(&mut self, mishap: Mishap) {
        *self.0.entry(mishap).or_default() += 1;
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> u32 {
        self.0.values().sum()
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> =
            self.0.iter().map(|(mishap, count)| format!("{} {count}", mishap.name())).collect();
        f.write_str(&each.join(", "))
    }
}
