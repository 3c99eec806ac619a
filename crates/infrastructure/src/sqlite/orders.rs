//! Orders, their lines and their cancellations. Decides nothing; a move that does not fit is a conflict.

use std::collections::BTreeMap;

use application::ports::{NewOrderRow, OrderRepository, ReferencedOrder, StatusMove, StockDemand};
use async_trait::async_trait;
use bus::Fault;
use domain::{
    Cancellation, CustomerId, Order, OrderId, OrderItemId, OrderLine, OrderSnapshot, OrderStatus, ProductId,
    Quantity, Sku,
};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::SqliteUnit;
use super::column::{Micros, broken, money, name, name_or_none, rows_max, time};
use crate::tally::Tallied;
use crate::unsaved::{CancellationRow, NewOrder, Rows};
use bus_sqlite::{changed_meanwhile, conflict_if_taken, fault};

#[async_trait]
impl OrderRepository for SqliteUnit {
    async fn create(&mut self, orders: &[NewOrderRow]) -> std::result::Result<(), Fault> {
        for row in orders {
            row.order.check().map_err(|error| Fault::give_up("orders.create", error))?;
        }
        for row in orders {
            self.rows.unsaved.create_order(row)?;
            self.counts.add(Tallied::Orders(row.order.status()), 1);
        }
        Ok(())
    }

    async fn update(&mut self, moves: &[StatusMove]) -> std::result::Result<(), Fault> {
        for step in moves {
            self.rows.unsaved.move_order(step)?;
            self.tally_move(step);
        }
        Ok(())
    }

    async fn get_orders_with_items(&mut self, ids: &[OrderId]) -> std::result::Result<Vec<Order>, Fault> {
        self.save()?;
        let snapshots = select_many(self.connection(), ids).map_err(fault("orders.get"))?;
        let restore =
            |snapshot| Order::restore(snapshot).map_err(|error| Fault::give_up("orders.get", error));
        snapshots.into_iter().map(restore).collect()
    }

    async fn get_orders_by_status(
        &mut self,
        status: OrderStatus,
        after: Option<OrderId>,
        max: usize,
    ) -> std::result::Result<Vec<OrderId>, Fault> {
        self.save()?;
        by_status(self.connection(), status, after, max).map_err(fault("orders.get_by_status"))
    }

    async fn get_demand(&mut self, ids: &[OrderId]) -> std::result::Result<Vec<StockDemand>, Fault> {
        if self.rows.unsaved.has_new_orders() {
            self.save()?;
        }
        demand(self.connection(), ids).map_err(fault("orders.get_demand"))
    }

    async fn find_by_external_reference(
        &mut self,
        references: &[String],
    ) -> std::result::Result<Vec<ReferencedOrder>, Fault> {
        self.save()?;
        by_reference(self.connection(), references).map_err(fault("orders.find_by_reference"))
    }
}

impl SqliteUnit {
    fn tally_move(&mut self, step: &StatusMove) {
        self.counts.add(Tallied::Orders(step.from), -1);
        self.counts.add(Tallied::Orders(step.to), 1);
        if let Some(cancellation) = &step.cancellation {
            self.counts.add(Tallied::Cancellations(cancellation.reason), 1);
        }
    }
}

/// Stores the orders of a unit.
///
/// # Errors
/// A conflict if an order is there already or not where a move expects it.
pub(super) fn save(connection: &Connection, rows: &Rows) -> std::result::Result<(), Fault> {
    insert_all(connection, &rows.new_orders).map_err(conflict_if_taken("orders.create"))?;
    if let Some(stray) = move_all(connection, &rows.moves).map_err(fault("orders.update"))? {
        return Err(changed_meanwhile("orders.update", stray));
    }
    record_cancellations(connection, &rows.cancellations).map_err(fault("orders.cancel"))
}

fn insert_all(connection: &Connection, orders: &[NewOrder]) -> Result<()> {
    let mut order_insert =
        connection.prepare_cached("insert into orders values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    let mut line_insert =
        connection.prepare_cached("insert into order_items values (?, ?, ?, ?, ?, ?, ?, ?)")?;
    for NewOrder { row, status, updated_at } in orders {
        let order = row.order.snapshot();
        order_insert.execute(params![
            order.id.0.as_bytes(),
            order.customer_id.as_str(),
            Micros(order.ordered_at),
            status.as_str(),
            (!status.is_terminal()).then_some(1),
            order.total.minor,
            order.total.currency.code(),
            Micros(order.created_at),
            Micros(*updated_at),
            order.external_reference,
            row.payment_token,
            row.source,
        ])?;
        for (ordinal, line) in (0_i64..).zip(&order.lines) {
            line_insert.execute(params![
                order.id.0.as_bytes(),
                ordinal,
                line.item_id.0.as_bytes(),
                line.product_id.0.as_bytes(),
                line.sku.as_str(),
                line.quantity.get(),
                line.unit_price.minor,
                line.unit_price.currency.code(),
            ])?;
        }
    }
    Ok(())
}

/// Moves orders on; stops at the first that was not where it should be, and gives it.
fn move_all(connection: &Connection, moves: &[StatusMove]) -> Result<Option<OrderId>> {
    // The plus keeps SQLite from looking at anything but the key.
    let mut step_on = connection.prepare_cached(
        "update orders set status = ?3, updated_at = max(updated_at, ?4) where order_id = ?1 and +status = ?2",
    )?;
    let mut end = connection.prepare_cached(
        "update orders set status = ?3, updated_at = max(updated_at, ?4), is_open = null
         where order_id = ?1 and +status = ?2",
    )?;
    for step in moves {
        let statement = if step.to.is_terminal() { &mut end } else { &mut step_on };
        let row = params![step.order_id.0.as_bytes(), step.from.as_str(), step.to.as_str(), Micros(step.at)];
        if statement.execute(row)? != 1 {
            return Ok(Some(step.order_id));
        }
    }
    Ok(None)
}

fn record_cancellations(connection: &Connection, rows: &[CancellationRow]) -> Result<()> {
    let mut insert = connection.prepare_cached("insert into cancellations values (?, ?, ?, ?, ?)")?;
    for CancellationRow { order_id, record, at } in rows {
        insert.execute(params![
            order_id.0.as_bytes(),
            record.reason.as_str(),
            record.actor,
            record.note,
            Micros(*at),
        ])?;
    }
    Ok(())
}

fn select_many(connection: &Connection, ids: &[OrderId]) -> Result<Vec<OrderSnapshot>> {
    let mut select = connection.prepare_cached(
        "select o.order_id, o.customer_id, o.order_date, o.status, o.total_minor, o.currency, o.created_at,
             o.updated_at, o.external_reference, c.reason, c.actor, c.note
         from orders o left join cancellations c on c.order_id = o.order_id
         where o.order_id = ?",
    )?;
    let mut orders = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(mut order) = select.query_row([id.0.as_bytes()], snapshot).optional()? else { continue };
        order.lines = lines(connection, *id)?;
        orders.push(order);
    }
    Ok(orders)
}

