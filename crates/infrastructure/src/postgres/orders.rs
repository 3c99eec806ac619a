//! Orders, their lines and their cancellations. Decides nothing; a move that does not fit is a conflict.

use application::ports::{NewOrderRow, OrderRepository, ReferencedOrder, StatusMove, StockDemand};
use async_trait::async_trait;
use bus::Fault;
use domain::{
    Cancellation, CustomerId, Order, OrderId, OrderItemId, OrderLine, OrderSnapshot, OrderStatus, ProductId,
    Quantity, Sku,
};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresUnit;
use super::column::{Broken, money, name, name_or_none, rows_max, time};
use crate::tally::Tallied;
use bus_postgres::{Act, Array, broken};

#[async_trait]
impl OrderRepository for PostgresUnit {
    async fn create(&mut self, orders: &[NewOrderRow]) -> Result<(), Fault> {
        for row in orders {
            row.order.check().map_err(|error| Fault::give_up("orders.create", error))?;
        }
        for row in orders {
            self.rows.unsaved.create_order(row)?;
            self.counts.add(Tallied::Orders(row.order.status()), 1);
        }
        Ok(())
    }

    async fn update(&mut self, moves: &[StatusMove]) -> Result<(), Fault> {
        for step in moves {
            self.rows.unsaved.move_order(step)?;
            self.tally_move(step);
        }
        Ok(())
    }

    async fn get_orders_with_items(&mut self, ids: &[OrderId]) -> Result<Vec<Order>, Fault> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.ask(select_with_lines(ids)).await?;
        let snapshots = snapshots(&rows).map_err(broken("orders.get"))?;
        let restore =
            |snapshot| Order::restore(snapshot).map_err(|error| Fault::give_up("orders.get", error));
        snapshots.into_iter().map(restore).collect()
    }

    async fn get_orders_by_status(
        &mut self,
        status: OrderStatus,
        after: Option<OrderId>,
        max: usize,
    ) -> Result<Vec<OrderId>, Fault> {
        let rows = self.ask(by_status(status, after, max)).await?;
        let ids = rows.iter().map(|row| row.try_get(0).map(OrderId)).collect::<Result<_, _>>();
        ids.map_err(|error| Fault::give_up("orders.get_by_status", error))
    }

    async fn get_demand(&mut self, ids: &[OrderId]) -> Result<Vec<StockDemand>, Fault> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.send_new_orders();
        let rows = self.ask_beside(demand(ids)).await?;
        demands(&rows).map_err(broken("orders.get_demand"))
    }

    async fn awaiting_stock(
        &mut self,
        products: &[ProductId],
        after: Option<OrderId>,
        max: usize,
    ) -> Result<Vec<StockDemand>, Fault> {
        let rows = self.ask(awaiting(products, after, max)).await?;
        demands(&rows).map_err(broken("orders.awaiting_stock"))
    }

    async fn get_saga_moved_at(&mut self, id: OrderId) -> Result<Option<Timestamp>, Fault> {
        let rows = self.ask(saga_moved_at(id)).await?;
        rows.first().map(|row| time(row, 0)).transpose().map_err(broken("sagas.moved_at"))
    }

    async fn payment_tokens(&mut self, ids: &[OrderId]) -> Result<Vec<(OrderId, String)>, Fault> {
        let mut ids = ids.to_vec();
        let mut known = self.rows.unsaved.payment_tokens(&mut ids);
        if ids.is_empty() {
            return Ok(known);
        }
        let rows = self.ask(tokens(&ids)).await?;
        let token = |row: &Row| Ok((OrderId(row.try_get(0)?), row.try_get(1)?));
        let stored = rows.iter().map(token).collect::<Result<Vec<_>, Broken>>();
        known.extend(stored.map_err(broken("orders.payment_tokens"))?);
        Ok(known)
    }

    async fn details(&mut self, ids: &[OrderId]) -> Result<Vec<(OrderId, String)>, Fault> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sql = "select order_id, details from order_details where order_id = any($1)";
        let ids = Array::uuids(ids.iter().map(|id| id.0));
        let rows = self.ask(Act::new("orders.details", sql, vec![Box::new(ids)])).await?;
        let details = |row: &Row| Ok((OrderId(row.try_get(0)?), row.try_get(1)?));
        rows.iter().map(details).collect::<Result<_, Broken>>().map_err(broken("orders.details"))
    }

    async fn put_details(&mut self, id: OrderId, details: &str) -> Result<(), Fault> {
        let sql = "insert into order_details (order_id, details) values ($1, $2)
             on conflict (order_id) do update set details = excluded.details";
        self.send_new_orders();
        self.later(Act::new("orders.put_details", sql, vec![Box::new(id.0), Box::new(details.to_owned())]));
        Ok(())
    }

    async fn put_lines(&mut self, order: &Order) -> Result<(), Fault> {
        self.send_new_orders();
        self.later(put_lines(order));
        Ok(())
    }

    async fn delivered_to(&mut self, customers: &[CustomerId]) -> Result<Vec<CustomerId>, Fault> {
        const OPERATION: &str = "orders.delivered_to";
        let sql = "select wanted.id from unnest($1::text[]) as wanted (id) where exists (
                 select from orders where customer_id = wanted.id and status = 'delivered'
             )";
        let ids = Array::texts(customers.iter().map(CustomerId::as_str));
        let rows = self.ask(Act::new(OPERATION, sql, vec![Box::new(ids)])).await?;
        rows.iter().map(|row| name(row, 0)).collect::<Result<_, Broken>>().map_err(broken(OPERATION))
    }

    async fn find_by_external_reference(
        &mut self,
        references: &[String],
    ) -> Result<Vec<ReferencedOrder>, Fault> {
        if references.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.ask(by_reference(references)).await?;
        rows.iter().map(bearer).collect::<Result<_, Broken>>().map_err(broken("orders.find_by_reference"))
    }
}

