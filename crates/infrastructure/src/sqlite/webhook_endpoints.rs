//! Webhook endpoints and what became of the events that were sent to them.

use application::ports::{
    AuditRepository, Delivery, DeliveryFilter, DeliveryState, EndpointChange, Page, Progress, Redelivery,
    WEBHOOK_ENDPOINTS_MAX, WebhookEndpoint, WebhookEndpointRepository, WebhookEndpoints,
};
use async_trait::async_trait;
use bus::{Fault, Signed, Unit};
use bus_sqlite::fault;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use uuid::Uuid;

use super::column::{Micros, name, rows_max, time, time_or_none};
use super::{SqliteStore, SqliteUnit};
use crate::audit::{address_shown, endpoint_moved};
use crate::paging::page;

type Done<T> = std::result::Result<T, Fault>;

#[async_trait]
impl WebhookEndpointRepository for SqliteUnit {
    async fn add(&mut self, endpoint: &WebhookEndpoint, by: &Signed<'_>) -> Done<bool> {
        let added = insert(self.connection(), endpoint).map_err(fault("webhook_endpoints.add"))?;
        if added {
            self.record(&[endpoint_moved("add", endpoint.id, address_shown(&endpoint.url), by)]).await?;
        }
        Ok(added)
    }

    async fn change(
        &mut self,
        id: Uuid,
        change: &EndpointChange,
        by: &Signed<'_>,
    ) -> Done<Option<WebhookEndpoint>> {
        const OPERATION: &str = "webhook_endpoints.change";
        let sql = "select * from webhook_endpoints where id = ?";
        let found = self.connection().query_row(sql, [id], endpoint).optional().map_err(fault(OPERATION))?;
        let Some(found) = found else { return Ok(None) };
        let changed = change.applied(found, by.at);
        store(self.connection(), &changed).map_err(fault(OPERATION))?;
        self.record(&[endpoint_moved("change", id, &change.in_words(), by)]).await?;
        Ok(Some(changed))
    }

    async fn remove(&mut self, id: Uuid, by: &Signed<'_>) -> Done<bool> {
        const OPERATION: &str = "webhook_endpoints.remove";
        let url = delete(self.connection(), id).map_err(fault(OPERATION))?;
        if let Some(url) = &url {
            self.record(&[endpoint_moved("remove", id, address_shown(url), by)]).await?;
        }
        Ok(url.is_some())
    }

    async fn redeliver(&mut self, id: Uuid, what: Redelivery, by: &Signed<'_>) -> Done<usize> {
        const OPERATION: &str = "webhook_deliveries.redeliver";
        // A round that is under way must not note over it what came of an attempt before.
        let raise = "update webhook_endpoints set revision = revision + 1 where id = ?";
        self.connection().execute(raise, [id]).map_err(fault(OPERATION))?;
        let (which, number, words) = match what {
            Redelivery::One(position) => ("= ?3", position, format!("event {position}")),
            Redelivery::Failed(max) => (
                "in (select position from webhook_deliveries where endpoint_id = ?2 and state = 'failed'
                     order by position limit ?3)",
                rows_max(max),
                "those that failed".to_owned(),
            ),
        };
        let sql = format!(
            "update webhook_deliveries set state = 'waiting', next_at = ?1, attempts = 0
             where endpoint_id = ?2 and position {which}"
        );
        let count = self.connection().execute(&sql, params![Micros(by.at), id, number]);
        let count = count.map_err(fault(OPERATION))?;
        if count > 0 {
            self.record(&[endpoint_moved("redeliver", id, &words, by)]).await?;
        }
        Ok(count)
    }
}

#[async_trait]
impl WebhookEndpoints for SqliteStore {
    async fn endpoints(&self) -> Done<Vec<WebhookEndpoint>> {
        self.read("webhook_endpoints.list", |connection| {
            let sql = "select * from webhook_endpoints order by created_at, id";
            connection.prepare_cached(sql)?.query_map([], endpoint)?.collect()
        })
        .await
    }

    async fn note_progress(&self, id: Uuid, progress: &Progress) -> Done<bool> {
        let unit = self.unit().await?;
        let noted = note(unit.connection(), id, progress).map_err(fault("webhook_endpoints.progress"))?;
        Box::new(unit).commit().await?;
        Ok(noted)
    }

    async fn deliveries(&self, id: Uuid, filter: DeliveryFilter, max: usize) -> Done<Page<Delivery>> {
        self.read("webhook_deliveries.list", move |connection| {
            let state = filter.state.map_or(String::new(), |state| format!("and state = '{state}'"));
            let sql = format!(
                "select * from webhook_deliveries where endpoint_id = ? and position < ? {state}
                 order by position desc limit ?"
            );
            let before = filter.before.unwrap_or(i64::MAX);
            let limit = rows_max(max.saturating_add(1));
            let found = connection
                .prepare_cached(&sql)?
                .query_map(params![id, before, limit], delivery)?
                .collect::<Result<_>>()?;
            Ok(page(found, max))
        })
        .await
    }

