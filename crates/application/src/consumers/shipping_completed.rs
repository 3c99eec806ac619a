//! Takes the carrier's word that a parcel arrived to the saga.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Envelope, Fault, Outcome, Work};
use domain::OrderId;
use jiff::Timestamp;

use super::early::park_if_early;
use crate::messages::ShippingCompleted;
use crate::pipeline::Context;
use crate::ports::{AnyUnit, UnitOfWork};
use crate::saga::{EventKind, Facts, Happening, SagaEvent, carry_out};

/// Consumes [`ShippingCompleted`].
pub struct ShippingCompletedConsumer {
    context: Arc<Context>,
}

impl ShippingCompletedConsumer {
    /// Its queue.
    pub const QUEUE: &'static str = "shipping-completed";

    /// A consumer in this context.
    #[must_use]
    pub const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

#[async_trait]
impl Consumer<AnyUnit> for ShippingCompletedConsumer {
    type Message = ShippingCompleted;
    type Answer = ();

    fn queue(&self) -> &'static str {
        Self::QUEUE
    }

    async fn perform(&self, _message: &ShippingCompleted, _envelope: &Envelope) -> Result<(), Fault> {
        Ok(())
    }

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<ShippingCompleted, ()>],
    ) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let happenings: Vec<_> = batch
            .iter()
            .map(|work| Happening {
                order_id: OrderId(work.message.order_id),
                event: SagaEvent::of(EventKind::ParcelDelivered).within(self.context.settings.limits),
                cause: work.envelope(),
                facts: Facts::default(),
            })
            .collect();
        let steps = carry_out(unit, &happenings, now).await?;
        let delivered = batch.iter().zip(&steps).filter(|(_, step)| step.outcome == Outcome::Moved);
        record(unit, delivered.map(|(work, _)| OrderId(work.message.order_id)).collect(), now).await?;
        batch.iter_mut().zip(&steps).for_each(|(work, step)| park_if_early(work, step, now));
        Ok(())
    }
}

async fn record(unit: &mut dyn UnitOfWork, delivered: Vec<OrderId>, now: Timestamp) -> Result<(), Fault> {
    let mut shipments = unit.shipments().get(&delivered).await?;
    for shipment in &mut shipments {
        if let Err(rejection) = shipment.deliver() {
            tracing::warn!(order_id = %shipment.order_id, %rejection, "the delivery does not fit what is known");
        }
    }
    unit.shipments().update(&shipments, now).await
}
