//! The statements that store what a unit has written of orders, sagas and histories. Each takes a whole set.

use application::ports::{AuditEntry, HistoryEntry, NewOrderRow, StatusMove};
use application::saga::SagaState;
use bus_postgres::{Act, Array, CHANGED, Param};
use domain::{CancelReason, Capture, OrderStatus, WhenShort};
use jiff::Timestamp;
use uuid::Uuid;

use super::event_batch::BATCH_ENTRIES_MAX;
use crate::unsaved::{CancellationRow, UnsavedSaga};

/// New orders, as they stand by now.
pub(super) fn insert_orders(orders: &[NewOrderRow]) -> Act {
    let sql = "insert into orders (order_id, customer_id, order_date, status, total_minor, currency, created_at,
             updated_at, external_reference, payment_token, reference_source, added_minor)
         select order_id, customer_id, order_date, status, total_minor, currency, created_at, updated_at, external_reference,
             payment_token, reference_source, nullif(added_minor, 0)
         from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
             $8::bigint[], $9::text[], $10::text[], $11::text[], $12::bigint[])
             as fresh (order_id, customer_id, order_date, status, total_minor, currency, created_at, updated_at,
                 external_reference, payment_token, reference_source, added_minor)";
    let all = || orders.iter().map(|row| row.order.snapshot());
    Act::new(
        "orders.create",
        sql,
        vec![
            Box::new(Array::uuids(all().map(|order| order.id.0))),
            Box::new(Array::texts(all().map(|order| order.customer_id.as_str()))),
            Box::new(Array::times(all().map(|order| order.ordered_at))),
            Box::new(Array::texts(all().map(|order| order.status.as_str()))),
            Box::new(Array::numbers(all().map(|order| order.total.minor))),
            Box::new(Array::texts(all().map(|order| order.total.currency.code()))),
            Box::new(Array::times(all().map(|order| order.created_at))),
            Box::new(Array::times(all().map(|order| order.updated_at))),
            Box::new(Array::texts_or_null(all().map(|order| order.external_reference.as_deref()))),
            Box::new(Array::texts_or_null(orders.iter().map(|row| row.payment_token.as_deref()))),
            Box::new(Array::texts_or_null(orders.iter().map(|row| row.source.as_deref()))),
            Box::new(Array::numbers(all().map(|order| order.added_minor))),
        ],
    )
    .conflict_if_taken()
}

/// What new orders say beside who wants what; none if none says anything.
pub(super) fn insert_details(orders: &[NewOrderRow]) -> Option<Act> {
    let with_details = || orders.iter().filter_map(|row| Some((row.order.id().0, row.details.as_deref()?)));
    with_details().next()?;
    let sql = "insert into order_details (order_id, details) select * from unnest($1::uuid[], $2::text[])";
    let (ids, details) =
        (Array::uuids(with_details().map(|it| it.0)), Array::texts(with_details().map(|it| it.1)));
    Some(Act::new("orders.create", sql, vec![Box::new(ids), Box::new(details)]))
}

/// The lines of new orders.
pub(super) fn insert_lines(orders: &[NewOrderRow]) -> Act {
    let sql = "insert into order_items (order_id, ordinal, order_item_id, product_id, sku, quantity, unit_price_minor,
             currency)
         select * from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[],
             $8::text[])";
    let (mut order_id, mut ordinals) = (Array::of_uuids(), Array::of_numbers());
    for row in orders {
        for (ordinal, _) in (0..).zip(row.order.lines()) {
            order_id.push_uuid(row.order.id().0);
            ordinals.push_number(ordinal);
        }
    }
    let lines = || orders.iter().flat_map(|row| row.order.lines());
    Act::new(
        "orders.create",
        sql,
        vec![
            Box::new(order_id),
            Box::new(ordinals),
            Box::new(Array::uuids(lines().map(|line| line.item_id.0))),
            Box::new(Array::uuids(lines().map(|line| line.product_id.0))),
            Box::new(Array::texts(lines().map(|line| line.sku.as_str()))),
            Box::new(Array::numbers(lines().map(|line| i64::from(line.quantity.get())))),
            Box::new(Array::numbers(lines().map(|line| line.unit_price.minor))),
            Box::new(Array::texts(lines().map(|line| line.unit_price.currency.code()))),
        ],
    )
    .conflict_if_taken()
}

