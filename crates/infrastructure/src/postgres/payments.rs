//! Payments, one for each order. The key of each is stored before the gateway is called.

use application::ports::PaymentRepository;
use async_trait::async_trait;
use bus::Fault;
use domain::{Dispute, OrderId, Payment, PaymentNotes};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresUnit;
use super::column::{Broken, count, money, name, name_or_none, time_or_none};
use crate::tally::{count_captured, count_refunded};
use bus_postgres::Act;
use bus_postgres::Array;
use bus_postgres::{CHANGED, broken};

#[async_trait]
impl PaymentRepository for PostgresUnit {
    async fn insert(&mut self, payments: &[Payment], at: Timestamp) -> Result<(), Fault> {
        checked(payments, "payments.insert")?;
        if !payments.is_empty() {
            self.later(insert(payments, at));
        }
        payments.iter().for_each(|payment| self.tally_money(payment));
        Ok(())
    }

    async fn get(&mut self, order_ids: &[OrderId]) -> Result<Vec<Payment>, Fault> {
        if order_ids.is_empty() {
            return Ok(Vec::new());
        }
        self.lock_sagas(order_ids);
        let rows = self.ask_beside(select(order_ids)).await?;
        let found =
            rows.iter().map(payment).collect::<Result<Vec<_>, _>>().map_err(broken("payments.get"))?;
        checked(&found, "payments.get")?;
        self.rows.seen.payments.extend(found.iter().map(|payment| (payment.order_id, payment.clone())));
        Ok(found)
    }

    async fn update(&mut self, payments: &[Payment], at: Timestamp) -> Result<(), Fault> {
        checked(payments, "payments.update")?;
        if payments.is_empty() {
            return Ok(());
        }
        self.read_unread_payments(payments).await?;
        self.touch_orders(payments, at);
        self.later(update(payments, at));
        payments.iter().for_each(|payment| self.tally_money(payment));
        Ok(())
    }
}

impl PostgresUnit {
    /// A payment that is stored without having been read here is looked at first, for the sake of the counts.
    async fn read_unread_payments(&mut self, payments: &[Payment]) -> Result<(), Fault> {
        let unread =
            payments.iter().filter(|payment| !self.rows.seen.payments.contains_key(&payment.order_id));
        let unread: Vec<OrderId> = unread.map(|payment| payment.order_id).collect();
        PaymentRepository::get(self, &unread).await.map(drop)
    }

    /// An order has changed when its money went back or is disputed, whatever its status.
    fn touch_orders(&mut self, payments: &[Payment], at: Timestamp) {
        let before = |payment: &Payment| self.rows.seen.payments.get(&payment.order_id);
        let moved = |payment: &&Payment| before(payment).is_some_and(|before| payment.is_moved_since(before));
        let ids: Vec<OrderId> = payments.iter().filter(moved).map(|payment| payment.order_id).collect();
        if ids.is_empty() {
            return;
        }
        self.send_new_orders();
        self.later(touch(&ids, at));
    }

    fn tally_money(&mut self, payment: &Payment) {
        let before = self.rows.seen.payments.insert(payment.order_id, payment.clone());
        let (captured, refunded) =
            before.map_or((0, 0), |before| (before.captured_minor, before.refunded_minor));
        let currency = payment.amount.currency;
        count_captured(&mut self.counts, currency, payment.captured_minor - captured);
        count_refunded(&mut self.counts, currency, payment.refunded_minor - refunded);
    }
}

fn checked(payments: &[Payment], operation: &'static str) -> Result<(), Fault> {
    payments.iter().try_for_each(Payment::check).map_err(|error| Fault::give_up(operation, error))
}

fn insert(payments: &[Payment], at: Timestamp) -> Act {
    let sql = "insert into payments (order_id, idempotency_key, status, amount_minor, currency, captured_minor,
             refunded_minor, provider_reference, attempts, decline_code, created_at, updated_at)
         select id, key, status, amount, currency, captured, refunded, reference, attempts, decline_code, $11, $11
         from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[],
             $8::text[], $9::bigint[], $10::text[])
             as fresh (id, key, status, amount, currency, captured, refunded, reference, attempts, decline_code)";
    Act::new(
        "payments.insert",
        sql,
        vec![
            Box::new(Array::uuids(payments.iter().map(|payment| payment.order_id.0))),
            Box::new(Array::texts(payments.iter().map(|payment| payment.key.as_str()))),
            Box::new(Array::texts(payments.iter().map(|payment| payment.status.as_str()))),
            Box::new(Array::numbers(payments.iter().map(|payment| payment.amount.minor))),
            Box::new(Array::texts(payments.iter().map(|payment| payment.amount.currency.code()))),
            Box::new(Array::numbers(payments.iter().map(|payment| payment.captured_minor))),
            Box::new(Array::numbers(payments.iter().map(|payment| payment.refunded_minor))),
            Box::new(Array::texts_or_null(
                payments.iter().map(|payment| payment.provider_reference.as_deref()),
            )),
            Box::new(Array::numbers(payments.iter().map(|payment| i64::from(payment.attempts)))),
            Box::new(Array::texts_or_null(payments.iter().map(|payment| payment.decline_code.as_deref()))),
            Box::new(at.as_microsecond()),
        ],
    )
    .conflict_if_taken()
}

