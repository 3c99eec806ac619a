//! Who holds units of a product, as statements that both engines understand but for a few words. Open orders are walked by their
//! index, so many a page; the lines of each are found by its id. Knows no connection.

use application::ports::{ReservationPage, ReservationView};
use domain::OrderId;

/// Open orders that one page looks at.
pub(crate) const LOOKED_AT_MAX: usize = 10_000;

/// In what the engines differ.
pub(crate) struct Dialect {
    /// What stands before the number of a value.
    pub(crate) mark: char,
    /// The sagas `s` of open orders, by their index.
    pub(crate) open: &'static str,
}

/// The statement that finds the last open order that a page may look at, after an order: 1. It finds none if the page may look
/// at all.
pub(crate) fn boundary(dialect: &Dialect) -> String {
    let Dialect { mark, open } = dialect;
    let last = LOOKED_AT_MAX - 1;
    format!(
        "select s.correlation_id from {open} and s.correlation_id > {mark}1
         order by s.correlation_id limit 1 offset {last}"
    )
}

/// The statement that reads the reservations of a product: 1, after an order: 2, up to one: 3, so many: 4.
pub(crate) fn rows(dialect: &Dialect) -> String {
    let Dialect { mark, open } = dialect;
    format!(
        "select h.order_id, o.external_reference, o.customer_id, o.status, h.units,
             coalesce((select min(t.at) from order_history t
                 where t.order_id = h.order_id and t.event = 'InventoryReserved'), o.created_at)
         from (
             select w.order_id, w.units
             from (
                 select s.correlation_id as order_id, (
                     select cast(sum(i.quantity) as bigint) from order_items i
                     where i.order_id = s.correlation_id and i.product_id = {mark}1 and i.quantity > 0
                 ) as units
                 from {open} and s.stock = 'reserved' and s.correlation_id > {mark}2 and s.correlation_id <= {mark}3
             ) w
             where w.units is not null order by w.order_id limit {mark}4
         ) h cross join orders o where o.order_id = h.order_id
         order by h.order_id"
    )
}

/// The page that these reservations make, of which one more was read than it may hold.
pub(crate) fn page(
    mut items: Vec<ReservationView>,
    max: usize,
    boundary: Option<OrderId>,
) -> ReservationPage {
    let next = if items.len() > max {
        items.truncate(max);
        items.last().map(|item| OrderId(item.order_id))
    } else {
        boundary
    };
    ReservationPage { items, next }
}