/// Moves, one for each order.
pub(super) fn move_orders(moves: &[StatusMove]) -> Act {
    let sql = "with moved as (
             update orders o set status = n.becomes, updated_at = greatest(o.updated_at, n.at)
             from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) as n (id, was, becomes, at)
             where o.order_id = n.id and o.status = n.was returning 1
         )
         select require_rows((select count(*) from moved), cardinality($1::uuid[]), $5, 'orders.update')";
    Act::new(
        "orders.update",
        sql,
        vec![
            Box::new(Array::uuids(moves.iter().map(|step| step.change.order_id.0))),
            Box::new(Array::texts(moves.iter().map(|step| step.from.as_str()))),
            Box::new(Array::texts(moves.iter().map(|step| step.to.as_str()))),
            Box::new(Array::times(moves.iter().map(|step| step.change.at))),
            Box::new(CHANGED),
        ],
    )
}

/// Why orders were called off.
pub(super) fn record_cancellations(cancelled: &[CancellationRow]) -> Act {
    let sql = "insert into cancellations (order_id, reason, actor, note, at)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[])";
    let records = || cancelled.iter().map(|row| &row.record);
    Act::new(
        "orders.update",
        sql,
        vec![
            Box::new(Array::uuids(cancelled.iter().map(|row| row.order_id.0))),
            Box::new(Array::texts(records().map(|record| record.reason.as_str()))),
            Box::new(Array::texts(records().map(|record| record.actor.as_str()))),
            Box::new(Array::texts(records().map(|record| record.note.as_str()))),
            Box::new(Array::times(cancelled.iter().map(|row| row.at))),
        ],
    )
}

/// New instances.
pub(super) fn insert_sagas(sagas: &[UnsavedSaga]) -> Act {
    let sql = "insert into order_saga (correlation_id, order_id, version, state, order_status, stock, payment, shipment,
             reason, total_minor, currency, timer_generation, created_at, updated_at, expires_at, has_address, holds, captures_later,
             waits_for_stock)
         select id, id, version, state, order_status, stock, payment, shipment, reason, total_minor, currency,
             timer_generation, created_at, updated_at, expires_at, has_address <> 0, holds, captures_later <> 0,
             waits_for_stock <> 0
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
             $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::bigint[], $14::bigint[],
             $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[])
             as fresh (id, state, order_status, stock, payment, shipment, reason, timer_generation, version,
                 updated_at, total_minor, currency, created_at, expires_at, has_address, holds, captures_later,
                 waits_for_stock)";
    let all = || sagas.iter().map(|unsaved| &unsaved.saga);
    let mut params = changing(sagas);
    params.extend([
        Box::new(Array::numbers(all().map(|saga| saga.total.minor))) as Param,
        Box::new(Array::texts(all().map(|saga| saga.total.currency.code()))),
        Box::new(Array::times(all().map(|saga| saga.created_at))),
        Box::new(Array::times(all().map(|saga| saga.expires_at))),
        Box::new(Array::numbers(all().map(|saga| saga.has_address.into()))),
        Box::new(Array::numbers(all().map(|saga| saga.holds.code().into()))),
        Box::new(Array::numbers(all().map(|saga| i64::from(saga.capture == Capture::AtShipment)))),
        Box::new(Array::numbers(all().map(|saga| i64::from(saga.when_short == WhenShort::Wait)))),
    ]);
    Act::new("sagas.insert", sql, params).conflict_if_taken()
}

/// Changed instances. Each change has a later moment than the one before, whatever the clocks say.
pub(super) fn update_sagas(sagas: &[UnsavedSaga]) -> Act {
    let sql = "with moved as (
             update order_saga s set state = n.state, order_status = n.order_status, stock = n.stock,
                 payment = n.payment, shipment = n.shipment, reason = n.reason,
                 timer_generation = n.timer_generation, version = n.version, attention = n.attention,
                 has_address = n.has_address <> 0, holds = n.holds, updated_at = greatest(s.updated_at + 1, n.updated_at)
             from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                 $8::bigint[], $9::bigint[], $10::bigint[], $12::text[], $13::bigint[], $14::bigint[])
                 as n (id, state, order_status, stock, payment, shipment, reason, timer_generation, version,
                     updated_at, attention, has_address, holds)
             where s.correlation_id = n.id returning 1
         )
         select require_rows((select count(*) from moved), cardinality($1::uuid[]), $11, 'sagas.update')";
    let mut params = changing(sagas);
    params.push(Box::new(CHANGED));
    let mut attention = Array::of_texts();
    sagas.iter().for_each(|unsaved| attention.push_text_or_null(unsaved.saga.attention.to_text().as_deref()));
    params.push(Box::new(attention));
    let has_address = sagas.iter().map(|unsaved| unsaved.saga.has_address.into());
    params.push(Box::new(Array::numbers(has_address)));
    params.push(Box::new(Array::numbers(sagas.iter().map(|unsaved| unsaved.saga.holds.code().into()))));
    Act::new("sagas.update", sql, params)
}

