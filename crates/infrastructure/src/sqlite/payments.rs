//! Payments, one for each order. The key of each is stored before the gateway is called.

use application::ports::PaymentRepository;
use async_trait::async_trait;
use bus::Fault;
use domain::{Dispute, OrderId, Payment, PaymentNotes};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::SqliteUnit;
use super::column::{Micros, broken, money, name, name_or_none, time_or_none};
use crate::tally::{count_captured, count_refunded};
use bus_sqlite::{changed_meanwhile, conflict_if_taken, fault};

#[async_trait]
impl PaymentRepository for SqliteUnit {
    async fn insert(&mut self, payments: &[Payment], at: Timestamp) -> std::result::Result<(), Fault> {
        checked(payments, "payments.insert")?;
        insert(self.connection(), payments, at).map_err(conflict_if_taken("payments.insert"))?;
        payments.iter().for_each(|payment| self.tally_money(payment));
        Ok(())
    }

    async fn get(&mut self, order_ids: &[OrderId]) -> std::result::Result<Vec<Payment>, Fault> {
        self.read_unread_payments(order_ids).map_err(fault("payments.get"))?;
        let known = |id: &OrderId| self.rows.view.payment(self.memory(), *id).cloned();
        let found: Vec<Payment> = order_ids.iter().filter_map(known).collect();
        checked(&found, "payments.get")?;
        Ok(found)
    }

    async fn update(&mut self, payments: &[Payment], at: Timestamp) -> std::result::Result<(), Fault> {
        checked(payments, "payments.update")?;
        let ids: Vec<OrderId> = payments.iter().map(|payment| payment.order_id).collect();
        self.read_unread_payments(&ids).map_err(fault("payments.update"))?;
        self.touch_orders(payments, at)?;
        if let Some(stray) = update(self.connection(), payments, at).map_err(fault("payments.update"))? {
            return Err(changed_meanwhile("payments.update", stray));
        }
        payments.iter().for_each(|payment| self.tally_money(payment));
        Ok(())
    }
}

impl SqliteUnit {
    fn read_unread_payments(&mut self, ids: &[OrderId]) -> Result<()> {
        let unread = |id: &&OrderId| self.rows.view.payment(self.memory(), **id).is_none();
        let unread: Vec<OrderId> = ids.iter().filter(unread).copied().collect();
        if !unread.is_empty() {
            let read = select(self.connection(), &unread)?;
            self.rows.view.payments.extend(read.into_iter().map(|payment| (payment.order_id, payment)));
        }
        Ok(())
    }

    /// An order has changed when its money went back or is disputed, whatever its status.
    fn touch_orders(&mut self, payments: &[Payment], at: Timestamp) -> std::result::Result<(), Fault> {
        let before = |payment: &Payment| self.rows.view.payment(self.memory(), payment.order_id);
        let moved = |payment: &&Payment| before(payment).is_some_and(|before| payment.is_moved_since(before));
        let ids: Vec<OrderId> = payments.iter().filter(moved).map(|payment| payment.order_id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        if self.rows.unsaved.has_new_orders() {
            self.save()?;
        }
        touch(self.connection(), &ids, at).map_err(fault("payments.update"))
    }

    fn tally_money(&mut self, payment: &Payment) {
        let before = self.rows.view.payment(self.memory(), payment.order_id);
        let (captured, refunded) =
            before.map_or((0, 0), |before| (before.captured_minor, before.refunded_minor));
        let currency = payment.amount.currency;
        count_captured(&mut self.counts, currency, payment.captured_minor - captured);
        count_refunded(&mut self.counts, currency, payment.refunded_minor - refunded);
        self.rows.view.payments.insert(payment.order_id, payment.clone());
    }
}

fn checked(payments: &[Payment], operation: &'static str) -> std::result::Result<(), Fault> {
    payments.iter().try_for_each(Payment::check).map_err(|error| Fault::give_up(operation, error))
}

fn insert(connection: &Connection, payments: &[Payment], at: Timestamp) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "insert into payments values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, ?13, ?14, ?15)",
    )?;
    for payment in payments {
        insert.execute(params![
            payment.order_id.0.as_bytes(),
            payment.key,
            payment.status.as_str(),
            payment.amount.minor,
            payment.amount.currency.code(),
            payment.captured_minor,
            payment.refunded_minor,
            payment.provider_reference,
            payment.attempts,
            payment.decline_code,
            Micros(at),
            payment.refund_told_minor,
            payment.dispute.map(Dispute::as_str),
            payment.notes.to_text(),
            payment.authorised_until.map(Micros),
        ])?;
    }
    Ok(())
}