fn snapshot(row: &Row<'_>) -> Result<OrderSnapshot> {
    let cancellation = match name_or_none(row, 9)? {
        Some(reason) => Some(Cancellation { reason, actor: row.get(10)?, note: row.get(11)? }),
        None => None,
    };
    Ok(OrderSnapshot {
        id: OrderId(row.get(0)?),
        customer_id: name::<CustomerId>(row, 1)?,
        lines: Vec::new(),
        total: money(row, 4)?,
        status: name(row, 3)?,
        ordered_at: time(row, 2)?,
        created_at: time(row, 6)?,
        updated_at: time(row, 7)?,
        cancellation,
        external_reference: row.get(8)?,
    })
}

fn lines(connection: &Connection, id: OrderId) -> Result<Vec<OrderLine>> {
    connection
        .prepare_cached(
            "select order_item_id, product_id, sku, quantity, unit_price_minor, currency
             from order_items where order_id = ? order by ordinal",
        )?
        .query_map([id.0.as_bytes()], line)?
        .collect()
}

fn line(row: &Row<'_>) -> Result<OrderLine> {
    Ok(OrderLine {
        item_id: OrderItemId(row.get(0)?),
        product_id: ProductId(row.get(1)?),
        sku: name::<Sku>(row, 2)?,
        quantity: Quantity::try_from(row.get::<_, i64>(3)?).map_err(|error| broken(3, error))?,
        unit_price: money(row, 4)?,
    })
}

fn by_status(
    connection: &Connection,
    status: OrderStatus,
    after: Option<OrderId>,
    max: usize,
) -> Result<Vec<OrderId>> {
    let after = after.map_or(uuid::Uuid::nil(), |id| id.0);
    let sql = format!(
        "select o.order_id from {} where o.order_id > ? and o.status = ? order by o.order_id limit ?",
        of_status(status)
    );
    connection
        .prepare_cached(&sql)?
        .query_map(params![after, status.as_str(), rows_max(max)], |row| row.get(0).map(OrderId))?
        .collect()
}

/// The smallest set of rows that has all orders of a status, as `o`.
pub(super) const fn of_status(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Pending
        | OrderStatus::Validated
        | OrderStatus::PaymentProcessing
        | OrderStatus::Paid
        | OrderStatus::Shipped => "(select * from orders indexed by orders_open where is_open = 1) o",
        OrderStatus::Delivered => "orders o",
        OrderStatus::Cancelled => "cancellations x cross join orders o on o.order_id = x.order_id",
    }
}

fn demand(connection: &Connection, ids: &[OrderId]) -> Result<Vec<StockDemand>> {
    let mut select =
        connection.prepare_cached("select product_id, quantity from order_items where order_id = ?")?;
    let mut demands = Vec::with_capacity(ids.len());
    for &order_id in ids {
        let mut merged = BTreeMap::new();
        let mut rows = select.query([order_id.0.as_bytes()])?;
        while let Some(row) = rows.next()? {
            *merged.entry(ProductId(row.get(0)?)).or_insert(0) += row.get::<_, i64>(1)?;
        }
        if !merged.is_empty() {
            demands.push(StockDemand { order_id, lines: merged.into_iter().collect() });
        }
    }
    Ok(demands)
}

fn by_reference(connection: &Connection, references: &[String]) -> Result<Vec<ReferencedOrder>> {
    let mut select = connection.prepare_cached(
        "select external_reference, reference_source, order_id from orders where external_reference = ?",
    )?;
    let bearer = |row: &Row<'_>| {
        Ok(ReferencedOrder { reference: row.get(0)?, source: row.get(1)?, order_id: OrderId(row.get(2)?) })
    };
    let mut found = Vec::new();
    for reference in references {
        for order in select.query_map([reference], bearer)? {
            found.push(order?);
        }
    }
    Ok(found)
}
