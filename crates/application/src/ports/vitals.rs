//! What tells whether the whole is well, as far as the store knows: ages, what is overdue, and the store's own state. Reads
//! only, and never more than so many rows, however much is stored.

use async_trait::async_trait;
use bus::Fault;
use jiff::Timestamp;

/// Open sagas, and waiting messages, that are looked at: the oldest so many.
pub const VITALS_ROWS_MAX: usize = 10_000;

/// Signs of life, of one moment. Ages are told of the oldest [`VITALS_ROWS_MAX`] sagas and messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// By state of the saga, when the one that has stood there longest last moved.
    pub oldest_sagas: Vec<(String, Timestamp)>,
    /// Sagas that should have been handed over or called off before the moment asked about, and were not.
    pub overdue_sagas: u64,
    /// Open sagas without an order.
    pub orphaned_sagas: u64,
    /// Open sagas that believe their order to stand elsewhere than it does.
    pub inconsistent_sagas: u64,
    /// By queue, when its oldest message was sent; that of messages bound for a broker is called `outbox`.
    pub oldest_messages: Vec<(String, Timestamp)>,
    /// When the first timer is due.
    pub first_timer: Option<Timestamp>,
    /// Products that are sold and at or below their reorder level.
    pub low_products: u64,
    /// Products of which more is promised to orders than is there.
    pub short_products: u64,
    /// Events of providers that belong to no order and that nobody has seen to, up to [`VITALS_ROWS_MAX`].
    pub unmatched_events: u64,
}

/// The state of the database itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseState {
    /// `sqlite` or `postgresql`.
    pub engine: &'static str,
    /// What it says of itself, by name; units stand in the name.
    pub facts: Vec<(String, i64)>,
}

impl DatabaseState {
    /// What it says under this name.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<i64> {
        self.facts.iter().find(|(known, _)| known == name).map(|(_, amount)| *amount)
    }
}

/// Tells whether the whole is well. Faults as for the repositories.
#[async_trait]
pub trait VitalSigns: Send + Sync + 'static {
    /// The signs of life; overdue is what should have ended before `overdue_since`.
    async fn vitals(&self, overdue_since: Timestamp) -> Result<Vitals, Fault>;

    /// The state of the database, asked for over a connection of its own.
    async fn database_state(&self) -> Result<DatabaseState, Fault>;
}
