//! Validates fresh orders against the catalogue and starts their reservation.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Envelope, Fault, Work};
use domain::{OrderId, Product, ProductId};

use crate::messages::OrderCreatedEvent;
use crate::pipeline::Context;
use crate::ports::AnyUnit;
use crate::saga::{EventKind, Facts, Happening, SagaEvent, carry_out};

/// Consumes [`OrderCreatedEvent`].
pub struct OrderCreatedConsumer {
    context: Arc<Context>,
}

impl OrderCreatedConsumer {
    /// Its queue.
    pub const QUEUE: &'static str = "order-created";

    /// A consumer in this context.
    #[must_use]
    pub const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    fn judge(
        &self,
        message: &OrderCreatedEvent,
        catalogue: &BTreeMap<ProductId, Product>,
    ) -> (SagaEvent, Option<String>) {
        let limits = self.context.settings.limits;
        match objection(message, catalogue) {
            None => (SagaEvent::of(EventKind::OrderValidated).within(limits), None),
            Some(why) => (SagaEvent::of(EventKind::OrderRejected).within(limits), Some(why)),
        }
    }
}

/// The first thing that the catalogue has against an order.
fn objection(message: &OrderCreatedEvent, catalogue: &BTreeMap<ProductId, Product>) -> Option<String> {
    message.lines.iter().find_map(|line| match catalogue.get(&ProductId(line.product_id)) {
        None => Some(format!("product {} is not in the catalogue", line.product_id)),
        Some(product) if product.price.currency.code() != message.total.currency => Some(format!(
            "{} is sold in {}, not in {}",
            product.sku, product.price.currency, message.total.currency
        )),
        Some(_) => None,
    })
}

#[async_trait]
impl Consumer<AnyUnit> for OrderCreatedConsumer {
    type Message = OrderCreatedEvent;
    type Answer = ();

    fn queue(&self) -> &'static str {
        Self::QUEUE
    }

    async fn perform(&self, _message: &OrderCreatedEvent, _envelope: &Envelope) -> Result<(), Fault> {
        Ok(())
    }

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<OrderCreatedEvent, ()>],
    ) -> Result<(), Fault> {
        let mut wanted: Vec<ProductId> = batch
            .iter()
            .flat_map(|work| &work.message.lines)
            .map(|line| ProductId(line.product_id))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let catalogue = unit.products().get_by_ids(&wanted).await?;
        let catalogue = catalogue.into_iter().map(|product| (product.id, product)).collect();
        let happenings: Vec<Happening<'_>> = batch
            .iter()
            .map(|work| {
                let (event, detail) = self.judge(&work.message, &catalogue);
                let facts = Facts {
                    demand: work.message.lines.clone(),
                    payment_token: work.message.payment_token.clone(),
                    detail,
                    ..Facts::default()
                };
                Happening { order_id: OrderId(work.message.order_id), event, cause: work.envelope(), facts }
            })
            .collect();
        carry_out(unit, &happenings, self.context.clock.now()).await?;
        Ok(())
    }
}