impl PostgresUnit {
    /// What refers to an order is written after it, though both are new.
    pub(super) fn send_new_orders(&mut self) {
        if self.rows.unsaved.has_new_orders() {
            self.send_unsaved();
        }
    }

    fn tally_move(&mut self, step: &StatusMove) {
        self.counts.add(Tallied::Orders(step.from), -1);
        self.counts.add(Tallied::Orders(step.to), 1);
        if let Some(cancellation) = &step.change.cancellation {
            self.counts.add(Tallied::Cancellations(cancellation.reason), 1);
        }
    }
}

/// One row for each line, the order's own columns in front.
fn select_with_lines(ids: &[OrderId]) -> Act {
    let sql =
        "select o.order_id, o.customer_id, o.order_date, o.status, o.total_minor, o.currency, o.created_at,
             o.updated_at, o.external_reference, c.reason, c.actor, c.note,
             i.order_item_id, i.product_id, i.sku, i.quantity + i.cancelled, i.unit_price_minor, i.currency,
             coalesce(o.added_minor, 0), coalesce(o.cancelled_minor, 0), i.cancelled
         from orders o
         join order_items i on i.order_id = o.order_id
         left join cancellations c on c.order_id = o.order_id
         where o.order_id = any($1) order by o.order_id, i.ordinal";
    Act::new("orders.get", sql, vec![Box::new(Array::uuids(ids.iter().map(|id| id.0)))])
}

fn snapshots(rows: &[Row]) -> Result<Vec<OrderSnapshot>, Broken> {
    let mut orders: Vec<OrderSnapshot> = Vec::new();
    for row in rows {
        let id = OrderId(row.try_get(0)?);
        if orders.last().is_none_or(|last| last.id != id) {
            orders.push(snapshot(row)?);
        }
        if let Some(order) = orders.last_mut() {
            order.lines.push(line(row)?);
        }
    }
    Ok(orders)
}

fn snapshot(row: &Row) -> Result<OrderSnapshot, Broken> {
    let cancellation = match name_or_none(row, 9)? {
        Some(reason) => Some(Cancellation { reason, actor: row.try_get(10)?, note: row.try_get(11)? }),
        None => None,
    };
    Ok(OrderSnapshot {
        id: OrderId(row.try_get(0)?),
        customer_id: name::<CustomerId>(row, 1)?,
        lines: Vec::new(),
        total: money(row, 4)?,
        added_minor: row.try_get(18)?,
        cancelled_minor: row.try_get(19)?,
        status: name(row, 3)?,
        ordered_at: time(row, 2)?,
        created_at: time(row, 6)?,
        updated_at: time(row, 7)?,
        cancellation,
        external_reference: row.try_get(8)?,
    })
}

fn line(row: &Row) -> Result<OrderLine, Broken> {
    Ok(OrderLine {
        item_id: OrderItemId(row.try_get(12)?),
        product_id: ProductId(row.try_get(13)?),
        sku: name::<Sku>(row, 14)?,
        quantity: Quantity::try_from(row.try_get::<_, i64>(15)?)?,
        unit_price: money(row, 16)?,
        cancelled: row.try_get(20)?,
    })
}