    async fn due_deliveries(&self, id: Uuid, now: Timestamp, max: usize) -> Done<Vec<Delivery>> {
        self.read("webhook_deliveries.due", move |connection| {
            let sql = "select * from webhook_deliveries where endpoint_id = ? and state = 'waiting' and next_at <= ?
                 order by next_at limit ?";
            let rows = params![id, Micros(now), rows_max(max)];
            connection.prepare_cached(sql)?.query_map(rows, delivery)?.collect()
        })
        .await
    }
}

/// Removes deliveries of before this moment, except those that wait.
pub(super) fn sweep(connection: &Connection, before: &Micros, max: usize) -> Result<usize> {
    let sql = "delete from webhook_deliveries where (endpoint_id, position) in (
             select endpoint_id, position from webhook_deliveries where state <> 'waiting' and last_at < ?2
             order by last_at limit ?1
         )";
    connection.prepare_cached(sql)?.execute(params![rows_max(max), before])
}

fn insert(connection: &Connection, it: &WebhookEndpoint) -> Result<bool> {
    let count = "select count(*) from webhook_endpoints";
    if connection.query_row(count, [], |row| row.get::<_, i64>(0))? >= rows_max(WEBHOOK_ENDPOINTS_MAX) {
        return Ok(false);
    }
    store(connection, it).map(|()| true)
}

fn store(connection: &Connection, it: &WebhookEndpoint) -> Result<()> {
    // Replacing the row would take its deliveries along.
    let sql = "insert into webhook_endpoints values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         on conflict (id) do update set url = excluded.url, types = excluded.types, note = excluded.note,
             secret = excluded.secret, previous_secret = excluded.previous_secret, rotated_at = excluded.rotated_at,
             state = excluded.state, trouble = excluded.trouble, position = excluded.position, failures = excluded.failures,
             failing_since = excluded.failing_since, next_attempt_at = excluded.next_attempt_at, revision = excluded.revision";
    let row = params![
        it.id,
        it.url,
        it.types.join(" "),
        it.note,
        it.secret,
        it.previous_secret,
        it.rotated_at.map(Micros),
        it.state.as_str(),
        it.trouble,
        it.position,
        it.failures,
        it.failing_since.map(Micros),
        it.next_attempt_at.map(Micros),
        Micros(it.created_at),
        it.revision,
    ];
    connection.prepare_cached(sql)?.execute(row).map(drop)
}

/// The address of the one that was removed.
fn delete(connection: &Connection, id: Uuid) -> Result<Option<String>> {
    let sql = "delete from webhook_endpoints where id = ? returning url";
    connection.query_row(sql, [id], |row| row.get(0)).optional()
}

fn note(connection: &Connection, id: Uuid, progress: &Progress) -> Result<bool> {
    let sql = "update webhook_endpoints set position = ?3, trouble = ?4, failures = ?5, failing_since = ?6,
             next_attempt_at = ?7, state = iif(?8, 'closed', state)
         where id = ?1 and position = ?2 and revision = ?9";
    let row = params![
        id,
        progress.from,
        progress.to,
        progress.trouble,
        progress.failures,
        progress.failing_since.map(Micros),
        progress.next_attempt_at.map(Micros),
        progress.closes,
        progress.revision,
    ];
    if connection.prepare_cached(sql)?.execute(row)? == 0 {
        return Ok(false);
    }
    let mut insert = connection
        .prepare_cached("replace into webhook_deliveries values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    for it in &progress.deliveries {
        insert.execute(params![
            id,
            it.position,
            it.order_id,
            it.event_type,
            it.state.as_str(),
            it.attempts,
            Micros(it.last_at),
            it.next_at.map(Micros),
            it.took_ms,
            it.answer,
            it.revision,
        ])?;
    }
    Ok(true)
}

fn endpoint(row: &Row<'_>) -> Result<WebhookEndpoint> {
    let types: String = row.get(2)?;
    Ok(WebhookEndpoint {
        id: row.get(0)?,
        url: row.get(1)?,
        types: types.split_whitespace().map(str::to_owned).collect(),
        note: row.get(3)?,
        secret: row.get(4)?,
        previous_secret: row.get(5)?,
        rotated_at: time_or_none(row, 6)?,
        state: name(row, 7)?,
        trouble: row.get(8)?,
        position: row.get(9)?,
        failures: row.get(10)?,
        failing_since: time_or_none(row, 11)?,
        next_attempt_at: time_or_none(row, 12)?,
        created_at: time(row, 13)?,
        revision: row.get(14)?,
    })
}

fn delivery(row: &Row<'_>) -> Result<Delivery> {
    Ok(Delivery {
        position: row.get(1)?,
        order_id: row.get(2)?,
        event_type: row.get(3)?,
        state: name::<DeliveryState>(row, 4)?,
        attempts: row.get(5)?,
        last_at: time(row, 6)?,
        next_at: time_or_none(row, 7)?,
        took_ms: row.get(8)?,
        answer: row.get(9)?,
        revision: row.get(10)?,
    })
}
