//! Webhook endpoints and what became of the events that were sent to them.

use application::ports::{
    AuditRepository, Delivery, DeliveryFilter, DeliveryState, EndpointChange, Page, Progress, Redelivery,
    WEBHOOK_ENDPOINTS_MAX, WebhookEndpoint, WebhookEndpointRepository, WebhookEndpoints,
};
use async_trait::async_trait;
use bus::{Fault, Signed, Unit};
use bus_postgres::{Act, Array, Param, broken, query, views};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::column::{Broken, count, name, rows_max, time, time_or_none};
use super::{PostgresStore, PostgresUnit};
use crate::audit::{address_shown, endpoint_moved};
use crate::paging::page;

/// Removes deliveries whose time has passed, except those that wait.
pub(super) const SWEEP: &str = "with due as materialized (
         select endpoint_id, position from webhook_deliveries where state <> 'waiting' and last_at < $2
         order by last_at limit $1
     ),
     gone as (
         delete from webhook_deliveries d using due
         where d.endpoint_id = due.endpoint_id and d.position = due.position returning 1
     )
     select count(*) from gone";

macro_rules! columns {
    () => {
        "id, url, types, note, secret, previous_secret, rotated_at, state, trouble, position, failures,
         failing_since, next_attempt_at, created_at, revision"
    };
}

#[async_trait]
impl WebhookEndpointRepository for PostgresUnit {
    async fn add(&mut self, endpoint: &WebhookEndpoint, by: &Signed<'_>) -> Result<bool, Fault> {
        const OPERATION: &str = "webhook_endpoints.add";
        // Two who add one at the same time must not both count the same.
        let lock = "lock table webhook_endpoints in share row exclusive mode";
        self.ask(Act::new(OPERATION, lock, Vec::new())).await?;
        let sql = "insert into webhook_endpoints (id, url, types, note, secret, previous_secret, rotated_at, state, trouble,
                 position, failures, failing_since, next_attempt_at, created_at, revision)
             select $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::bigint, $8::text, $9::text, $10::bigint,
                 $11::bigint, $12::bigint, $13::bigint, $14::bigint, $15::bigint
             where (select count(*) from webhook_endpoints) < $16
             returning id";
        let mut values = values(endpoint);
        values.push(Box::new(rows_max(WEBHOOK_ENDPOINTS_MAX)));
        let added = !self.ask(Act::new(OPERATION, sql, values)).await?.is_empty();
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
    ) -> Result<Option<WebhookEndpoint>, Fault> {
        const OPERATION: &str = "webhook_endpoints.change";
        let Some(found) = locked(self, OPERATION, id).await? else { return Ok(None) };
        let changed = change.applied(found, by.at);
        let sql = "update webhook_endpoints set url = $2, types = $3, note = $4, secret = $5, previous_secret = $6,
                 rotated_at = $7, state = $8, trouble = $9, position = $10, failures = $11, failing_since = $12,
                 next_attempt_at = $13, created_at = $14, revision = $15
             where id = $1";
        self.later(Act::new(OPERATION, sql, values(&changed)));
        self.record(&[endpoint_moved("change", id, &change.in_words(), by)]).await?;
        Ok(Some(changed))
    }

    async fn remove(&mut self, id: Uuid, by: &Signed<'_>) -> Result<bool, Fault> {
        const OPERATION: &str = "webhook_endpoints.remove";
        let sql = "delete from webhook_endpoints where id = $1 returning url";
        let rows = self.ask(Act::new(OPERATION, sql, vec![Box::new(id)])).await?;
        if let Some(row) = rows.first() {
            let url: String = row.try_get(0).map_err(|error| broken(OPERATION)(error.into()))?;
            self.record(&[endpoint_moved("remove", id, address_shown(&url), by)]).await?;
        }
        Ok(!rows.is_empty())
    }

    async fn redeliver(&mut self, id: Uuid, what: Redelivery, by: &Signed<'_>) -> Result<usize, Fault> {
        const OPERATION: &str = "webhook_deliveries.redeliver";
        // A round that is under way must not note over it what came of an attempt before.
        let raise = "update webhook_endpoints set revision = revision + 1 where id = $1";
        self.ask(Act::new(OPERATION, raise, vec![Box::new(id)])).await?;
        let (sql, number, words) = match what {
            Redelivery::One(position) => (
                "update webhook_deliveries set state = 'waiting', next_at = $3, attempts = 0
                 where endpoint_id = $1 and position = $2 returning position",
                position,
                format!("event {position}"),
            ),
            Redelivery::Failed(max) => (
                "update webhook_deliveries set state = 'waiting', next_at = $3, attempts = 0
                 where endpoint_id = $1 and position = any (array(
                     select position from webhook_deliveries where endpoint_id = $1 and state = 'failed'
                     order by position limit $2 for update
                 )) returning position",
                rows_max(max),
                "those that failed".to_owned(),
            ),
        };
        let values: Vec<Param> = vec![Box::new(id), Box::new(number), Box::new(by.at.as_microsecond())];
        let count = self.ask(Act::new(OPERATION, sql, values)).await?.len();
        if count > 0 {
            self.record(&[endpoint_moved("redeliver", id, &words, by)]).await?;
        }
        Ok(count)
    }
}

