//! What the rows alone can tell about the six invariants. Looks at everything; repairs nothing.

use application::ports::BrokenInvariantView;
use bus::Fault;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::column::{Broken, rows_max};
use bus_postgres::Lent;
use bus_postgres::{Value, query, views};

/// Up to `max` things that are not as they must be, over all invariants.
pub(super) async fn all(client: &Lent, max: usize) -> Result<Vec<BrokenInvariantView>, Fault> {
    let mut broken = silent(client, max).await?;
    broken.extend(misheld(client, max).await?);
    broken.extend(unbalanced(client, max).await?);
    broken.extend(ledger(client, max).await?);
    broken.extend(misreserved(client, max).await?);
    broken.extend(misreturned(client, max).await?);
    broken.extend(disagreeing(client, max).await?);
    broken.extend(untold(client, max).await?);
    broken.truncate(max);
    Ok(broken)
}

/// First invariant: an order under way has a timer, which stays until its message was handled. A message on its way is no
/// progress: it may be a question that is put again and again, and a broker may lose it. One on hold has a hold that a person can
/// release.
async fn silent(client: &Lent, max: usize) -> Result<Vec<BrokenInvariantView>, Fault> {
    let sql = "select s.correlation_id, s.state from order_saga s
         where s.is_open and s.state <> 'needs_attention'
             and not (s.state = 'on_hold' and exists (
                 select from order_holds h where h.order_id = s.correlation_id and h.released_at is null
             ))
             and not exists (select from timers t where t.correlation_id = s.correlation_id and t.name <> 'refund')
         order by s.correlation_id limit $1";
    find(client, sql, vec![Box::new(rows_max(max))], |row| {
        let state: &str = row.try_get(1)?;
        order_breaks(1, row, format!("is {state}, and neither a timer nor a hold will ever move it"))
    })
    .await
}

/// First invariant, second half: an order under way waits for the holds that are there, and for no others.
async fn misheld(client: &Lent, max: usize) -> Result<Vec<BrokenInvariantView>, Fault> {
    let sql = "select s.correlation_id, s.state from order_saga s
         where s.is_open and s.holds <> coalesce((
             select sum(distinct case h.before_step when 'payment' then 1 else 2 end)
             from order_holds h where h.order_id = s.correlation_id and h.released_at is null
         ), 0)
         order by s.correlation_id limit $1";
    find(client, sql, vec![Box::new(rows_max(max))], |row| {
        let state: &str = row.try_get(1)?;
        order_breaks(1, row, format!("is {state}, and its saga knows of other holds than there are"))
    })
    .await
}

/// Second invariant: the total was captured if the goods went out, and no undoing gave it back; nothing is held if the order
/// was called off. What went back of an order whose goods went out stands in its books, and the sixth invariant looks there. The
/// money of lines that were cancelled after the capture goes back; that of an order that is captured at its shipment may still be on its way, or be a person's to collect.
async fn unbalanced(client: &Lent, max: usize) -> Result<Vec<BrokenInvariantView>, Fault> {
    let sql = "select o.order_id, o.status, o.total_minor, o.currency, coalesce(p.captured_minor - p.refunded_minor, 0),
             coalesce(p.captured_minor, 0)
         from orders o
         left join payments p on p.order_id = o.order_id
         left join order_saga s on s.correlation_id = o.order_id
         where (o.status in ('shipped', 'delivered')
                 and (coalesce(p.captured_minor, 0) not between o.total_minor and o.total_minor + coalesce(o.cancelled_minor, 0)
                     or s.payment in ('refunded', 'closed'))
                 and not (s.captures_later and (s.payment = 'waived' or (
                     s.payment in ('authorised', 'capturing', 'closed') and s.state in ('shipped', 'needs_attention')
                 ))))
             or (o.status = 'cancelled' and coalesce(p.captured_minor - p.refunded_minor, 0) <> 0
                 and s.state = 'failed' and s.payment <> 'waived')
         order by o.order_id limit $1";
    find(client, sql, vec![Box::new(rows_max(max))], |row| {
        let (status, total): (&str, i64) = (row.try_get(1)?, row.try_get(2)?);
        let (currency, held): (&str, i64) = (row.try_get(3)?, row.try_get(4)?);
        let captured: i64 = row.try_get(5)?;
        let detail = if status == "cancelled" {
            format!("is {status} and {held} {currency} minor units are held, not 0")
        } else {
            format!(
                "is {status}; {captured} {currency} minor units were captured and {held} are held, of {total}"
            )
        };
        order_breaks(2, row, detail)
    })
    .await
}

