//! The health of the system as the store knows it: ages, overdue work, and the state of the database. Read only, and
//! with a bound on the rows, however much is stored.

use async_trait::async_trait;
use bus::Fault;
use jiff::Timestamp;

/// How many of the oldest open sagas and waiting messages are read.
pub const VITALS_ROWS_MAX: usize = 10_000;

/// The vital signs at one moment. Ages are those of the oldest [`VITALS_ROWS_MAX`] sagas and messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// By saga state: when the saga that has been in it longest last moved.
    pub oldest_sagas: Vec<(String, Timestamp)>,
    /// Sagas that should have ended before the given moment and did not.
    pub overdue_sagas: u64,
    /// Open sagas without an order.
    pub orphaned_sagas: u64,
    /// Open sagas that disagree with their order about its status.
    pub inconsistent_sagas: u64,
    /// By queue: when its oldest message was sent. Messages for a broker are under `outbox`.
    pub oldest_messages: Vec<(String, Timestamp)>,
    /// When the first timer is due.
    pub first_timer: Option<Timestamp>,
    /// Products that are sold and at or below their reorder level.
    pub low_products: u64,
    /// Products with more units promised than in stock.
    pub short_products: u64,
    /// Unmatched provider events that no person has seen, up to [`VITALS_ROWS_MAX`].
    pub unmatched_events: u64,
}

/// The state of the database itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseState {
    /// `sqlite` or `postgresql`.
    pub engine: &'static str,
    /// Its own figures, by name; units are part of the name.
    pub facts: Vec<(String, i64)>,
}

impl DatabaseState {
    /// The figure of this name.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<i64> {
        self.facts.iter().find(|(known, _)| known == name).map(|(_, amount)| *amount)
    }
}

/// Reads the vital signs. Faults as for the repositories.
#[async_trait]
pub trait VitalSigns: Send + Sync + 'static {
    /// The vital signs; a saga is overdue if it should have ended before `overdue_since`.
    async fn vitals(&self, overdue_since: Timestamp) -> Result<Vitals, Fault>;

    /// The state of the database, read over a connection of its own.
    async fn database_state(&self) -> Result<DatabaseState, Fault>;
}
