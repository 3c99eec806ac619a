//! The log of what persons did, as it is written and read.

use async_trait::async_trait;
use bus::Fault;
use jiff::Timestamp;
use serde::Serialize;

/// An action of a person on the running system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// The name of the command.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Why, in their words.
    pub note: String,
}

/// The audit log of operators; append-only.
#[async_trait]
pub trait AuditRepository: Send {
    /// Adds entries.
    async fn record(&mut self, entries: &[AuditEntry]) -> Result<(), Fault>;
}

/// A filter for the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only what this person did.
    pub actor: Option<String>,
    /// Only what was done to this: an order's id, a sku, `dead letter 7`, `unmatched event 7`, `key abc`.
    pub subject: Option<String>,
    /// Only entries before this position.
    pub before: Option<i64>,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditView {
    /// Place in the log.
    pub position: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// The name of the command.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Why, in their words.
    pub note: String,
}