/// Third invariant, first half: the counters of a product are the sums of its ledger.
pub(super) async fn ledger(client: &Lent, max: usize) -> Result<Vec<BrokenInvariantView>, Fault> {
    let sql = "with sums as (
             select product_id,
                 sum(case kind when 'received' then quantity when 'adjusted' then quantity when 'reserved' then -quantity
                     when 'released' then quantity else 0 end)::bigint as available,
                 sum(case kind when 'reserved' then quantity when 'released' then -quantity when 'shipped' then -quantity
                     else 0 end)::bigint as reserved,
                 sum(case kind when 'shipped' then quantity else 0 end)::bigint as shipped
             from stock_movements group by product_id
         )
         select p.sku, i.available_stock, i.reserved_stock, i.shipped, i.short_stock,
             coalesce(l.available, 0), coalesce(l.reserved, 0), coalesce(l.shipped, 0)
         from inventory i join products p on p.product_id = i.product_id
         left join sums l on l.product_id = i.product_id
         where i.available_stock - i.short_stock <> coalesce(l.available, 0) or i.reserved_stock <> coalesce(l.reserved, 0)
             or i.shipped <> coalesce(l.shipped, 0)
         order by i.product_id limit $1";
    find(client, sql, vec![Box::new(rows_max(max))], |row| {
        let units = |first: usize| -> Result<[i64; 3], Broken> {
            Ok([row.try_get(first)?, row.try_get(first + 1)?, row.try_get(first + 2)?])
        };
        let ([available, reserved, shipped], [a, r, s]) = (units(1)?, units(5)?);
        let short: i64 = row.try_get(4)?;
        let detail = format!(
            "has {available} available, {reserved} reserved, {shipped} shipped, {short} short, and its ledger says \
             {a} available or short, {r} reserved, {s} shipped"
        );
        product_breaks(row, detail)
    })
    .await
}

/// Third invariant, second half: what is reserved is what open orders have set aside.
async fn misreserved(client: &Lent, max: usize) -> Result<Vec<BrokenInvariantView>, Fault> {
    let sql = "with held as (
             select i.product_id, sum(i.quantity)::bigint as units
             from order_saga s join order_items i on i.order_id = s.correlation_id
             where s.is_open and s.stock = 'reserved'
             group by i.product_id
         )
         select p.sku, i.reserved_stock, coalesce(h.units, 0)
         from inventory i join products p on p.product_id = i.product_id left join held h on h.product_id = i.product_id
         where i.reserved_stock <> coalesce(h.units, 0)
         order by i.product_id limit $1";
    find(client, sql, vec![Box::new(rows_max(max))], |row| {
        let (reserved, held): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        product_breaks(row, format!("has {reserved} reserved, and open orders hold {held}"))
    })
    .await
}

