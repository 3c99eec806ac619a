//! Lets orders that wait for goods try again once some have arrived: the oldest first, and only those for which there is enough.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Envelope, Fault, Message, Work};
use domain::{OrderId, ProductId};

use crate::context::Context;
use crate::messages::{Demand, StockArrived, fact};
use crate::ports::{AnyUnit, StockDemand};
use crate::saga::{EventKind, Facts, Happening, SagaEvent, carry_out};

/// Waiting orders that are looked at together.
const LOOKED_AT: usize = 500;

/// Orders that try again in one transaction; a message of its own sees to the rest.
const WOKEN_MAX: usize = 500;

/// Consumes [`StockArrived`].
pub struct BackorderConsumer {
    context: Arc<Context>,
}

/// What is there for those who wait, less what the older ones get.
#[derive(Default)]
struct Offer(BTreeMap<ProductId, i64>);

impl BackorderConsumer {
    /// A consumer in this context.
    #[must_use]
    pub const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    fn happening<'a>(&self, demand: &StockDemand, cause: &'a Envelope) -> Happening<'a> {
        let line = |(product, units): &(ProductId, i64)| Demand { product_id: product.0, quantity: *units };
        Happening {
            order_id: demand.order_id,
            event: SagaEvent::of(EventKind::StockArrived).within(self.context.settings.limits),
            cause,
            facts: Facts { demand: demand.lines.iter().map(line).collect(), ..Facts::default() },
        }
    }
}

#[async_trait]
impl Consumer<AnyUnit> for BackorderConsumer {
    const QUEUE: &'static str = "backorder";
    type Message = StockArrived;

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<StockArrived>]) -> Result<(), Fault> {
        let Some(cause) = batch.first().map(|work| work.envelope().clone()) else { return Ok(()) };
        let now = self.context.clock.now();
        let mut products: Vec<ProductId> =
            batch.iter().flat_map(|work| &work.message.product_ids).map(|id| ProductId(*id)).collect();
        products.sort_unstable();
        products.dedup();
        let woken = served(unit, &products).await?;
        // What follows from a message has its id from it, so each order hears of the goods by a message of its own.
        let heard = |demand: &StockDemand| fact(cause.clone(), demand.order_id, &cause.id.to_string());
        let causes: Vec<Envelope> = woken.iter().map(heard).collect();
        let pairs = woken.iter().zip(&causes);
        let happenings: Vec<Happening<'_>> =
            pairs.map(|(demand, cause)| self.happening(demand, cause)).collect();
        carry_out(unit, &happenings, now).await?;
        if woken.len() >= WOKEN_MAX {
            let product_ids = products.iter().map(|product| product.0).collect();
            let rest = StockArrived { product_ids }.caused_by(&cause, u32::MAX, now);
            unit.publish(vec![rest]).await?;
        }
        Ok(())
    }
}

/// The waiting orders for which there is enough, the oldest first. One that needs more than there is keeps nobody behind it waiting.
async fn served(unit: &mut AnyUnit, products: &[ProductId]) -> Result<Vec<StockDemand>, Fault> {
    let (mut offer, mut served, mut after) = (Offer::default(), Vec::new(), None::<OrderId>);
    loop {
        let waiting = unit.orders().awaiting_stock(products, after, LOOKED_AT).await?;
        offer.look_up(unit, &waiting).await?;
        after = waiting.last().map(|demand| demand.order_id);
        let is_last = waiting.len() < LOOKED_AT;
        served.extend(waiting.into_iter().filter(|demand| offer.serves(demand)));
        served.truncate(WOKEN_MAX);
        if is_last || served.len() == WOKEN_MAX {
            return Ok(served);
        }
    }
}

impl Offer {
    /// Nothing is locked: the reservation itself decides, under its locks.
    async fn look_up(&mut self, unit: &mut AnyUnit, waiting: &[StockDemand]) -> Result<(), Fault> {
        let lines = waiting.iter().flat_map(|demand| &demand.lines);
        let mut unknown: Vec<ProductId> =
            lines.map(|(id, _)| *id).filter(|id| !self.0.contains_key(id)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            self.0.extend(unit.inventory().available(&unknown).await?);
        }
        Ok(())
    }

    /// Whether there is enough for it; it is then taken.
    fn serves(&mut self, demand: &StockDemand) -> bool {
        let left =
            |(id, units): &(ProductId, i64)| self.0.get(id).is_some_and(|available| available >= units);
        let is_enough = demand.lines.iter().all(left);
        if is_enough {
            for (id, units) in &demand.lines {
                if let Some(available) = self.0.get_mut(id) {
                    *available -= units;
                }
            }
        }
        is_enough
    }
}
