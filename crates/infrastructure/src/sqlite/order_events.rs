//! The events of all orders in one order, read through the batches in which they were written. Units commit one after the
//! other here, so what can be seen never has a gap.

use application::ports::{EventFilter, EventPage, EventsRead, HistoryEntry, OrderEventLog, OrderEventView};
use async_trait::async_trait;
use bus::Fault;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use uuid::Uuid;

use super::SqliteStore;
use super::column::{Micros, rows_max, time};

const OPERATION: &str = "events.list";

/// Batches and orders that one read looks at, about.
const BATCHES_MAX: i64 = 200;
const ORDERS_MAX: usize = 1_000;

#[async_trait]
impl OrderEventLog for SqliteStore {
    async fn events(&self, filter: &EventFilter, max: usize) -> std::result::Result<EventsRead, Fault> {
        let filter = filter.clone();
        self.read(OPERATION, move |connection| list(connection, &filter, max)).await
    }

    async fn newest_event(&self) -> std::result::Result<i64, Fault> {
        self.read(OPERATION, newest).await
    }

    async fn event(
        &self,
        order_id: Uuid,
        position: i64,
    ) -> std::result::Result<Option<OrderEventView>, Fault> {
        self.read("events.read", move |connection| {
            let sql = "select h.position, h.event, h.order_id, o.external_reference, h.at, h.status, h.saga_state, h.detail
                 from order_history h left join orders o using (order_id) where h.order_id = ? and h.position = ?";
            connection.prepare_cached(sql)?.query_row(params![order_id, position], view).optional()
        })
        .await
    }
}

/// Notes that these entries were written, the first of them at this position.
pub(super) fn note(connection: &Connection, first: i64, entries: &[HistoryEntry]) -> Result<()> {
    let Some(entry) = entries.first() else { return Ok(()) };
    let mut orders: Vec<[u8; 16]> = entries.iter().map(|entry| *entry.order_id.0.as_bytes()).collect();
    orders.sort_unstable();
    orders.dedup();
    let sql = "insert into event_batches (position, entries, at, order_ids) values (?, ?, ?, ?)";
    let row = params![first, rows_max(entries.len()), Micros(entry.at), orders.concat()];
    connection.prepare_cached(sql)?.execute(row).map(drop)
}

/// Removes up to `max` batches of before this moment, oldest first, and notes up to where they are gone.
pub(super) fn sweep(connection: &Connection, before: &Micros, max: usize) -> Result<usize> {
    let oldest = "select position from event_batches order by position limit ?1";
    let due = format!("position in ({oldest}) and at < ?2");
    let end = format!("select max(position + entries - 1) from event_batches where {due}");
    let params = params![rows_max(max), before];
    let Some(end) = connection.prepare_cached(&end)?.query_row(params, |row| row.get::<_, Option<i64>>(0))?
    else {
        return Ok(0);
    };
    let gone =
        connection.prepare_cached(&format!("delete from event_batches where {due}"))?.execute(params)?;
    connection.prepare_cached("update event_floor set position = max(position, ?)")?.execute([end])?;
    Ok(gone)
}

fn newest(connection: &Connection) -> Result<i64> {
    let sql = "select max((select position from event_floor),
         coalesce((select position + entries - 1 from event_batches order by position desc limit 1), 0))";
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

fn list(connection: &Connection, filter: &EventFilter, max: usize) -> Result<EventsRead> {
    let newest = newest(connection)?;
    if filter.after > newest {
        return Ok(EventsRead::Beyond { newest });
    }
    let floor =
        connection.prepare_cached("select position from event_floor")?.query_row([], |row| row.get(0))?;
    if filter.after != 0 && filter.after < floor {
        return Ok(EventsRead::Swept { up_to: floor });
    }
    let after = filter.after.max(floor);
    let batches = batches(connection, after)?;
    let Some(end) = batches.last().map(|batch| batch.last) else {
        return Ok(EventsRead::Page(EventPage { next: after, ..EventPage::default() }));
    };
    let events = entries(connection, &batches, after, &filter.wanted(), max)?;
    let next = if events.len() < max { end } else { events.last().map_or(end, |event| event.position) };
    Ok(EventsRead::Page(EventPage { events, next, has_more: next < newest }))
}

/// Entries that were written in a row.
struct Batch {
    first: i64,
    last: i64,
    orders: Vec<[u8; 16]>,
}

fn batches(connection: &Connection, after: i64) -> Result<Vec<Batch>> {
    // The batch that the position lies in comes first: some of its entries may be behind it.
    let sql = "select position, position + entries - 1, order_ids from event_batches
         where position >= coalesce((select max(position) from event_batches where position <= ?1), 0)
             and position + entries - 1 > ?1
         order by position limit ?2";
    let batch = |row: &Row<'_>| {
        let orders: Vec<u8> = row.get(2)?;
        let (orders, _) = orders.as_chunks::<16>();
        Ok(Batch { first: row.get(0)?, last: row.get(1)?, orders: orders.to_vec() })
    };
    let mut read = connection.prepare_cached(sql)?;
    let mut batches: Vec<Batch> = Vec::new();
    let mut orders = 0;
    for batch in read.query_map(params![after, BATCHES_MAX], batch)? {
        if orders >= ORDERS_MAX {
            break;
        }
        let batch = batch?;
        orders += batch.orders.len();
        batches.push(batch);
    }
    Ok(batches)
}

fn entries(
    connection: &Connection,
    batches: &[Batch],
    after: i64,
    types: &[&str],
    max: usize,
) -> Result<Vec<OrderEventView>> {
    let sql =
        "select h.position, h.event, h.order_id, o.external_reference, h.at, h.status, h.saga_state, h.detail
         from order_history h left join orders o using (order_id)
         where h.order_id = ? and h.position between ? and ? and not h.is_refused order by h.position";
    let mut read = connection.prepare_cached(sql)?;
    let is_told = |event: &OrderEventView| types.contains(&event.event_type.as_str());
    let mut told: Vec<OrderEventView> = Vec::new();
    for batch in batches {
        let begun = told.len();
        for order in &batch.orders {
            let rows = params![order, batch.first.max(after + 1), batch.last];
            for event in read.query_map(rows, view)? {
                let event = event?;
                told.extend(is_told(&event).then_some(event));
            }
        }
        told[begun..].sort_unstable_by_key(|event| event.position);
        if told.len() >= max {
            told.truncate(max);
            break;
        }
    }
    Ok(told)
}

fn view(row: &Row<'_>) -> Result<OrderEventView> {
    Ok(OrderEventView {
        position: row.get(0)?,
        event_type: row.get(1)?,
        order_id: row.get(2)?,
        external_reference: row.get(3)?,
        at: time(row, 4)?,
        status: row.get(5)?,
        saga_state: row.get(6)?,
        detail: row.get(7)?,
    })
}