#[async_trait]
impl WebhookEndpoints for PostgresStore {
    async fn endpoints(&self) -> Result<Vec<WebhookEndpoint>, Fault> {
        const OPERATION: &str = "webhook_endpoints.list";
        let reader = self.reader(OPERATION).await?;
        let sql = concat!("select ", columns!(), " from webhook_endpoints order by created_at, id");
        let rows = query(&reader, OPERATION, sql, &[]).await?;
        views(&rows, OPERATION, endpoint)
    }

    async fn note_progress(&self, id: Uuid, progress: &Progress) -> Result<bool, Fault> {
        const OPERATION: &str = "webhook_endpoints.progress";
        let mut unit = self.unit().await?;
        let sql =
            "update webhook_endpoints set position = $3, trouble = $4, failures = $5, failing_since = $6,
                 next_attempt_at = $7, state = case when $8 then 'closed' else state end
             where id = $1 and position = $2 and revision = $9 returning id";
        let values: Vec<Param> = vec![
            Box::new(id),
            Box::new(progress.from),
            Box::new(progress.to),
            Box::new(progress.trouble.clone()),
            Box::new(i64::from(progress.failures)),
            Box::new(progress.failing_since.map(Timestamp::as_microsecond)),
            Box::new(progress.next_attempt_at.map(Timestamp::as_microsecond)),
            Box::new(progress.closes),
            Box::new(progress.revision),
        ];
        let noted = !unit.ask(Act::new(OPERATION, sql, values)).await?.is_empty();
        if noted && !progress.deliveries.is_empty() {
            unit.later(note(id, &progress.deliveries));
        }
        Box::new(unit).commit().await?;
        Ok(noted)
    }

    async fn deliveries(
        &self,
        id: Uuid,
        filter: DeliveryFilter,
        max: usize,
    ) -> Result<Page<Delivery>, Fault> {
        const OPERATION: &str = "webhook_deliveries.list";
        let reader = self.reader(OPERATION).await?;
        let state = filter.state.map_or(String::new(), |state| format!("and state = '{state}'"));
        let sql = format!(
            "select position, order_id, event_type, state, attempts, last_at, next_at, took_ms, answer, revision
             from webhook_deliveries where endpoint_id = $1 and position < $2 {state} order by position desc limit $3"
        );
        let before = filter.before.unwrap_or(i64::MAX);
        let limit = rows_max(max.saturating_add(1));
        let rows =
            query(&reader, OPERATION, &sql, &[Box::new(id), Box::new(before), Box::new(limit)]).await?;
        Ok(page(views(&rows, OPERATION, delivery)?, max))
    }

    async fn due_deliveries(&self, id: Uuid, now: Timestamp, max: usize) -> Result<Vec<Delivery>, Fault> {
        const OPERATION: &str = "webhook_deliveries.due";
        let reader = self.reader(OPERATION).await?;
        let sql = "select position, order_id, event_type, state, attempts, last_at, next_at, took_ms, answer, revision
             from webhook_deliveries where endpoint_id = $1 and state = 'waiting' and next_at <= $2
             order by next_at limit $3";
        let values: Vec<bus_postgres::Value<'_>> =
            vec![Box::new(id), Box::new(now.as_microsecond()), Box::new(rows_max(max))];
        let rows = query(&reader, OPERATION, sql, &values).await?;
        views(&rows, OPERATION, delivery)
    }
}