/// The name and the columns of which at least one changes with every step, or which a migration changes.
fn changing(sagas: &[UnsavedSaga]) -> Vec<Param> {
    let all = || sagas.iter().map(|unsaved| &unsaved.saga);
    vec![
        Box::new(Array::uuids(all().map(|saga| saga.order_id.0))),
        Box::new(Array::texts(all().map(|saga| saga.state.as_str()))),
        Box::new(Array::texts(all().map(|saga| saga.order.as_str()))),
        Box::new(Array::texts(all().map(|saga| saga.stock.as_str()))),
        Box::new(Array::texts(all().map(|saga| saga.payment.as_str()))),
        Box::new(Array::texts(all().map(|saga| saga.shipment.as_str()))),
        Box::new(Array::texts_or_null(all().map(|saga| saga.reason.map(CancelReason::as_str)))),
        Box::new(Array::numbers(all().map(|saga| i64::from(saga.timer_generation)))),
        Box::new(Array::numbers(all().map(|saga| i64::from(saga.version)))),
        Box::new(Array::times(sagas.iter().map(|unsaved| unsaved.at))),
    ]
}

/// The entries of one transaction, whoever added them: one statement for all, unless there are very many.
#[derive(Default)]
pub(super) struct HistoryColumns {
    batches: Vec<HistoryBatch>,
}

impl HistoryColumns {
    pub(super) fn push(&mut self, entry: &HistoryEntry) {
        match self.batches.last_mut() {
            Some(batch) if batch.orders.len() < BATCH_ENTRIES_MAX => batch.push(entry),
            Some(_) | None => {
                let mut batch = HistoryBatch::new(entry.at);
                batch.push(entry);
                self.batches.push(batch);
            }
        }
    }

    /// The statements that write them; none if there are none.
    pub(super) fn store(&mut self) -> Vec<Act> {
        self.batches.drain(..).map(HistoryBatch::store).collect()
    }
}

/// Entries that are found by one row of `event_batches`.
struct HistoryBatch {
    began_at: Timestamp,
    orders: Vec<Uuid>,
    order_id: Array,
    at: Array,
    event: Array,
    status: Array,
    saga_state: Array,
    detail: Array,
    /// 0 and 1.
    is_refused: Array,
}

impl HistoryBatch {
    fn new(began_at: Timestamp) -> Self {
        Self {
            began_at,
            orders: Vec::new(),
            order_id: Array::of_uuids(),
            at: Array::of_numbers(),
            event: Array::of_texts(),
            status: Array::of_texts(),
            saga_state: Array::of_texts(),
            detail: Array::of_texts(),
            is_refused: Array::of_numbers(),
        }
    }

    fn push(&mut self, entry: &HistoryEntry) {
        self.orders.push(entry.order_id.0);
        self.order_id.push_uuid(entry.order_id.0);
        self.at.push_time(entry.at);
        self.event.push_text(entry.event);
        self.status.push_text_or_null(entry.status.map(OrderStatus::as_str));
        self.saga_state.push_text_or_null(entry.saga_state.map(SagaState::as_str));
        self.detail.push_text_or_null(entry.detail.as_deref());
        self.is_refused.push_number(entry.is_refused.into());
    }

    fn store(mut self) -> Act {
        self.orders.sort_unstable();
        self.orders.dedup();
        let sql = "with batch as (
                 insert into event_batches (at, order_ids) values ($8, $9::uuid[]) returning position
             )
             insert into order_history (order_id, position, at, event, status, saga_state, detail, is_refused)
             select order_id, batch.position * 16384 + ordinal - 1, at, event, status, saga_state, detail, is_refused <> 0
             from batch, unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
                 with ordinality as entries (order_id, at, event, status, saga_state, detail, is_refused, ordinal)
             order by ordinal";
        Act::new(
            "history.append",
            sql,
            vec![
                Box::new(self.order_id),
                Box::new(self.at),
                Box::new(self.event),
                Box::new(self.status),
                Box::new(self.saga_state),
                Box::new(self.detail),
                Box::new(self.is_refused),
                Box::new(self.began_at.as_microsecond()),
                Box::new(Array::uuids(self.orders)),
            ],
        )
    }
}

/// Entries of the log of operators.
pub(super) fn record_audit(entries: &[AuditEntry]) -> Act {
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
