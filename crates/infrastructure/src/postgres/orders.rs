//! Orders, their lines and their cancellations. Decides nothing; a move that does not fit is a conflict.

use application::ports::{NewOrderRow, OrderRepository, ReferencedOrder, StatusMove, StockDemand};
use async_trait::async_trait;
use bus::Fault;
use domain::{
    Cancellation, CustomerId, Order, OrderId, OrderItemId, OrderLine, OrderSnapshot, OrderStatus, ProductId,
    Quantity, Sku,
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresUnit;
use super::column::{Broken, money, name, name_or_none, rows_max, time};
use crate::tally::Tallied;
use crate::unsaved::{CancellationRow, NewOrder};
use bus_postgres::Act;
use bus_postgres::Array;
use bus_postgres::{CHANGED, broken};

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
        if self.rows.unsaved.has_new_orders() {
            self.send_unsaved();
        }
        let rows = self.ask_beside(demand(ids)).await?;
        demands(&rows).map_err(broken("orders.get_demand"))
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
    fn tally_move(&mut self, step: &StatusMove) {
        self.counts.add(Tallied::Orders(step.from), -1);
        self.counts.add(Tallied::Orders(step.to), 1);
        if let Some(cancellation) = &step.cancellation {
            self.counts.add(Tallied::Cancellations(cancellation.reason), 1);
        }
    }
}

/// New orders, as they stand by now.
pub(super) fn insert(orders: &[NewOrder]) -> Act {
    let sql = "insert into orders (order_id, customer_id, order_date, status, total_minor, currency, created_at,
             updated_at, external_reference, payment_token, reference_source)
         select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
             $8::bigint[], $9::text[], $10::text[], $11::text[])";
    let all = || orders.iter().map(|order| order.row.order.snapshot());
    Act::new(
        "orders.create",
        sql,
        vec![
            Box::new(Array::uuids(all().map(|order| order.id.0))),
            Box::new(Array::texts(all().map(|order| order.customer_id.as_str()))),
            Box::new(Array::times(all().map(|order| order.ordered_at))),
            Box::new(Array::texts(orders.iter().map(|order| order.status.as_str()))),
            Box::new(Array::numbers(all().map(|order| order.total.minor))),
            Box::new(Array::texts(all().map(|order| order.total.currency.code()))),
            Box::new(Array::times(all().map(|order| order.created_at))),
            Box::new(Array::times(orders.iter().map(|order| order.updated_at))),
            Box::new(Array::texts_or_null(all().map(|order| order.external_reference.as_deref()))),
            Box::new(Array::texts_or_null(orders.iter().map(|order| order.row.payment_token.as_deref()))),
            Box::new(Array::texts_or_null(orders.iter().map(|order| order.row.source.as_deref()))),
        ],
    )
    .conflict_if_taken()
}

/// The lines of new orders.
pub(super) fn insert_lines(orders: &[NewOrder]) -> Act {
    let sql = "insert into order_items (order_id, ordinal, order_item_id, product_id, sku, quantity, unit_price_minor,
             currency)
         select * from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[],
             $8::text[])";
    let (mut order_id, mut ordinals) = (Array::of_uuids(), Array::of_numbers());
    for NewOrder { row, .. } in orders {
        for (ordinal, _) in (0..).zip(row.order.lines()) {
            order_id.push_uuid(row.order.id().0);
            ordinals.push_number(ordinal);
        }
    }
    let lines = || orders.iter().flat_map(|order| order.row.order.lines());
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
pub(super) fn update(moves: &[StatusMove]) -> Act {
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
            Box::new(Array::uuids(moves.iter().map(|step| step.order_id.0))),
            Box::new(Array::texts(moves.iter().map(|step| step.from.as_str()))),
            Box::new(Array::texts(moves.iter().map(|step| step.to.as_str()))),
            Box::new(Array::times(moves.iter().map(|step| step.at))),
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

/// One row for each line, the order's own columns in front.
fn select_with_lines(ids: &[OrderId]) -> Act {
    let sql =
        "select o.order_id, o.customer_id, o.order_date, o.status, o.total_minor, o.currency, o.created_at,
             o.updated_at, o.external_reference, c.reason, c.actor, c.note,
             i.order_item_id, i.product_id, i.sku, i.quantity, i.unit_price_minor, i.currency
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
    })
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
fn demand(ids: &[OrderId]) -> Act {
    let sql = "with demand as materialized (
             select order_id, product_id, sum(quantity)::bigint as units
             from order_items where order_id = any($1) group by order_id, product_id
         ), locked as (
             select from inventory where product_id in (select product_id from demand)
             order by product_id for update
         )
         select order_id, product_id, units from demand
         where (select count(*) from locked) >= 0 order by order_id, product_id";
    Act::new("orders.get_demand", sql, vec![Box::new(Array::uuids(ids.iter().map(|id| id.0)))])
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
