//! What happened to each order, and what operators did. Only ever added to.

use application::ports::{
    AuditEntry, AuditFilter, AuditRepository, AuditView, HistoryEntry, HistoryRepository, Page,
};
use application::saga::SagaState;
use async_trait::async_trait;
use bus::Fault;
use domain::OrderStatus;
use rusqlite::{Connection, Result, Row, ToSql, params};

use super::column::{Micros, rows_max, time};
use super::writes::record_audit;
use super::{SqliteUnit, order_events};
use crate::paging::page;
use bus_sqlite::fault;

#[async_trait]
impl HistoryRepository for SqliteUnit {
    async fn append(&mut self, entries: &[HistoryEntry]) -> std::result::Result<(), Fault> {
        let first = self.take_positions(entries.len());
        append(self.connection(), first, entries).map_err(fault("history.append"))?;
        order_events::note(self.connection(), first, entries).map_err(fault("history.append"))
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
    let mut insert =
        connection.prepare_cached("insert into order_history values (?, ?, ?, ?, ?, ?, ?, ?)")?;
    for (position, entry) in (first..).zip(entries) {
        insert.execute(params![
            entry.order_id.0.as_bytes(),
            position,
            Micros(entry.at),
            entry.event,
            entry.status.map(OrderStatus::as_str),
            entry.saga_state.map(SagaState::as_str),
            entry.detail,
            entry.is_refused,
        ])?;
    }
    Ok(())
}

/// A page of the log of what persons did, latest first. What is asked for by nobody's name stands in no condition, so that
/// an index leads to the rest.
pub(super) fn audit(connection: &Connection, filter: &AuditFilter, max: usize) -> Result<Page<AuditView>> {
    let mut conditions = vec!["position < ?"];
    let before = filter.before.unwrap_or(i64::MAX);
    let mut values: Vec<&dyn ToSql> = vec![&before];
    for (condition, value) in [("actor = ?", &filter.actor), ("subject = ?", &filter.subject)] {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(value);
        }
    }
    let limit = rows_max(max.saturating_add(1));
    values.push(&limit);
    let sql = format!(
        "select position, at, actor, action, subject, note from audit_log where {}
         order by position desc limit ?",
        conditions.join(" and ")
    );
    let found =
        connection.prepare_cached(&sql)?.query_map(values.as_slice(), audited)?.collect::<Result<_>>()?;
    Ok(page(found, max))
}

fn audited(row: &Row<'_>) -> Result<AuditView> {
    Ok(AuditView {
        position: row.get(0)?,
        at: time(row, 1)?,
        actor: row.get(2)?,
        action: row.get(3)?,
        subject: row.get(4)?,
        note: row.get(5)?,
    })
}
