//! Orders, their lines and their cancellations. Decides nothing; a move that does not fit is a conflict.

use std::collections::BTreeMap;

use application::ports::{NewOrderRow, OrderRepository, ReferencedOrder, StatusMove, StockDemand};
use async_trait::async_trait;
use bus::Fault;
use domain::{
    Cancellation, CustomerId, Order, OrderId, OrderItemId, OrderLine, OrderSnapshot, OrderStatus, ProductId,
    Quantity, Sku,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use uuid::Uuid;

use super::SqliteUnit;
use super::column::{Micros, broken, money, name, name_or_none, rows_max, time};
use crate::tally::Tallied;
use bus_sqlite::fault;

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

    async fn awaiting_stock(
        &mut self,
        products: &[ProductId],
        after: Option<OrderId>,
        max: usize,
    ) -> std::result::Result<Vec<StockDemand>, Fault> {
        self.save()?;
        awaiting(self.connection(), products, after, max).map_err(fault("orders.awaiting_stock"))
    }

    async fn get_saga_moved_at(&mut self, id: OrderId) -> std::result::Result<Option<Timestamp>, Fault> {
        self.save()?;
        saga_moved_at(self.connection(), id).map_err(fault("sagas.moved_at"))
    }

    async fn payment_tokens(
        &mut self,
        ids: &[OrderId],
    ) -> std::result::Result<Vec<(OrderId, String)>, Fault> {
        let mut ids = ids.to_vec();
        let mut known = self.rows.unsaved.payment_tokens(&mut ids);
        if !ids.is_empty() {
            known.extend(tokens(self.connection(), &ids).map_err(fault("orders.payment_tokens"))?);
        }
        Ok(known)
    }

    async fn details(&mut self, ids: &[OrderId]) -> std::result::Result<Vec<(OrderId, String)>, Fault> {
        self.save()?;
        details(self.connection(), ids).map_err(fault("orders.details"))
    }

    async fn put_details(&mut self, id: OrderId, details: &str) -> std::result::Result<(), Fault> {
        self.save()?;
        let sql = "insert into order_details values (?, ?)
             on conflict (order_id) do update set details = excluded.details";
        let put = self.connection().execute(sql, params![id.0.as_bytes(), details]);
        put.map(drop).map_err(fault("orders.put_details"))
    }

    async fn put_lines(&mut self, order: &Order) -> std::result::Result<(), Fault> {
        self.save()?;
        put_lines(self.connection(), order).map_err(fault("orders.put_lines"))
    }

    async fn delivered_to(
        &mut self,
        customers: &[CustomerId],
    ) -> std::result::Result<Vec<CustomerId>, Fault> {
        self.save()?;
        delivered_to(self.connection(), customers).map_err(fault("orders.delivered_to"))
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
        if let Some(cancellation) = &step.change.cancellation {
            self.counts.add(Tallied::Cancellations(cancellation.reason), 1);
        }
    }
}

fn select_many(connection: &Connection, ids: &[OrderId]) -> Result<Vec<OrderSnapshot>> {
    let mut select = connection.prepare_cached(
        "select o.order_id, o.customer_id, o.order_date, o.status, o.total_minor, o.currency, o.created_at,
             o.updated_at, o.external_reference, c.reason, c.actor, c.note, coalesce(o.added_minor, 0),
             coalesce(o.cancelled_minor, 0)
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
        added_minor: row.get(12)?,
        cancelled_minor: row.get(13)?,
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
            "select order_item_id, product_id, sku, quantity + cancelled, unit_price_minor, currency, cancelled
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
        cancelled: row.get(6)?,
    })
}

