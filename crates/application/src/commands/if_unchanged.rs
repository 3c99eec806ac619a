//! A command that is meant for what its caller has seen. The comparison runs in the command's own transaction, after the
//! lock that every change of the same thing takes: of two callers who act at once on what both saw, one acts.

use async_trait::async_trait;
use bus::{Fault, SagaRepository};
use domain::{OrderId, ProductId, Sku};
use jiff::Timestamp;

use super::Command;
use crate::context::Context;
use crate::messages::correlation;
use crate::ports::UnitOfWork;
use crate::saga::OrderProcessingSaga;

/// What a caller has seen before it decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// When the saga of this order had last moved.
    Order(OrderId, Timestamp),
    /// How many units of this product had been booked: received and adjusted. Orders do not change that.
    Stock(Sku, i64),
}

/// A command, and what it is meant for.
pub struct IfUnchanged<'a, C> {
    /// The command.
    pub command: &'a C,
    /// What its caller has seen; it runs in any case if none is given.
    pub seen: Option<&'a Seen>,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfUnchangedReply<R> {
    /// What the command replied.
    Ran(R),
    /// Nothing was done: what the caller has seen has changed since.
    Changed,
}

#[async_trait]
impl<C: Command> Command for IfUnchanged<'_, C> {
    type Reply = IfUnchangedReply<C::Reply>;

    const NAME: &'static str = C::NAME;

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<Self::Reply, Fault> {
        let has_changed = match self.seen {
            None => false,
            Some(Seen::Order(order_id, moved_at)) => has_moved(unit, *order_id, *moved_at).await?,
            Some(Seen::Stock(sku, booked)) => is_booked_otherwise(unit, sku, *booked).await?,
        };
        if has_changed {
            return Ok(IfUnchangedReply::Changed);
        }
        self.command.handle(unit, context).await.map(IfUnchangedReply::Ran)
    }
}

/// Loading the saga locks it, so the moment that is read next stays what it is. That there is no such order is for the
/// command to say.
async fn has_moved(unit: &mut dyn UnitOfWork, order_id: OrderId, seen: Timestamp) -> Result<bool, Fault> {
    let sagas: Vec<OrderProcessingSaga> = SagaRepository::load_sagas(unit, &[correlation(order_id)]).await?;
    if sagas.is_empty() {
        return Ok(false);
    }
    Ok(unit.orders().get_saga_moved_at(order_id).await? != Some(seen))
}

async fn is_booked_otherwise(unit: &mut dyn UnitOfWork, sku: &Sku, seen: i64) -> Result<bool, Fault> {
    let stock = unit.inventory().lock(&[ProductId::of(sku)]).await?;
    Ok(stock.first().is_some_and(|stock| {
        let counters = stock.counters();
        counters.received.saturating_add(counters.adjusted) != seen
    }))
}