/// The saga knows what the order costs; both change at once.
fn put_lines(order: &Order) -> Act {
    let sql = "with lines as (
             update order_items i set quantity = n.quantity, cancelled = n.cancelled
             from unnest($2::bigint[], $3::bigint[], $4::bigint[]) as n (ordinal, quantity, cancelled)
             where i.order_id = $1 and i.ordinal = n.ordinal
         ), costs as (
             update orders set total_minor = $5, cancelled_minor = nullif($6::bigint, 0), updated_at = greatest(updated_at, $7)
             where order_id = $1
         )
         update order_saga set total_minor = $5 where correlation_id = $1";
    let OrderSnapshot { id, lines, total, cancelled_minor, updated_at, .. } = order.snapshot();
    let ordinals = (0..).zip(lines).map(|(ordinal, _)| ordinal);
    Act::new(
        "orders.put_lines",
        sql,
        vec![
            Box::new(id.0),
            Box::new(Array::numbers(ordinals)),
            Box::new(Array::numbers(lines.iter().map(OrderLine::remaining))),
            Box::new(Array::numbers(lines.iter().map(|line| line.cancelled))),
            Box::new(total.minor),
            Box::new(*cancelled_minor),
            Box::new(updated_at.as_microsecond()),
        ],
    )
}

/// Where the status still moves there is no index of it, but one of all orders under way.
fn by_status(status: OrderStatus, after: Option<OrderId>, max: usize) -> Act {
    let sql = if status.is_terminal() {
        "select order_id from orders where closed_as = $1 and order_id > $2 order by order_id limit $3"
    } else {
        "select order_id from orders
         where closed_as is null and status = $1 and order_id > $2 order by order_id limit $3"
    };
    let after = after.map_or(Uuid::nil(), |id| id.0);
    let params: [bus_postgres::Param; 3] =
        [Box::new(status.as_str()), Box::new(after), Box::new(rows_max(max))];
    Act::new("orders.get_by_status", sql, params.into())
}

/// Whoever asks is about to move this stock, so all of it is locked here at once and in product order: an order that ships
/// and one that is called off, moved one after the other, would otherwise lock their products in turns.
fn tokens(ids: &[OrderId]) -> Act {
    let sql =
        "select order_id, payment_token from orders where order_id = any($1) and payment_token is not null";
    Act::new("orders.payment_tokens", sql, vec![Box::new(Array::uuids(ids.iter().map(|id| id.0)))])
}

fn demand(ids: &[OrderId]) -> Act {
    let sql = "with demand as materialized (
             select order_id, product_id, sum(quantity)::bigint as units
             from order_items where order_id = any($1) and quantity > 0 group by order_id, product_id
         ), locked as (
             select from inventory where product_id in (select product_id from demand)
             order by product_id for update
         )
         select order_id, product_id, units from demand
         where (select count(*) from locked) >= 0 order by order_id, product_id";
    Act::new("orders.get_demand", sql, vec![Box::new(Array::uuids(ids.iter().map(|id| id.0)))])
}

/// Without a lock: whoever asks has none, or has some of the stock already.
fn awaiting(products: &[ProductId], after: Option<OrderId>, max: usize) -> Act {
    let sql = "with waiting as materialized (
             select s.correlation_id as order_id from order_saga s
             where s.awaits_stock and s.correlation_id > $2 and exists (
                 select from order_items i where i.order_id = s.correlation_id and i.product_id = any($1) and i.quantity > 0
             )
             order by s.correlation_id limit $3
         )
         select i.order_id, i.product_id, sum(i.quantity)::bigint from waiting w join order_items i on i.order_id = w.order_id
         where i.quantity > 0 group by i.order_id, i.product_id order by i.order_id, i.product_id";
    let after = after.map_or(Uuid::nil(), |id| id.0);
    let params: [bus_postgres::Param; 3] =
        [Box::new(Array::uuids(products.iter().map(|id| id.0))), Box::new(after), Box::new(rows_max(max))];
    Act::new("orders.awaiting_stock", sql, params.into())
}

fn demands(rows: &[Row]) -> Result<Vec<StockDemand>, Broken> {
    let mut demands: Vec<StockDemand> = Vec::new();
    for row in rows {
        let order_id = OrderId(row.try_get(0)?);
        if demands.last().is_none_or(|last| last.order_id != order_id) {
            demands.push(StockDemand { order_id, lines: Vec::new() });
        }
        if let Some(demand) = demands.last_mut() {
            demand.lines.push((ProductId(row.try_get(1)?), row.try_get(2)?));
        }
    }
    Ok(demands)
}

fn saga_moved_at(id: OrderId) -> Act {
    let sql = "select updated_at from order_saga where correlation_id = $1";
    Act::new("sagas.moved_at", sql, vec![Box::new(id.0)])
}

fn by_reference(references: &[String]) -> Act {
    let sql = "select external_reference, reference_source, order_id from orders where external_reference = any($1)";
    let references = Array::texts(references.iter().map(String::as_str));
    Act::new("orders.find_by_reference", sql, vec![Box::new(references)])
}

fn bearer(row: &Row) -> Result<ReferencedOrder, Broken> {
    let source: Option<&str> = row.try_get(1)?;
    let order_id = OrderId(row.try_get(2)?);
    Ok(ReferencedOrder { reference: row.try_get(0)?, source: source.map(Into::into), order_id })
}