fn put_lines(connection: &Connection, order: &Order) -> Result<()> {
    let OrderSnapshot { id, lines, total, cancelled_minor, updated_at, .. } = order.snapshot();
    let id = id.0.as_bytes();
    let mut line_update = connection.prepare_cached(
        "update order_items set quantity = ?, cancelled = ? where order_id = ? and ordinal = ?",
    )?;
    for (ordinal, line) in (0_i64..).zip(lines) {
        line_update.execute(params![line.remaining(), line.cancelled, id, ordinal])?;
    }
    let cancelled_minor = (*cancelled_minor != 0).then_some(*cancelled_minor);
    connection.execute(
        "update orders set total_minor = ?, cancelled_minor = ?, updated_at = max(updated_at, ?) where order_id = ?",
        params![total.minor, cancelled_minor, Micros(*updated_at), id],
    )?;
    connection.execute(
        "update order_saga set total_minor = ? where correlation_id = ?",
        params![total.minor, id],
    )?;
    Ok(())
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
        | OrderStatus::Authorised
        | OrderStatus::Paid
        | OrderStatus::Shipped => "(select * from orders indexed by orders_open where is_open = 1) o",
        OrderStatus::Delivered => "orders o",
        OrderStatus::Cancelled => "cancellations x cross join orders o on o.order_id = x.order_id",
    }
}

fn tokens(connection: &Connection, ids: &[OrderId]) -> Result<Vec<(OrderId, String)>> {
    let mut select = connection.prepare_cached(
        "select payment_token from orders where order_id = ? and payment_token is not null",
    )?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let token: Option<String> = select.query_row([id.0.as_bytes()], |row| row.get(0)).optional()?;
        found.extend(token.map(|token| (*id, token)));
    }
    Ok(found)
}

fn details(connection: &Connection, ids: &[OrderId]) -> Result<Vec<(OrderId, String)>> {
    let mut select = connection.prepare_cached("select details from order_details where order_id = ?")?;
    let mut found = Vec::new();
    for id in ids {
        let details: Option<String> = select.query_row([id.0.as_bytes()], |row| row.get(0)).optional()?;
        found.extend(details.map(|details| (*id, details)));
    }
    Ok(found)
}

fn demand(connection: &Connection, ids: &[OrderId]) -> Result<Vec<StockDemand>> {
    let mut select = connection
        .prepare_cached("select product_id, quantity from order_items where order_id = ? and quantity > 0")?;
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

fn awaiting(
    connection: &Connection,
    products: &[ProductId],
    after: Option<OrderId>,
    max: usize,
) -> Result<Vec<StockDemand>> {
    let mut select = connection.prepare_cached(
        "select s.correlation_id from order_saga s indexed by order_saga_awaiting_stock
         where s.state = 'awaiting_stock' and s.correlation_id > ?1 and exists (
             select 1 from order_items i where i.order_id = s.correlation_id
                 and i.product_id in (select unhex(value) from json_each(?2)) and i.quantity > 0
         )
         order by s.correlation_id limit ?3",
    )?;
    let after = after.map_or(Uuid::nil(), |id| id.0);
    let hex: Vec<String> = products.iter().map(|id| format!("\"{}\"", id.0.simple())).collect();
    let hex = format!("[{}]", hex.join(","));
    let ids =
        select.query_map(params![after.as_bytes(), hex, rows_max(max)], |row| Ok(OrderId(row.get(0)?)))?;
    let ids = ids.collect::<Result<Vec<OrderId>>>()?;
    demand(connection, &ids)
}

fn saga_moved_at(connection: &Connection, id: OrderId) -> Result<Option<Timestamp>> {
    connection
        .prepare_cached("select updated_at from order_saga where correlation_id = ?")?
        .query_row([id.0.as_bytes()], |row| time(row, 0))
        .optional()
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

fn delivered_to(connection: &Connection, customers: &[CustomerId]) -> Result<Vec<CustomerId>> {
    let mut delivered =
        connection.prepare_cached("select 1 from orders where customer_id = ? and status = 'delivered'")?;
    let mut found = Vec::new();
    for customer in customers {
        if delivered.exists([customer.as_str()])? {
            found.push(customer.clone());
        }
    }
    Ok(found)
}
