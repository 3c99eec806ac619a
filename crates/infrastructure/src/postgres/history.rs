//! What happened to each order, and what operators did. Only ever added to.

use application::ports::{AuditEntry, AuditRepository, HistoryEntry, HistoryRepository};
use async_trait::async_trait;
use bus::Fault;

use super::PostgresUnit;
use super::writes::record_audit;

#[async_trait]
impl HistoryRepository for PostgresUnit {
    async fn append(&mut self, entries: &[HistoryEntry]) -> Result<(), Fault> {
        entries.iter().for_each(|entry| self.rows.history.push(entry));
        Ok(())
    }
}

#[async_trait]
impl AuditRepository for PostgresUnit {
    async fn record(&mut self, entries: &[AuditEntry]) -> Result<(), Fault> {
        if !entries.is_empty() {
            self.later(record_audit(entries));
        }
        Ok(())
    }
}
