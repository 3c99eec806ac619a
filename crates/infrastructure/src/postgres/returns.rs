//! Returns of orders, those that are over too.

use application::ports::ReturnRepository;
use async_trait::async_trait;
use bus::Fault;
use domain::{OrderId, OrderReturn, ProductId, ReturnEnd, ReturnId, ReturnLine, ReturnRefund};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresUnit;
use super::column::{Broken, name, time, time_or_none};
use bus_postgres::{Act, Array, Lent, broken, query};

#[async_trait]
impl ReturnRepository for PostgresUnit {
    async fn request(&mut self, returns: &[OrderReturn]) -> Result<(), Fault> {
        if !returns.is_empty() {
            self.send_new_orders();
            self.later(request(returns));
            self.later(lines(returns));
        }
        Ok(())
    }

    async fn get(&mut self, order_ids: &[OrderId]) -> Result<Vec<OrderReturn>, Fault> {
        const OPERATION: &str = "returns.get";
        let ids = Array::uuids(order_ids.iter().map(|id| id.0));
        let rows = self.ask(Act::new(OPERATION, OF_ORDERS, vec![Box::new(ids)])).await?;
        gathered(&rows).map_err(broken(OPERATION))
    }

    async fn end(&mut self, ended: &OrderReturn) -> Result<(), Fault> {
        self.later(arrived(ended));
        self.later(end(ended));
        Ok(())
    }

    async fn refunded(&mut self, refunds: &[(OrderId, String)], at: Timestamp) -> Result<(), Fault> {
        let sql = "update order_returns r set refunded_at = $3
             from unnest($1::uuid[], $2::text[]) as paid (order_id, refund_key)
             where r.order_id = paid.order_id and r.refund_key = paid.refund_key and r.refunded_at is null";
        self.later(Act::new(
            "returns.refunded",
            sql,
            vec![
                Box::new(Array::uuids(refunds.iter().map(|(order_id, _)| order_id.0))),
                Box::new(Array::texts(refunds.iter().map(|(_, key)| key.as_str()))),
                Box::new(at.as_microsecond()),
            ],
        ));
        Ok(())
    }
}

/// One row for each line, those of one return in a row.
const OF_ORDERS: &str =
    "select r.order_id, r.return_id, r.status, r.reason, r.actor, r.requested_at, r.ended_by, r.end_note, r.ended_at,
         r.refund_key, r.refund_minor, r.refunded_at, l.product_id, l.sku, l.quantity, l.received, l.restocked
     from order_returns r join order_return_lines l on l.return_id = r.return_id
     where r.order_id = any($1) order by r.order_id, r.requested_at, r.return_id, l.ordinal";

fn request(returns: &[OrderReturn]) -> Act {
    let sql = "insert into order_returns (order_id, return_id, status, reason, actor, requested_at)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[])";
    Act::new(
        "returns.request",
        sql,
        vec![
            Box::new(Array::uuids(returns.iter().map(|it| it.order_id.0))),
            Box::new(Array::uuids(returns.iter().map(|it| it.id.0))),
            Box::new(Array::texts(returns.iter().map(|it| it.status.as_str()))),
            Box::new(Array::texts(returns.iter().map(|it| it.reason.as_str()))),
            Box::new(Array::texts_or_null(returns.iter().map(|it| it.actor.as_deref()))),
            Box::new(Array::times(returns.iter().map(|it| it.requested_at))),
        ],
    )
}

fn lines(returns: &[OrderReturn]) -> Act {
    let sql = "insert into order_return_lines (return_id, ordinal, product_id, sku, quantity)
         select * from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::bigint[])";
    let all = || {
        returns.iter().flat_map(|it| (0_i64..).zip(&it.lines).map(|(ordinal, line)| (it.id, ordinal, line)))
    };
    Act::new(
        "returns.request",
        sql,
        vec![
            Box::new(Array::uuids(all().map(|(id, _, _)| id.0))),
            Box::new(Array::numbers(all().map(|(_, ordinal, _)| ordinal))),
            Box::new(Array::uuids(all().map(|(_, _, line)| line.product_id.0))),
            Box::new(Array::texts(all().map(|(_, _, line)| line.sku.as_str()))),
            Box::new(Array::numbers(all().map(|(_, _, line)| line.quantity))),
        ],
    )
}

