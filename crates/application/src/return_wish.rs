//! Goods that are to come back of an order, whoever says so: stored and told of, if they may.

use std::collections::{BTreeMap, BTreeSet};

use bus::Fault;
use domain::{
    Order, OrderId, OrderReturn, ProductId, ReturnId, ReturnLine, ReturnStatus, Sku, lines_of_return,
    returnable,
};
use jiff::Timestamp;

use crate::context::Context;
use crate::ports::{HistoryEntry, UnitOfWork};

/// The timeline's name for it.
const REQUESTED: &str = "ReturnRequested";

/// The reason of a return that the carrier began.
const TURNED_BACK: &str = "the carrier sends the parcel back";

/// Most returns that an order may have had.
const RETURNS_MAX: usize = 50;

/// What is to come back, and who says so.
pub(crate) struct ReturnWish<'a> {
    pub(crate) lines: &'a [(Sku, i64)],
    pub(crate) reason: &'a str,
    pub(crate) actor: Option<&'a str>,
}

impl ReturnWish<'_> {
    /// Stores the return and tells of it, unless it is not possible. The order's saga is locked.
    pub(crate) async fn store(
        &self,
        unit: &mut dyn UnitOfWork,
        context: &Context,
        order_id: OrderId,
    ) -> Result<Result<OrderReturn, String>, Fault> {
        let before = unit.returns().get(&[order_id]).await?;
        if before.len() >= RETURNS_MAX {
            return Ok(Err(format!("the order has had {RETURNS_MAX} returns, which is the most")));
        }
        let order = unit.orders().get_by_id(order_id).await?;
        let shipped = order.map(|order| units(&order)).unwrap_or_default();
        let lines = match lines_of_return(self.lines, &returnable(&shipped, &before)) {
            Ok(lines) => lines,
            Err(rejection) => return Ok(Err(rejection.to_string())),
        };
        let at = context.clock.now();
        let awaited = OrderReturn {
            id: ReturnId(context.ids.next(at)),
            order_id,
            status: ReturnStatus::Requested,
            reason: self.reason.to_owned(),
            actor: self.actor.map(str::to_owned),
            requested_at: at,
            lines,
            end: None,
            refund: None,
        };
        unit.returns().request(std::slice::from_ref(&awaited)).await?;
        let what = in_words(&awaited.lines, |line| line.quantity);
        let who = self.actor.unwrap_or("the carrier");
        let entry = told(&awaited, at, REQUESTED, &format!("{what}: {}, by {who}", self.reason));
        unit.history().append(&[entry]).await?;
        Ok(Ok(awaited))
    }
}

/// Awaits what the carrier brings back of these orders, whose sagas are locked. It tells so more than once.
pub(crate) async fn await_what_turns_back(
    unit: &mut dyn UnitOfWork,
    context: &Context,
    order_ids: &[OrderId],
) -> Result<(), Fault> {
    let order_ids: BTreeSet<OrderId> = order_ids.iter().copied().collect();
    for order_id in order_ids {
        let before = unit.returns().get(&[order_id]).await?;
        if before.iter().all(|it| it.actor.is_some()) {
            let wish = ReturnWish { lines: &[], reason: TURNED_BACK, actor: None };
            if let Err(why) = wish.store(unit, context, order_id).await? {
                tracing::info!(%order_id, why, "the carrier brings back what is awaited already");
            }
        }
    }
    Ok(())
}

/// The units of each product that an order is about.
fn units(order: &Order) -> BTreeMap<Sku, (ProductId, i64)> {
    let mut units = BTreeMap::new();
    for line in order.lines() {
        let (_, sum) = units.entry(line.sku.clone()).or_insert((line.product_id, 0_i64));
        *sum = sum.saturating_add(line.remaining());
    }
    units.retain(|_, (_, units)| *units > 0);
    units
}

/// Units of products, such as '2 of TEA-1, 1 of TEA-2'.
pub(crate) fn in_words(lines: &[ReturnLine], units: fn(&ReturnLine) -> i64) -> String {
    let line = |line: &ReturnLine| format!("{} of {}", units(line), line.sku);
    let some = lines.iter().filter(|line| units(line) > 0);
    some.map(line).collect::<Vec<_>>().join(", ")
}

/// An entry of the timeline about a return, which it names.
pub(crate) fn told(it: &OrderReturn, at: Timestamp, event: &'static str, what: &str) -> HistoryEntry {
    HistoryEntry::without_step(it.order_id, at, event, format!("{what} ({})", it.id))
}