async fn locked(
    unit: &mut PostgresUnit,
    operation: &'static str,
    id: Uuid,
) -> Result<Option<WebhookEndpoint>, Fault> {
    let sql = concat!("select ", columns!(), " from webhook_endpoints where id = $1 for update");
    let rows = unit.ask(Act::new(operation, sql, vec![Box::new(id)])).await?;
    rows.first().map(endpoint).transpose().map_err(broken(operation))
}

fn note(id: Uuid, deliveries: &[Delivery]) -> Act {
    let sql = "insert into webhook_deliveries (endpoint_id, position, order_id, event_type, state, attempts, last_at, next_at,
             took_ms, answer, revision)
         select $1::uuid, position, order_id, event_type, state, attempts, last_at, nullif(next_at, 0), took_ms, answer, revision
         from unnest($2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
             $10::text[], $11::bigint[])
             as sent (position, order_id, event_type, state, attempts, last_at, next_at, took_ms, answer, revision)
         order by position
         on conflict (endpoint_id, position) do update set state = excluded.state, attempts = excluded.attempts,
             last_at = excluded.last_at, next_at = excluded.next_at, took_ms = excluded.took_ms, answer = excluded.answer,
             revision = excluded.revision";
    let all = || deliveries.iter();
    let next = |delivery: &Delivery| delivery.next_at.map_or(0, Timestamp::as_microsecond);
    Act::new(
        "webhook_deliveries.note",
        sql,
        vec![
            Box::new(id),
            Box::new(Array::numbers(all().map(|it| it.position))),
            Box::new(Array::uuids(all().map(|it| it.order_id))),
            Box::new(Array::texts(all().map(|it| it.event_type.as_str()))),
            Box::new(Array::texts(all().map(|it| it.state.as_str()))),
            Box::new(Array::numbers(all().map(|it| i64::from(it.attempts)))),
            Box::new(Array::times(all().map(|it| it.last_at))),
            Box::new(Array::numbers(all().map(next))),
            Box::new(Array::numbers(all().map(|it| i64::from(it.took_ms)))),
            Box::new(Array::texts(all().map(|it| it.answer.as_str()))),
            Box::new(Array::numbers(all().map(|it| it.revision))),
        ],
    )
}

fn values(endpoint: &WebhookEndpoint) -> Vec<Param> {
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
    vec![
        Box::new(endpoint.id),
        Box::new(endpoint.url.clone()),
        Box::new(endpoint.types.join(" ")),
        Box::new(endpoint.note.clone()),
        Box::new(endpoint.secret.clone()),
        Box::new(endpoint.previous_secret.clone()),
        Box::new(micros(endpoint.rotated_at)),
        Box::new(endpoint.state.as_str()),
        Box::new(endpoint.trouble.clone()),
        Box::new(endpoint.position),
        Box::new(i64::from(endpoint.failures)),
        Box::new(micros(endpoint.failing_since)),
        Box::new(micros(endpoint.next_attempt_at)),
        Box::new(endpoint.created_at.as_microsecond()),
        Box::new(endpoint.revision),
    ]
}

fn endpoint(row: &Row) -> Result<WebhookEndpoint, Broken> {
    let types: String = row.try_get(2)?;
    Ok(WebhookEndpoint {
        id: row.try_get(0)?,
        url: row.try_get(1)?,
        types: types.split_whitespace().map(str::to_owned).collect(),
        note: row.try_get(3)?,
        secret: row.try_get(4)?,
        previous_secret: row.try_get(5)?,
        rotated_at: time_or_none(row, 6)?,
        state: name(row, 7)?,
        trouble: row.try_get(8)?,
        position: row.try_get(9)?,
        failures: count(row, 10)?,
        failing_since: time_or_none(row, 11)?,
        next_attempt_at: time_or_none(row, 12)?,
        created_at: time(row, 13)?,
        revision: row.try_get(14)?,
    })
}

fn delivery(row: &Row) -> Result<Delivery, Broken> {
    Ok(Delivery {
        position: row.try_get(0)?,
        order_id: row.try_get(1)?,
        event_type: row.try_get(2)?,
        state: name::<DeliveryState>(row, 3)?,
        attempts: count(row, 4)?,
        last_at: time(row, 5)?,
        next_at: time_or_none(row, 6)?,
        took_ms: count(row, 7)?,
        answer: row.try_get(8)?,
        revision: row.try_get(9)?,
    })
}
