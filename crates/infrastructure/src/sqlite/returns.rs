//! Returns of orders, those that are over too.

use application::ports::ReturnRepository;
use async_trait::async_trait;
use bus::Fault;
use domain::{OrderId, OrderReturn, ProductId, ReturnEnd, ReturnId, ReturnLine, ReturnRefund};
use jiff::Timestamp;
use rusqlite::{Connection, Result, Row, params};

use super::SqliteUnit;
use super::column::{Micros, name, time, time_or_none};
use bus_sqlite::fault;

#[async_trait]
impl ReturnRepository for SqliteUnit {
    async fn request(&mut self, returns: &[OrderReturn]) -> std::result::Result<(), Fault> {
        if returns.is_empty() {
            return Ok(());
        }
        self.save()?;
        request(self.connection(), returns).map_err(fault("returns.request"))
    }

    async fn get(&mut self, order_ids: &[OrderId]) -> std::result::Result<Vec<OrderReturn>, Fault> {
        let mut found = Vec::new();
        for id in order_ids {
            found.extend(of_order(self.connection(), *id).map_err(fault("returns.get"))?);
        }
        Ok(found)
    }

    async fn end(&mut self, ended: &OrderReturn) -> std::result::Result<(), Fault> {
        end(self.connection(), ended).map_err(fault("returns.end"))
    }

    async fn refunded(
        &mut self,
        refunds: &[(OrderId, String)],
        at: Timestamp,
    ) -> std::result::Result<(), Fault> {
        refunded(self.connection(), refunds, at).map_err(fault("returns.refunded"))
    }
}

fn request(connection: &Connection, returns: &[OrderReturn]) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "insert into order_returns (order_id, return_id, status, reason, actor, requested_at) values (?, ?, ?, ?, ?, ?)",
    )?;
    let mut insert_line = connection.prepare_cached(
        "insert into order_return_lines (return_id, ordinal, product_id, sku, quantity) values (?, ?, ?, ?, ?)",
    )?;
    for it in returns {
        insert.execute(params![
            it.order_id.0.as_bytes(),
            it.id.0.as_bytes(),
            it.status.as_str(),
            it.reason,
            it.actor,
            Micros(it.requested_at)
        ])?;
        for (ordinal, line) in (0_i64..).zip(&it.lines) {
            let ReturnLine { product_id, sku, quantity, .. } = line;
            insert_line.execute(params![
                it.id.0.as_bytes(),
                ordinal,
                product_id.0.as_bytes(),
                sku.as_str(),
                quantity
            ])?;
        }
    }
    Ok(())
}

fn end(connection: &Connection, it: &OrderReturn) -> Result<()> {
    let id = it.id.0.as_bytes();
    let (end, refund) = (it.end.as_ref(), it.refund.as_ref());
    let ended = connection
        .prepare_cached(
            "update order_returns set status = ?2, ended_by = ?3, end_note = ?4, ended_at = ?5, refund_key = ?6, refund_minor = ?7
             where return_id = ?1 and ended_at is null",
        )?
        .execute(params![
            id,
            it.status.as_str(),
            end.map(|end| end.actor.as_str()),
            end.map(|end| end.note.as_str()),
            end.map(|end| Micros(end.at)),
            refund.map(|refund| refund.key.as_str()),
            refund.map(|refund| refund.minor)
        ])?;
    if ended == 0 {
        return Ok(());
    }
    let mut update = connection.prepare_cached(
        "update order_return_lines set received = ?, restocked = ? where return_id = ? and product_id = ?",
    )?;
    for ReturnLine { product_id, received, restocked, .. } in &it.lines {
        update.execute(params![received, restocked, id, product_id.0.as_bytes()])?;
    }
    Ok(())
}

fn refunded(connection: &Connection, refunds: &[(OrderId, String)], at: Timestamp) -> Result<()> {
    let mut update = connection.prepare_cached(
        "update order_returns set refunded_at = ? where order_id = ? and refund_key = ? and refunded_at is null",
    )?;
    for (order_id, key) in refunds {
        update.execute(params![Micros(at), order_id.0.as_bytes(), key])?;
    }
    Ok(())
}

/// The returns of this order, oldest first.
pub(super) fn of_order(connection: &Connection, id: OrderId) -> Result<Vec<OrderReturn>> {
    let mut select = connection.prepare_cached(
        "select r.order_id, r.return_id, r.status, r.reason, r.actor, r.requested_at, r.ended_by, r.end_note, r.ended_at,
             r.refund_key, r.refund_minor, r.refunded_at, l.product_id, l.sku, l.quantity, l.received, l.restocked
         from order_returns r join order_return_lines l on l.return_id = r.return_id
         where r.order_id = ? order by r.requested_at, r.return_id, l.ordinal",
    )?;
    let mut rows = select.query([id.0.as_bytes()])?;
    let mut returns: Vec<OrderReturn> = Vec::new();
    while let Some(row) = rows.next()? {
        let id = ReturnId(row.get(1)?);
        if returns.last().is_none_or(|last| last.id != id) {
            returns.push(without_lines(row, id)?);
        }
        if let Some(last) = returns.last_mut() {
            last.lines.push(line(row)?);
        }
    }
    Ok(returns)
}

fn without_lines(row: &Row<'_>, id: ReturnId) -> Result<OrderReturn> {
    let end = match time_or_none(row, 8)? {
        Some(at) => Some(ReturnEnd { actor: row.get(6)?, note: row.get(7)?, at }),
        None => None,
    };
    let refund = match row.get::<_, Option<String>>(9)? {
        Some(key) => Some(ReturnRefund { key, minor: row.get(10)?, paid_at: time_or_none(row, 11)? }),
        None => None,
    };
    Ok(OrderReturn {
        id,
        order_id: OrderId(row.get(0)?),
        status: name(row, 2)?,
        reason: row.get(3)?,
        actor: row.get(4)?,
        requested_at: time(row, 5)?,
        lines: Vec::new(),
        end,
        refund,
    })
}

fn line(row: &Row<'_>) -> Result<ReturnLine> {
    Ok(ReturnLine {
        product_id: ProductId(row.get(12)?),
        sku: name(row, 13)?,
        quantity: row.get(14)?,
        received: row.get(15)?,
        restocked: row.get(16)?,
    })
}