/// Third invariant, of what comes back: no more of an order than was sent, and what is for sale again stands in the ledger.
async fn misreturned(client: &Lent, max: usize) -> Result<Vec<BrokenInvariantView>, Fault> {
    let sql = "with back as (
             select r.order_id, l.product_id, sum(l.restocked)::bigint as restocked,
                 sum(case r.status when 'requested' then l.quantity when 'received' then l.received else 0 end)::bigint as units
             from order_returns r join order_return_lines l on l.return_id = r.return_id
             group by r.order_id, l.product_id
         ), booked as (
             select order_id, product_id, sum(quantity)::bigint as units from stock_movements
             where kind = 'received' and order_id is not null group by order_id, product_id
         ), both_sides as (
             select coalesce(b.order_id, k.order_id) as order_id, coalesce(b.product_id, k.product_id) as product_id,
                 coalesce(b.units, 0) as units, coalesce(b.restocked, 0) as restocked, coalesce(k.units, 0) as booked
             from back b full join booked k on k.order_id = b.order_id and k.product_id = b.product_id
         ), held_against as (
             select x.*, coalesce((
                 select sum(i.quantity)::bigint from order_items i join orders o on o.order_id = i.order_id
                 where i.order_id = x.order_id and i.product_id = x.product_id and o.status in ('shipped', 'delivered')
             ), 0) as sent
             from both_sides x
         )
         select order_id, units, sent, restocked, booked from held_against
         where units > sent or restocked <> booked
         order by order_id, product_id limit $1";
    find(client, sql, vec![Box::new(rows_max(max))], |row| {
        let (units, sent): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        let (restocked, booked): (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
        let detail = format!(
            "has {units} units of a product back or awaited, of {sent} that were sent; {restocked} are for sale again, and its \
             ledger says {booked}"
        );
        order_breaks(3, row, detail)
    })
    .await
}

/// Fifth invariant, as far as rows can tell: an order and its saga say the same.
async fn disagreeing(client: &Lent, max: usize) -> Result<Vec<BrokenInvariantView>, Fault> {
    let sql = "select o.order_id, o.status, coalesce(s.order_status, 'nothing'), coalesce(s.state, 'missing')
         from orders o left join order_saga s on s.correlation_id = o.order_id
         where s.correlation_id is null or s.order_status <> o.status
             or (s.state = 'completed' and o.status <> 'delivered')
             or (o.status = 'delivered' and s.state not in ('completed', 'needs_attention', 'shipped'))
             or (s.state = 'failed' and o.status <> 'cancelled')
             or (s.state = 'shipped' and o.status <> 'shipped'
                 and (o.status <> 'delivered' or s.payment not in ('authorised', 'capturing')))
         order by o.order_id limit $1";
    find(client, sql, vec![Box::new(rows_max(max))], |row| {
        let (status, believed, state): (&str, &str, &str) =
            (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        order_breaks(5, row, format!("is {status}; its saga is {state} and believes it to be {believed}"))
    })
    .await
}

/// Sixth invariant, as far as rows can tell: what went back, and what is disputed, stands in the order's timeline. Both are rare,
/// and what became of them is not: only such payments are looked at closely.
async fn untold(client: &Lent, max: usize) -> Result<Vec<BrokenInvariantView>, Fault> {
    let sql = "select p.order_id, p.refunded_minor, coalesce(p.dispute, 'none') from payments p
         where (p.refunded_minor > 0 or p.dispute is not null)
             and not exists (
                 select from order_history h where h.order_id = p.order_id
                     and (h.event in ('ProviderEvent', 'PaymentRefunded', 'PaymentCall', 'PaymentProcessed',
                         'PaymentFailed', 'Refund') or (h.event = 'UndoFailed' and h.detail like '%gave back%'))
             )
         order by p.order_id limit $1";
    find(client, sql, vec![Box::new(rows_max(max))], |row| {
        let (refunded, dispute): (i64, &str) = (row.try_get(1)?, row.try_get(2)?);
        order_breaks(
            6,
            row,
            format!("{refunded} minor units went back, dispute {dispute}, and its history does not tell why"),
        )
    })
    .await
}

async fn find(
    client: &Lent,
    sql: &str,
    values: Vec<Value<'static>>,
    view: impl FnMut(&Row) -> Result<BrokenInvariantView, Broken>,
) -> Result<Vec<BrokenInvariantView>, Fault> {
    let rows = query(client, "invariants.check", sql, &values).await?;
    views(&rows, "invariants.check", view)
}

fn order_breaks(invariant: u8, row: &Row, detail: String) -> Result<BrokenInvariantView, Broken> {
    let id: Uuid = row.try_get(0)?;
    Ok(BrokenInvariantView { invariant, subject: format!("order {id}"), detail })
}

fn product_breaks(row: &Row, detail: String) -> Result<BrokenInvariantView, Broken> {
    let sku: &str = row.try_get(0)?;
    Ok(BrokenInvariantView { invariant: 3, subject: format!("product {sku}"), detail })
}
