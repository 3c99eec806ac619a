//! The events of all orders in one order, read through the batches in which they were written.

use application::ports::{EventFilter, EventPage, EventsRead, OrderEventLog, OrderEventView};
use async_trait::async_trait;
use bus::Fault;
use bus_postgres::{Array, Lent, broken, query, views};
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresStore;
use super::column::{Broken, rows_max, time};
use super::event_batch::{BATCH, end_of};
use super::settled::Reach;

const OPERATION: &str = "events.list";

/// Batches and orders that one read looks at, about.
const BATCHES_MAX: i64 = 200;
const ORDERS_MAX: usize = 1_000;

/// Removes batches whose time has passed, oldest first, and notes up to where they are gone.
pub(super) const SWEEP: &str = "with due as materialized (
         select position from event_batches where position in (
             select position from event_batches order by position limit $1
         ) and at < $2 order by position for update skip locked
     ),
     gone as (delete from event_batches b using due where b.position = due.position returning b.position),
     noted as (
         update event_floor set position = greatest(position, (select (max(position) + 1) * 16384 - 1 from gone))
         where exists (select from gone)
     )
     select count(*) from gone";

#[async_trait]
impl OrderEventLog for PostgresStore {
    async fn events(&self, filter: &EventFilter, max: usize) -> Result<EventsRead, Fault> {
        let client = self.reader(OPERATION).await?;
        let Reach { given, settled } = self.settled().reach(&client).await?;
        let newest = end_of(settled);
        if filter.after > end_of(given) {
            return Ok(EventsRead::Beyond { newest });
        }
        let stretch = batches(&client, filter.after, settled).await?;
        // Looked at last: what was swept before the batches were read is behind it, so no gap goes unsaid.
        let floor = floor(&client).await?;
        if filter.after != 0 && filter.after < floor {
            return Ok(EventsRead::Swept { up_to: floor });
        }
        let after = filter.after.max(floor);
        let Some(end) = stretch.end else {
            let next = after.max(newest);
            return Ok(EventsRead::Page(EventPage { next, ..EventPage::default() }));
        };
        let events = entries(&client, &stretch, after, &filter.wanted(), max).await?;
        let next = if events.len() < max { end } else { events.last().map_or(end, |event| event.position) };
        let next = next.max(after);
        Ok(EventsRead::Page(EventPage { events, next, has_more: next < newest }))
    }

    async fn newest_event(&self) -> Result<i64, Fault> {
        let client = self.reader(OPERATION).await?;
        Ok(end_of(self.settled().reach(&client).await?.settled))
    }

    async fn event(&self, order_id: Uuid, position: i64) -> Result<Option<OrderEventView>, Fault> {
        let client = self.reader("events.read").await?;
        let sql = "select h.position, h.event, h.order_id, o.external_reference, h.at, h.status, h.saga_state, h.detail
             from order_history h left join orders o using (order_id) where h.order_id = $1 and h.position = $2";
        let rows = query(&client, "events.read", sql, &[Box::new(order_id), Box::new(position)]).await?;
        Ok(views(&rows, "events.read", view)?.into_iter().next())
    }
}

/// Up to where the batches are gone.
async fn floor(client: &Lent) -> Result<i64, Fault> {
    let rows = query(client, OPERATION, "select position from event_floor", &[]).await?;
    let found = rows.first().map_or(Ok(0), |row| row.try_get(0));
    found.map_err(|error| broken(OPERATION)(error.into()))
}

/// Batches in a row: each with one of its orders, and the last position of the last.
struct Stretch {
    batch: Vec<i64>,
    order_id: Vec<Uuid>,
    end: Option<i64>,
}

async fn batches(client: &Lent, after: i64, settled: i64) -> Result<Stretch, Fault> {
    let sql = "select position, order_ids from event_batches where position >= $1 and position <= $2
         order by position limit $3";
    let values: Vec<bus_postgres::Value<'_>> =
        vec![Box::new((after + 1) / BATCH), Box::new(settled), Box::new(BATCHES_MAX)];
    let rows = query(client, OPERATION, sql, &values).await?;
    let found = views(&rows, OPERATION, |row| Ok((row.try_get(0)?, row.try_get::<_, Vec<Uuid>>(1)?)))?;
    let mut stretch = Stretch { batch: Vec::new(), order_id: Vec::new(), end: None };
    for (position, orders) in found {
        if stretch.order_id.len() >= ORDERS_MAX {
            break;
        }
        stretch.batch.extend(orders.iter().map(|_| position));
        stretch.order_id.extend(orders);
        stretch.end = Some(end_of(position));
    }
    Ok(stretch)
}

async fn entries(
    client: &Lent,
    stretch: &Stretch,
    after: i64,
    types: &[&str],
    max: usize,
) -> Result<Vec<OrderEventView>, Fault> {
    let sql =
        "select h.position, h.event, h.order_id, o.external_reference, h.at, h.status, h.saga_state, h.detail
         from unnest($1::bigint[], $2::uuid[]) as b (batch, order_id)
         join order_history h on h.order_id = b.order_id
             and h.position >= b.batch * 16384 and h.position < (b.batch + 1) * 16384
         left join orders o on o.order_id = b.order_id
         where h.position > $3 and h.event = any($4::text[]) and not h.is_refused
         order by h.position limit $5";
    let values: Vec<bus_postgres::Value<'_>> = vec![
        Box::new(Array::numbers(stretch.batch.iter().copied())),
        Box::new(Array::uuids(stretch.order_id.iter().copied())),
        Box::new(after),
        Box::new(Array::texts(types.iter().copied())),
        Box::new(rows_max(max)),
    ];
    let rows = query(client, OPERATION, sql, &values).await?;
    views(&rows, OPERATION, view)
}

fn view(row: &Row) -> Result<OrderEventView, Broken> {
    Ok(OrderEventView {
        position: row.try_get(0)?,
        event_type: row.try_get(1)?,
        order_id: row.try_get(2)?,
        external_reference: row.try_get(3)?,
        at: time(row, 4)?,
        status: row.try_get(5)?,
        saga_state: row.try_get(6)?,
        detail: row.try_get(7)?,
    })
}
