//! Cancels parcels: the first compensation step of an order that got that far.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{EffectConsumer, Envelope, Fault, Message, Outcome, Step, Vetted, Work};
use domain::{OrderId, Shipment};
use jiff::Timestamp;

use super::standing;
use crate::commands::{give_up_or_retry, happening, undo_failed};
use crate::context::Context;
use crate::messages::{OrderShippedEvent, ShipmentCancellationRequested, about_order};
use crate::ports::{AnyUnit, ShipmentCancelOutcome, ShippingProvider, Unanswered, UnitOfWork};
use crate::saga::{EventKind, Happening, OrderProcessingSaga, SagaState, carry_out};

/// Consumes [`ShipmentCancellationRequested`].
pub struct ShipmentCancellationConsumer {
    provider: Arc<dyn ShippingProvider>,
    context: Arc<Context>,
}

type Said = Result<ShipmentCancelOutcome, Unanswered>;

impl ShipmentCancellationConsumer {
    /// A consumer that cancels with this provider.
    #[must_use]
    pub fn new(provider: Arc<dyn ShippingProvider>, context: Arc<Context>) -> Self {
        Self { provider, context }
    }

    fn happening<'a>(&self, work: &'a Work<ShipmentCancellationRequested, Said>) -> Option<Happening<'a>> {
        let order_id = OrderId(work.message.order_id);
        let (kind, detail) = match &work.answer {
            Ok(ShipmentCancelOutcome::Cancelled) => {
                (EventKind::ShipmentCancelled, "the provider has cancelled it".to_owned())
            }
            Ok(ShipmentCancelOutcome::AlreadyHandedOver) => {
                (EventKind::ShipmentKept, "the carrier has it already; the order goes forward".to_owned())
            }
            Err(unanswered) => return undo_failed(order_id, work.envelope(), unanswered, &self.context),
        };
        Some(happening(order_id, kind, work.envelope(), detail, &self.context))
    }
}

#[async_trait]
impl EffectConsumer<AnyUnit> for ShipmentCancellationConsumer {
    const QUEUE: &'static str = "shipment-cancellation";
    type Message = ShipmentCancellationRequested;
    type Answer = Said;

    async fn vet(
        &self,
        unit: &mut AnyUnit,
        requests: &[&ShipmentCancellationRequested],
    ) -> Result<Vec<Vetted>, Fault> {
        standing::vet(unit, requests).await
    }

    async fn perform(
        &self,
        message: &ShipmentCancellationRequested,
        _envelope: &Envelope,
    ) -> Result<Said, Fault> {
        Ok(self.provider.cancel(&message.idempotency_key).await)
    }

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<ShipmentCancellationRequested, Said>],
    ) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let happenings: Vec<_> = batch.iter().filter_map(|work| self.happening(work)).collect();
        let steps = carry_out(unit, &happenings, now).await?;
        let rows = record(unit, batch, now).await?;
        let kept =
            happenings.iter().zip(&steps).filter_map(|(happening, step)| kept(happening, step, &rows, now));
        let kept = kept.collect();
        drop(happenings);
        unit.publish(kept).await?;
        for work in batch {
            if let Err(unanswered) = &work.answer {
                let decided = give_up_or_retry(work.envelope(), unanswered, &self.context, now);
                work.dispose(decided);
            }
        }
        Ok(())
    }
}

async fn record(
    unit: &mut dyn UnitOfWork,
    batch: &[Work<ShipmentCancellationRequested, Said>],
    now: Timestamp,
) -> Result<BTreeMap<OrderId, Shipment>, Fault> {
    let answered: Vec<_> = batch.iter().filter(|work| work.answer.is_ok()).collect();
    let ids: Vec<OrderId> = answered.iter().map(|work| OrderId(work.message.order_id)).collect();
    let rows = unit.shipments().get(&ids).await?;
    let mut rows: BTreeMap<OrderId, Shipment> = rows.into_iter().map(|row| (row.order_id, row)).collect();
    for work in answered {
        if let Some(shipment) = rows.get_mut(&OrderId(work.message.order_id)) {
            note(shipment, &work.answer);
        }
    }
    let changed: Vec<Shipment> = rows.values().cloned().collect();
    unit.shipments().update(&changed, now).await?;
    Ok(rows)
}

/// The event of a parcel that could not be cancelled: the order goes forward with it after all.
fn kept(
    happening: &Happening<'_>,
    step: &Step<OrderProcessingSaga>,
    rows: &BTreeMap<OrderId, Shipment>,
    now: Timestamp,
) -> Option<Envelope> {
    let goes_forward = step.after.as_ref().is_some_and(|saga| saga.state == SagaState::Shipped);
    let row = rows.get(&happening.order_id).filter(|_| goes_forward && step.outcome == Outcome::Moved)?;
    let shipped = OrderShippedEvent {
        order_id: happening.order_id.0,
        tracking_number: row.tracking_number.clone()?,
        carrier: row.carrier.clone()?,
    };
    Some(about_order(shipped.caused_by(happening.cause, 0, now), happening.order_id))
}

fn note(shipment: &mut Shipment, said: &Said) {
    let noted = match said {
        Ok(ShipmentCancelOutcome::Cancelled) => shipment.cancel(),
        Ok(ShipmentCancelOutcome::AlreadyHandedOver) => shipment.ship(),
        Err(_) => return,
    };
    if let Err(rejection) = noted {
        tracing::warn!(order_id = %shipment.order_id, %rejection, "the provider's answer does not fit what is known");
    }
}