/// What arrived, of a return that is awaited still.
fn arrived(it: &OrderReturn) -> Act {
    let sql = "update order_return_lines l set received = a.received, restocked = a.restocked
         from unnest($2::uuid[], $3::bigint[], $4::bigint[]) as a (product_id, received, restocked)
         where l.return_id = $1 and l.product_id = a.product_id
             and exists (select from order_returns r where r.return_id = $1 and r.ended_at is null)";
    Act::new(
        "returns.end",
        sql,
        vec![
            Box::new(it.id.0),
            Box::new(Array::uuids(it.lines.iter().map(|line| line.product_id.0))),
            Box::new(Array::numbers(it.lines.iter().map(|line| line.received))),
            Box::new(Array::numbers(it.lines.iter().map(|line| line.restocked))),
        ],
    )
}

fn end(it: &OrderReturn) -> Act {
    let sql =
        "update order_returns set status = $2, ended_by = $3, end_note = $4, ended_at = $5, refund_key = $6,
             refund_minor = $7
         where return_id = $1 and ended_at is null";
    let ReturnEndRow { actor, note, at } = ReturnEndRow::of(it);
    let refund = it.refund.as_ref();
    Act::new(
        "returns.end",
        sql,
        vec![
            Box::new(it.id.0),
            Box::new(it.status.as_str()),
            Box::new(actor),
            Box::new(note),
            Box::new(at),
            Box::new(refund.map(|refund| refund.key.clone())),
            Box::new(refund.map(|refund| refund.minor)),
        ],
    )
}

/// How a return ended, as columns.
struct ReturnEndRow {
    actor: Option<String>,
    note: Option<String>,
    at: Option<i64>,
}

impl ReturnEndRow {
    fn of(it: &OrderReturn) -> Self {
        let (actor, note) = it.end.as_ref().map(|end| (end.actor.clone(), end.note.clone())).unzip();
        Self { actor, note, at: it.end.as_ref().map(|end| end.at.as_microsecond()) }
    }
}

/// The returns of this order, oldest first.
pub(super) async fn of_order(client: &Lent, id: OrderId) -> Result<Vec<OrderReturn>, Fault> {
    let rows = query(client, "returns.read", OF_ORDERS, &[Box::new(Array::uuids([id.0]))]).await?;
    gathered(&rows).map_err(broken("returns.read"))
}

/// Puts the lines of each return together.
fn gathered(rows: &[Row]) -> Result<Vec<OrderReturn>, Broken> {
    let mut returns: Vec<OrderReturn> = Vec::new();
    for row in rows {
        let id = ReturnId(row.try_get(1)?);
        if returns.last().is_none_or(|last| last.id != id) {
            returns.push(without_lines(row, id)?);
        }
        if let Some(last) = returns.last_mut() {
            last.lines.push(line(row)?);
        }
    }
    Ok(returns)
}

fn without_lines(row: &Row, id: ReturnId) -> Result<OrderReturn, Broken> {
    let end = match time_or_none(row, 8)? {
        Some(at) => Some(ReturnEnd { actor: row.try_get(6)?, note: row.try_get(7)?, at }),
        None => None,
    };
    let refund = match row.try_get::<_, Option<String>>(9)? {
        Some(key) => Some(ReturnRefund { key, minor: row.try_get(10)?, paid_at: time_or_none(row, 11)? }),
        None => None,
    };
    Ok(OrderReturn {
        id,
        order_id: OrderId(row.try_get(0)?),
        status: name(row, 2)?,
        reason: row.try_get(3)?,
        actor: row.try_get(4)?,
        requested_at: time(row, 5)?,
        lines: Vec::new(),
        end,
        refund,
    })
}

fn line(row: &Row) -> Result<ReturnLine, Broken> {
    Ok(ReturnLine {
        product_id: ProductId(row.try_get(12)?),
        sku: name(row, 13)?,
        quantity: row.try_get(14)?,
        received: row.try_get(15)?,
        restocked: row.try_get(16)?,
    })
}