/// The columns that [`payment`] reads, in its order.
pub(super) const COLUMNS: &str =
    "p.order_id, p.idempotency_key, p.status, p.amount_minor, p.currency, p.captured_minor,
     p.refunded_minor, p.provider_reference, p.attempts, p.decline_code, p.refund_told_minor, p.dispute, p.notes,
     p.authorised_until";

fn select(connection: &Connection, order_ids: &[OrderId]) -> Result<Vec<Payment>> {
    let sql = format!("select {COLUMNS} from payments p where p.order_id = ?");
    let mut select = connection.prepare_cached(&sql)?;
    let mut found = Vec::with_capacity(order_ids.len());
    for id in order_ids {
        found.extend(select.query_row([id.0.as_bytes()], payment).optional()?);
    }
    Ok(found)
}

/// The payment of a row.
pub(super) fn payment(row: &Row<'_>) -> Result<Payment> {
    Ok(Payment {
        order_id: OrderId(row.get(0)?),
        key: row.get(1)?,
        status: name(row, 2)?,
        amount: money(row, 3)?,
        captured_minor: row.get(5)?,
        refunded_minor: row.get(6)?,
        provider_reference: row.get(7)?,
        attempts: row.get(8)?,
        decline_code: row.get(9)?,
        refund_told_minor: row.get(10)?,
        dispute: name_or_none(row, 11)?,
        notes: notes(row, 12)?,
        authorised_until: time_or_none(row, 13)?,
    })
}

fn notes(row: &Row<'_>, column: usize) -> Result<PaymentNotes> {
    let Some(text) = row.get::<_, Option<String>>(column)? else { return Ok(PaymentNotes::default()) };
    let broken = || broken(column, "these are no notes of a payment");
    PaymentNotes::of_text(&text).ok_or_else(broken)
}

fn touch(connection: &Connection, ids: &[OrderId], at: Timestamp) -> Result<()> {
    let mut touch = connection
        .prepare_cached("update orders set updated_at = max(updated_at, ?2) where order_id = ?1")?;
    ids.iter().try_for_each(|id| touch.execute(params![id.0.as_bytes(), Micros(at)]).map(drop))
}

/// Stores all; the first that is not there, if any.
fn update(connection: &Connection, payments: &[Payment], at: Timestamp) -> Result<Option<OrderId>> {
    let mut update = connection.prepare_cached(
        "update payments set status = ?2, captured_minor = ?3, refunded_minor = ?4, provider_reference = ?5,
                 attempts = ?6, decline_code = ?7, updated_at = max(updated_at, ?8), refund_told_minor = ?9, dispute = ?10,
                 notes = ?11, authorised_until = ?12, amount_minor = ?13
             where order_id = ?1",
    )?;
    for payment in payments {
        let changed = update.execute(params![
            payment.order_id.0.as_bytes(),
            payment.status.as_str(),
            payment.captured_minor,
            payment.refunded_minor,
            payment.provider_reference,
            payment.attempts,
            payment.decline_code,
            Micros(at),
            payment.refund_told_minor,
            payment.dispute.map(Dispute::as_str),
            payment.notes.to_text(),
            payment.authorised_until.map(Micros),
            payment.amount.minor,
        ])?;
        if changed != 1 {
            return Ok(Some(payment.order_id));
        }
    }
    Ok(None)
}
