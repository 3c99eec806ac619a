//! What happened to each order, and what operators did. Only ever added to.

use application::ports::{AuditEntry, AuditRepository, HistoryEntry, HistoryRepository};
use application::saga::SagaState;
use async_trait::async_trait;
use bus::Fault;
use domain::OrderStatus;
use rusqlite::{Connection, Result, params};

use super::SqliteUnit;
use super::column::Micros;
use super::writes::record_audit;
use bus_sqlite::fault;

#[async_trait]
impl HistoryRepository for SqliteUnit {
    async fn append(&mut self, entries: &[HistoryEntry]) -> std::result::Result<(), Fault> {
        let first = self.take_positions(entries.len());
        append(self.connection(), first, entries).map_err(fault("history.append"))
    }
}

#[async_trait]
impl AuditRepository for SqliteUnit {
    async fn record(&mut self, entries: &[AuditEntry]) -> std::result::Result<(), Fault> {
        let first = self.take_positions(entries.len());
        record_audit(self.connection(), first, entries)
    }
}

fn append(connection: &Connection, first: i64, entries: &[HistoryEntry]) -> Result<()> {
    let mut insert = connection.prepare_cached("insert into order_history values (?, ?, ?, ?, ?, ?, ?)")?;
    for (position, entry) in (first..).zip(entries) {
        insert.execute(params![
            entry.order_id.0.as_bytes(),
            position,
            Micros(entry.at),
            entry.event,
            entry.status.map(OrderStatus::as_str),
            entry.saga_state.map(SagaState::as_str),
            entry.detail,
        ])?;
    }
    Ok(())
}
