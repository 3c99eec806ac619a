//! Payments, one for each order. The key of each is stored before the gateway is called.

use application::ports::PaymentRepository;
use async_trait::async_trait;
use bus::Fault;
use domain::{OrderId, Payment};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::SqliteUnit;
use super::column::{Micros, money, name};
use super::fault::{changed_meanwhile, conflict_if_taken, fault};
use super::tally::Tallied;

#[async_trait]
impl PaymentRepository for SqliteUnit {
    async fn insert(&mut self, payments: &[Payment], at: Timestamp) -> std::result::Result<(), Fault> {
        checked(payments, "payments.insert")?;
        insert(self.connection(), payments, at).map_err(conflict_if_taken("payments.insert"))?;
        payments.iter().for_each(|payment| self.tally_money(payment));
        Ok(())
    }

    async fn get(&mut self, order_ids: &[OrderId]) -> std::result::Result<Vec<Payment>, Fault> {
        let found = select(self.connection(), order_ids).map_err(fault("payments.get"))?;
        checked(&found, "payments.get")?;
        let money = |payment: &Payment| (payment.order_id, (payment.captured_minor, payment.refunded_minor));
        self.before.payments.extend(found.iter().map(money));
        Ok(found)
    }

    async fn update(&mut self, payments: &[Payment], at: Timestamp) -> std::result::Result<(), Fault> {
        checked(payments, "payments.update")?;
        self.read_unread_payments(payments).await?;
        for payment in payments {
            if update(self.connection(), payment, at).map_err(fault("payments.update"))? != 1 {
                return Err(changed_meanwhile("payments.update", payment.order_id));
            }
            self.tally_money(payment);
        }
        Ok(())
    }
}

impl SqliteUnit {
    /// A payment that is stored without having been read here is looked at first, for the sake of the counts.
    async fn read_unread_payments(&mut self, payments: &[Payment]) -> std::result::Result<(), Fault> {
        let unread = payments.iter().filter(|payment| !self.before.payments.contains_key(&payment.order_id));
        let unread: Vec<OrderId> = unread.map(|payment| payment.order_id).collect();
        PaymentRepository::get(self, &unread).await.map(drop)
    }

    fn tally_money(&mut self, payment: &Payment) {
        let after = (payment.captured_minor, payment.refunded_minor);
        let (captured, refunded) = self.before.payments.insert(payment.order_id, after).unwrap_or_default();
        let currency = payment.amount.currency;
        self.tally.add(Tallied::Captured(currency), after.0 - captured);
        self.tally.add(Tallied::Refunded(currency), after.1 - refunded);
    }
}

fn checked(payments: &[Payment], operation: &'static str) -> std::result::Result<(), Fault> {
    payments.iter().try_for_each(Payment::check).map_err(|error| Fault::give_up(operation, error))
}

fn insert(connection: &Connection, payments: &[Payment], at: Timestamp) -> Result<()> {
    let mut insert = connection
        .prepare_cached("insert into payments values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)")?;
    for payment in payments {
        insert.execute(params![
            payment.order_id.0,
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
        ])?;
    }
    Ok(())
}

fn select(connection: &Connection, order_ids: &[OrderId]) -> Result<Vec<Payment>> {
    let mut select = connection.prepare_cached(
        "select order_id, idempotency_key, status, amount_minor, currency, captured_minor, refunded_minor,
             provider_reference, attempts, decline_code
         from payments where order_id = ?",
    )?;
    let mut found = Vec::with_capacity(order_ids.len());
    for id in order_ids {
        found.extend(select.query_row([id.0], payment).optional()?);
    }
    Ok(found)
}

fn payment(row: &Row<'_>) -> Result<Payment> {
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
    })
}

fn update(connection: &Connection, payment: &Payment, at: Timestamp) -> Result<usize> {
    connection
        .prepare_cached(
            "update payments set status = ?2, captured_minor = ?3, refunded_minor = ?4, provider_reference = ?5,
                 attempts = ?6, decline_code = ?7, updated_at = max(updated_at, ?8)
             where order_id = ?1",
        )?
        .execute(params![
            payment.order_id.0,
            payment.status.as_str(),
            payment.captured_minor,
            payment.refunded_minor,
            payment.provider_reference,
            payment.attempts,
            payment.decline_code,
            Micros(at),
        ])
}
