//! Events of providers that belong to no order of ours.

use application::ports::{
    Page, Provider, ProviderNews, Seen, UnmatchedEvent, UnmatchedFilter, UnmatchedRepository, UnmatchedView,
    Which,
};
use async_trait::async_trait;
use bus::Fault;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, named_params, params};

use super::SqliteUnit;
use super::column::{Micros, rows_max, time, time_or_none};
use crate::paging::page;
use crate::unmatched::told;
use bus_sqlite::fault;

#[async_trait]
impl UnmatchedRepository for SqliteUnit {
    async fn keep(&mut self, events: &[UnmatchedEvent], at: Timestamp) -> std::result::Result<(), Fault> {
        let first = self.take_positions(events.len());
        keep(self.connection(), first, events, at).map_err(fault("unmatched.keep"))
    }

    async fn get(&mut self, position: i64) -> std::result::Result<Option<(Provider, ProviderNews)>, Fault> {
        let found: Option<(String, String)> = self
            .connection()
            .prepare_cached("select provider, news from unmatched_events where position = ?")
            .and_then(|mut found| {
                found.query_row([position], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(fault("unmatched.get"))?;
        found.map(|(provider, news)| told(&provider, &news)).transpose()
    }

    async fn mark_seen(
        &mut self,
        position: i64,
        actor: &str,
        note: &str,
        at: Timestamp,
    ) -> std::result::Result<Seen, Fault> {
        mark_seen(self.connection(), position, actor, note, at).map_err(fault("unmatched.mark_seen"))
    }
}

fn keep(connection: &Connection, first: i64, events: &[UnmatchedEvent], at: Timestamp) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "insert or ignore into unmatched_events (position, provider, event_id, kind, reason, reference, idempotency_key,
             detail, news, occurred_at, received_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for (position, UnmatchedEvent { provider, news, mismatch }) in (first..).zip(events) {
        insert.execute(params![
            position,
            provider.as_str(),
            news.event_id,
            news.type_name,
            mismatch.as_str(),
            news.reference,
            news.idempotency_key,
            news.in_words(),
            news.to_stored(),
            Micros(news.occurred_at),
            Micros(at),
        ])?;
    }
    Ok(())
}

fn mark_seen(connection: &Connection, position: i64, actor: &str, note: &str, at: Timestamp) -> Result<Seen> {
    let seen: Option<Option<i64>> = connection
        .prepare_cached("select seen_at from unmatched_events where position = ?")?
        .query_row([position], |row| row.get(0))
        .optional()?;
    match seen {
        None => Ok(Seen::NotFound),
        Some(Some(_)) => Ok(Seen::Before),
        Some(None) => {
            let sql = "update unmatched_events set seen_at = ?, seen_by = ?, note = ? where position = ?";
            connection.prepare_cached(sql)?.execute(params![Micros(at), actor, note, position])?;
            Ok(Seen::Now)
        }
    }
}

/// A page of them, in the order in which they came.
pub(super) fn list(
    connection: &Connection,
    filter: &UnmatchedFilter,
    max: usize,
) -> Result<Page<UnmatchedView>> {
    let which = match filter.which {
        Which::Unseen => "seen_at is null",
        Which::All => "true",
    };
    let sql = format!(
        "select position, provider, event_id, kind, reason, reference, idempotency_key, detail, occurred_at, received_at,
             seen_at, seen_by, note
         from unmatched_events where {which} and position > :after and (:provider is null or provider = :provider)
         order by position limit :max"
    );
    let found = connection
        .prepare_cached(&sql)?
        .query_map(
            named_params! {
                ":after": filter.after.unwrap_or(0),
                ":provider": filter.provider.map(Provider::as_str),
                ":max": rows_max(max.saturating_add(1)),
            },
            view,
        )?
        .collect::<Result<_>>()?;
    Ok(page(found, max))
}

fn view(row: &Row<'_>) -> Result<UnmatchedView> {
    Ok(UnmatchedView {
        position: row.get(0)?,
        provider: row.get(1)?,
        event_id: row.get(2)?,
        kind: row.get(3)?,
        reason: row.get(4)?,
        reference: row.get(5)?,
        idempotency_key: row.get(6)?,
        detail: row.get(7)?,
        occurred_at: time(row, 8)?,
        received_at: time(row, 9)?,
        seen_at: time_or_none(row, 10)?,
        seen_by: row.get(11)?,
        note: row.get(12)?,
    })
}