/// The columns that [`payment`] reads, in its order.
macro_rules! columns {
    () => {
        "p.order_id, p.idempotency_key, p.status, p.amount_minor, p.currency, p.captured_minor, p.refunded_minor,
         p.provider_reference, p.attempts, p.decline_code, p.refund_told_minor, p.dispute, p.notes,
         p.authorised_until"
    };
}

/// The same, for others.
pub(super) const COLUMNS: &str = columns!();

fn select(order_ids: &[OrderId]) -> Act {
    let sql =
        concat!("select ", columns!(), " from payments p where p.order_id = any($1) order by p.order_id");
    Act::new("payments.get", sql, vec![Box::new(Array::uuids(order_ids.iter().map(|id| id.0)))])
}

/// The payment of a row.
pub(super) fn payment(row: &Row) -> Result<Payment, Broken> {
    Ok(Payment {
        order_id: OrderId(row.try_get(0)?),
        key: row.try_get(1)?,
        status: name(row, 2)?,
        amount: money(row, 3)?,
        captured_minor: row.try_get(5)?,
        refunded_minor: row.try_get(6)?,
        provider_reference: row.try_get(7)?,
        attempts: count(row, 8)?,
        decline_code: row.try_get(9)?,
        refund_told_minor: row.try_get(10)?,
        dispute: name_or_none(row, 11)?,
        notes: notes(row, 12)?,
        authorised_until: time_or_none(row, 13)?,
    })
}

fn notes_of(payments: &[Payment]) -> Array {
    let mut notes = Array::of_texts();
    payments.iter().for_each(|payment| notes.push_text_or_null(payment.notes.to_text().as_deref()));
    notes
}

/// When their authorisations end.
fn ends_of(payments: &[Payment]) -> Array {
    let mut ends = Array::of_numbers();
    let each = payments.iter().map(|payment| payment.authorised_until);
    each.for_each(|until| ends.push_number_or_null(until.map(Timestamp::as_microsecond)));
    ends
}

fn notes(row: &Row, column: usize) -> Result<PaymentNotes, Broken> {
    let Some(text) = row.try_get::<_, Option<String>>(column)? else { return Ok(PaymentNotes::default()) };
    PaymentNotes::of_text(&text).ok_or_else(|| "these are no notes of a payment".into())
}

fn touch(ids: &[OrderId], at: Timestamp) -> Act {
    let sql = "update orders set updated_at = greatest(updated_at, $2) where order_id = any($1)";
    let ids = Array::uuids(ids.iter().map(|id| id.0));
    Act::new("payments.update", sql, vec![Box::new(ids), Box::new(at.as_microsecond())])
}

fn update(payments: &[Payment], at: Timestamp) -> Act {
    let sql = "with moved as (
             update payments p set status = n.status, captured_minor = n.captured, refunded_minor = n.refunded,
                 provider_reference = n.reference, attempts = n.attempts, decline_code = n.decline_code,
                 refund_told_minor = n.refund_told, dispute = n.dispute, notes = n.notes,
                 authorised_until = n.authorised_until, amount_minor = n.amount,
                 updated_at = greatest(p.updated_at, $8)
             from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::text[],
                 $10::bigint[], $11::text[], $12::text[], $13::bigint[], $14::bigint[])
                 as n (id, status, captured, refunded, reference, attempts, decline_code, refund_told, dispute, notes,
                     authorised_until, amount)
             where p.order_id = n.id returning 1
         )
         select require_rows((select count(*) from moved), cardinality($1::uuid[]), $9, 'payments.update')";
    Act::new(
        "payments.update",
        sql,
        vec![
            Box::new(Array::uuids(payments.iter().map(|payment| payment.order_id.0))),
            Box::new(Array::texts(payments.iter().map(|payment| payment.status.as_str()))),
            Box::new(Array::numbers(payments.iter().map(|payment| payment.captured_minor))),
            Box::new(Array::numbers(payments.iter().map(|payment| payment.refunded_minor))),
            Box::new(Array::texts_or_null(
                payments.iter().map(|payment| payment.provider_reference.as_deref()),
            )),
            Box::new(Array::numbers(payments.iter().map(|payment| i64::from(payment.attempts)))),
            Box::new(Array::texts_or_null(payments.iter().map(|payment| payment.decline_code.as_deref()))),
            Box::new(at.as_microsecond()),
            Box::new(CHANGED),
            Box::new(Array::numbers(payments.iter().map(|payment| payment.refund_told_minor))),
            Box::new(Array::texts_or_null(
                payments.iter().map(|payment| payment.dispute.map(Dispute::as_str)),
            )),
            Box::new(notes_of(payments)),
            Box::new(ends_of(payments)),
            Box::new(Array::numbers(payments.iter().map(|payment| payment.amount.minor))),
        ],
    )
}
