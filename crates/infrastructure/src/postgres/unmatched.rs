//! Events of providers that belong to no order of ours.

use application::ports::{
    Page, Provider, ProviderNews, Seen, UnmatchedEvent, UnmatchedFilter, UnmatchedRepository, UnmatchedView,
    Which,
};
use async_trait::async_trait;
use bus::Fault;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresUnit;
use super::column::{Broken, rows_max, time, time_or_none};
use crate::paging::page;
use crate::unmatched::told;
use bus_postgres::Act;
use bus_postgres::Array;
use bus_postgres::Lent;
use bus_postgres::broken;
use bus_postgres::{query, views};

#[async_trait]
impl UnmatchedRepository for PostgresUnit {
    async fn keep(&mut self, events: &[UnmatchedEvent], at: Timestamp) -> Result<(), Fault> {
        if !events.is_empty() {
            self.later(keep(events, at));
        }
        Ok(())
    }

    async fn get(&mut self, position: i64) -> Result<Option<(Provider, ProviderNews)>, Fault> {
        const OPERATION: &str = "unmatched.get";
        let sql = "select provider, news from unmatched_events where position = $1 for update";
        let rows = self.ask(Act::new(OPERATION, sql, vec![Box::new(position)])).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let text = |at: usize| row.try_get::<_, String>(at).map_err(|error| broken(OPERATION)(error.into()));
        told(&text(0)?, &text(1)?).map(Some)
    }

    async fn mark_seen(
        &mut self,
        position: i64,
        actor: &str,
        note: &str,
        at: Timestamp,
    ) -> Result<Seen, Fault> {
        const OPERATION: &str = "unmatched.mark_seen";
        let sql =
            "with found as (select position, seen_at from unmatched_events where position = $1 for update),
             marked as (
                 update unmatched_events e set seen_at = $2, seen_by = $3, note = $4 from found
                 where e.position = found.position and found.seen_at is null returning 1
             )
             select seen_at is not null from found";
        let act = Act::new(
            OPERATION,
            sql,
            vec![
                Box::new(position),
                Box::new(at.as_microsecond()),
                Box::new(actor.to_owned()),
                Box::new(note.to_owned()),
            ],
        );
        let rows = self.ask(act).await?;
        let before = rows.first().map(|row| row.try_get::<_, bool>(0)).transpose();
        Ok(match before.map_err(|error| broken(OPERATION)(error.into()))? {
            None => Seen::NotFound,
            Some(true) => Seen::Before,
            Some(false) => Seen::Now,
        })
    }
}

fn keep(events: &[UnmatchedEvent], at: Timestamp) -> Act {
    let sql = "insert into unmatched_events (provider, event_id, kind, reason, reference, idempotency_key, detail, news,
             occurred_at, received_at)
         select provider, event_id, kind, reason, reference, key, detail, news, occurred_at, $10
         from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
              $9::bigint[])
             as fresh (provider, event_id, kind, reason, reference, key, detail, news, occurred_at)
         order by event_id on conflict (provider, event_id) do nothing";
    let details: Vec<String> = events.iter().map(|event| event.news.in_words()).collect();
    let whole: Vec<String> = events.iter().map(|event| event.news.to_stored()).collect();
    Act::new(
        "unmatched.keep",
        sql,
        vec![
            Box::new(Array::texts(events.iter().map(|event| event.provider.as_str()))),
            Box::new(Array::texts(events.iter().map(|event| event.news.event_id.as_str()))),
            Box::new(Array::texts(events.iter().map(|event| event.news.type_name.as_str()))),
            Box::new(Array::texts(events.iter().map(|event| event.mismatch.as_str()))),
            Box::new(Array::texts(events.iter().map(|event| event.news.reference.as_str()))),
            Box::new(Array::texts(events.iter().map(|event| event.news.idempotency_key.as_str()))),
            Box::new(Array::texts(details.iter().map(String::as_str))),
            Box::new(Array::texts(whole.iter().map(String::as_str))),
            Box::new(Array::times(events.iter().map(|event| event.news.occurred_at))),
            Box::new(at.as_microsecond()),
        ],
    )
}

/// A page of them, in the order in which they came.
pub(super) async fn list(
    client: &Lent,
    filter: &UnmatchedFilter,
    max: usize,
) -> Result<Page<UnmatchedView>, Fault> {
    let which = match filter.which {
        Which::Unseen => "seen_at is null",
        Which::All => "true",
    };
    let sql = format!(
        "select position, provider, event_id, kind, reason, reference, idempotency_key, detail, occurred_at, received_at,
             seen_at, seen_by, note
         from unmatched_events where {which} and position > $1 and ($2::text is null or provider = $2)
         order by position limit $3"
    );
    let values: Vec<bus_postgres::Value<'_>> = vec![
        Box::new(filter.after.unwrap_or(0)),
        Box::new(filter.provider.map(Provider::as_str)),
        Box::new(rows_max(max.saturating_add(1))),
    ];
    let rows = query(client, "unmatched.list", &sql, &values).await?;
    Ok(page(views(&rows, "unmatched.list", view)?, max))
}

fn view(row: &Row) -> Result<UnmatchedView, Broken> {
    Ok(UnmatchedView {
        position: row.try_get(0)?,
        provider: row.try_get(1)?,
        event_id: row.try_get(2)?,
        kind: row.try_get(3)?,
        reason: row.try_get(4)?,
        reference: row.try_get(5)?,
        idempotency_key: row.try_get(6)?,
        detail: row.try_get(7)?,
        occurred_at: time(row, 8)?,
        received_at: time(row, 9)?,
        seen_at: time_or_none(row, 10)?,
        seen_by: row.try_get(11)?,
        note: row.try_get(12)?,
    })
}
