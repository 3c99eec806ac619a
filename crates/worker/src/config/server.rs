//! How a PostgreSQL server is used, if one is. Says nothing about an embedded store.

use std::time::Duration;

use infrastructure::postgres::PostgresOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Connections and time limits towards a PostgreSQL server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Postgres {
    /// Connections for units of work.
    pub pool_max: usize,
    /// Connections for reading.
    pub readers_max: usize,
    /// Time between the beginnings of two transactions at least, in milliseconds; what comes meanwhile joins the second.
    pub unit_gap_ms: u64,
    /// How long to wait for the server, and for a free connection, in milliseconds.
    pub connect_limit_ms: u64,
    /// How long a statement may take, in milliseconds.
    pub statement_limit_ms: u64,
    /// How long a statement may wait for a row that another transaction has, in milliseconds.
    pub lock_limit_ms: u64,
    /// How long what a worker has claimed stays its own without a sign of life, in milliseconds.
    pub lease_ms: u64,
}

/// The longest [`Postgres::unit_gap_ms`]: with more, what an order waits for its five transactions would be most of its time.
const UNIT_GAP_MS_MAX: u64 = 50;

/// So many units of work may wait for their turn at once without one being given up: all queues, and commands beside them.
const UNITS_WAITING_MIN: u64 = 50;

impl Default for Postgres {
    fn default() -> Self {
        Self {
            pool_max: 3,
            readers_max: 4,
            unit_gap_ms: 2,
            connect_limit_ms: 5_000,
            statement_limit_ms: 10_000,
            lock_limit_ms: 5_000,
            lease_ms: 30_000,
        }
    }
}

impl Postgres {
    /// The settings that are too small if they are below a least value: name, value, least.
    pub(super) fn numbers(&self) -> [(&'static str, u64, u64); 6] {
        let size = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        [
            ("postgres.pool_max", size(self.pool_max), 2),
            ("postgres.readers_max", size(self.readers_max), 1),
            ("postgres.connect_limit_ms", self.connect_limit_ms, 100),
            ("postgres.statement_limit_ms", self.statement_limit_ms, 100),
            ("postgres.lock_limit_ms", self.lock_limit_ms, 10),
            ("postgres.lease_ms", self.lease_ms, 500),
        ]
    }

    /// What is wrong beyond that.
    pub(super) fn mistake(&self) -> Option<String> {
        let (gap, limit) = (self.unit_gap_ms, self.connect_limit_ms);
        if gap > UNIT_GAP_MS_MAX {
            return Some(format!("postgres.unit_gap_ms = {gap} is too large; at most {UNIT_GAP_MS_MAX}"));
        }
        let least = gap * UNITS_WAITING_MIN;
        (limit < least).then(|| {
            format!(
                "postgres.connect_limit_ms = {limit} is too small for unit_gap_ms = {gap}; at least {least}"
            )
        })
    }

    /// The same options with these settings.
    #[must_use]
    pub fn applied_to(&self, options: PostgresOptions) -> PostgresOptions {
        let ms = Duration::from_millis;
        PostgresOptions {
            pool_max: self.pool_max,
            readers_max: self.readers_max,
            unit_gap: ms(self.unit_gap_ms),
            connect_limit: ms(self.connect_limit_ms),
            statement_limit: ms(self.statement_limit_ms),
            lock_limit: ms(self.lock_limit_ms),
            lease: ms(self.lease_ms),
            ..options
        }
    }
}
