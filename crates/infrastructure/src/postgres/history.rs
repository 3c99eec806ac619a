//! What happened to each order, and what operators did. Only ever added to.

use application::ports::{AuditEntry, AuditRepository, HistoryEntry, HistoryRepository};
use application::saga::SagaState;
use async_trait::async_trait;
use bus::Fault;
use domain::OrderStatus;

use super::PostgresUnit;
use bus_postgres::Act;
use bus_postgres::Array;

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
            self.later(record(entries));
        }
        Ok(())
    }
}

/// The entries of one transaction, whoever added them: one statement for all.
pub(super) struct HistoryColumns {
    count: usize,
    order_id: Array,
    at: Array,
    event: Array,
    status: Array,
    saga_state: Array,
    detail: Array,
}

impl Default for HistoryColumns {
    fn default() -> Self {
        Self::new()
    }
}

impl HistoryColumns {
    /// No entries yet.
    pub(super) fn new() -> Self {
        Self {
            count: 0,
            order_id: Array::of_uuids(),
            at: Array::of_numbers(),
            event: Array::of_texts(),
            status: Array::of_texts(),
            saga_state: Array::of_texts(),
            detail: Array::of_texts(),
        }
    }

    fn push(&mut self, entry: &HistoryEntry) {
        self.count += 1;
        self.order_id.push_uuid(entry.order_id.0);
        self.at.push_time(entry.at);
        self.event.push_text(entry.event);
        self.status.push_text_or_null(entry.status.map(OrderStatus::as_str));
        self.saga_state.push_text_or_null(entry.saga_state.map(SagaState::as_str));
        self.detail.push_text_or_null(entry.detail.as_deref());
    }

    /// The statement that writes them; none if there are none.
    pub(super) fn store(&mut self) -> Option<Act> {
        let all = std::mem::take(self);
        if all.count == 0 {
            return None;
        }
        let sql = "insert into order_history (order_id, at, event, status, saga_state, detail)
             select order_id, at, event, status, saga_state, detail
             from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[]) with ordinality
                 as entries (order_id, at, event, status, saga_state, detail, ordinal)
             order by ordinal";
        Some(Act::new(
            "history.append",
            sql,
            vec![
                Box::new(all.order_id),
                Box::new(all.at),
                Box::new(all.event),
                Box::new(all.status),
                Box::new(all.saga_state),
                Box::new(all.detail),
            ],
        ))
    }
}

/// Entries of the log of operators.
pub(super) fn record(entries: &[AuditEntry]) -> Act {
    let sql = "insert into audit_log (at, actor, action, subject, note)
         select at, actor, action, subject, note
         from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) with ordinality
             as entries (at, actor, action, subject, note, ordinal)
         order by ordinal";
    Act::new(
        "audit.record",
        sql,
        vec![
            Box::new(Array::times(entries.iter().map(|entry| entry.at))),
            Box::new(Array::texts(entries.iter().map(|entry| entry.actor.as_str()))),
            Box::new(Array::texts(entries.iter().map(|entry| entry.action.as_str()))),
            Box::new(Array::texts(entries.iter().map(|entry| entry.subject.as_str()))),
            Box::new(Array::texts(entries.iter().map(|entry| entry.note.as_str()))),
        ],
    )
}
