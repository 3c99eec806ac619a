//! Whether the database answers, how fast, and what it says of itself.

use std::sync::Arc;
use std::time::Duration;

use application::ports::{DatabaseState, VitalSigns};
use async_trait::async_trait;
use infrastructure::sqlite::FILE_GONE;
use tokio::time::Instant;

use super::{Check, Finding, Scene};

/// The report about a missing file; the log has its name.
pub const FILE_GONE_WORDS: &str = "the database file was moved, deleted, replaced or overwritten while it was in use; nothing is \
    accepted until the very same file is back or the service is started anew";

/// A transaction that is open for longer holds up the cleaning of tables.
const TRANSACTION_MS_MAX: i64 = 300_000;

/// Of a hundred connections, as many as may be in use.
const CONNECTIONS_PERCENT_MAX: i64 = 90;

/// The write-ahead log of the embedded store beyond which it is not being written back.
const WAL_BYTES_MAX: i64 = 1 << 30;

/// Asks the database.
pub(super) struct DatabaseCheck {
    vitals: Arc<dyn VitalSigns>,
    slow: Duration,
}

impl DatabaseCheck {
    pub(super) fn new(vitals: Arc<dyn VitalSigns>, slow: Duration) -> Self {
        Self { vitals, slow }
    }
}

#[async_trait]
impl Check for DatabaseCheck {
    fn name(&self) -> &'static str {
        "database"
    }

    async fn look(&self, _: &Scene) -> Finding {
        let began_at = Instant::now();
        match self.vitals.database_state().await {
            Ok(state) => judged(&state, began_at.elapsed(), self.slow),
            Err(fault) if fault.operation == FILE_GONE => {
                tracing::error!(%fault, "the database file is not the one that was opened");
                Finding::down(FILE_GONE_WORDS)
            }
            Err(fault) => {
                tracing::debug!(%fault, "the database does not answer");
                Finding::down(format!("it does not answer to {}", fault.operation))
            }
        }
    }
}

fn judged(state: &DatabaseState, took: Duration, slow: Duration) -> Finding {
    let fact = |name| state.fact(name).unwrap_or(0);
    let facts: Vec<String> = state.facts.iter().map(|(name, amount)| format!("{name} {amount}")).collect();
    let said = format!("{} answered within {} µs: {}", state.engine, took.as_micros(), facts.join(", "));
    let mut findings = vec![Finding::up(said)];
    if fact("in_recovery") == 1 {
        findings.push(Finding::down("it takes no writes: it is a standby"));
    }
    if took >= slow {
        findings.push(Finding::degraded(format!("it took {} ms to answer", took.as_millis())));
    }
    let max = fact("connections_max");
    if max > 0 && fact("connections_used") * 100 > max * CONNECTIONS_PERCENT_MAX {
        findings
            .push(Finding::degraded(format!("{} of {max} connections are in use", fact("connections_used"))));
    }
    if fact("oldest_transaction_ms") > TRANSACTION_MS_MAX {
        let open_s = fact("oldest_transaction_ms") / 1_000;
        findings.push(Finding::degraded(format!("a transaction has been open for {open_s} s")));
    }
    if fact("wal_bytes") > WAL_BYTES_MAX {
        findings.push(Finding::degraded(format!("the write-ahead log has {} bytes", fact("wal_bytes"))));
    }
    Finding::worst_of(findings)
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    fn status(facts: &[(&str, i64)], took_ms: u64) -> Status {
        let facts = facts.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect();
        let state = DatabaseState { engine: "postgresql", facts };
        judged(&state, Duration::from_millis(took_ms), Duration::from_millis(100)).status
    }

    #[test]
    fn what_it_says_of_itself_is_judged() {
        assert_eq!(status(&[], 1), Status::Up);
        assert_eq!(status(&[("in_recovery", 1)], 1), Status::Down);
        assert_eq!(status(&[], 100), Status::Degraded);
        assert_eq!(status(&[("connections_used", 91), ("connections_max", 100)], 1), Status::Degraded);
        assert_eq!(status(&[("connections_used", 90), ("connections_max", 100)], 1), Status::Up);
        assert_eq!(status(&[("oldest_transaction_ms", 300_001)], 1), Status::Degraded);
        assert_eq!(status(&[("wal_bytes", (1 << 30) + 1)], 1), Status::Degraded);
    }
}
