//! Looks up a parcel of which no event has come for a while, because webhooks get lost.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{EffectConsumer, Envelope, Fault, Message, Vetted, Work};
use domain::OrderId;
use jiff::Timestamp;

use super::standing;
use crate::context::Context;
use crate::messages::{ShipmentTrackingRequested, ShippingCompleted, fact};
use crate::ports::{AnyUnit, HistoryEntry, ShippingProvider, TrackingOutcome, Unanswered, UnitOfWork};

/// Consumes [`ShipmentTrackingRequested`].
pub struct ShipmentTrackingConsumer {
    provider: Arc<dyn ShippingProvider>,
    context: Arc<Context>,
}

type Said = Result<TrackingOutcome, Unanswered>;

impl ShipmentTrackingConsumer {
    /// A consumer that looks up at this provider.
    #[must_use]
    pub fn new(provider: Arc<dyn ShippingProvider>, context: Arc<Context>) -> Self {
        Self { provider, context }
    }
}

#[async_trait]
impl EffectConsumer<AnyUnit> for ShipmentTrackingConsumer {
    const QUEUE: &'static str = "shipment-tracking";
    type Message = ShipmentTrackingRequested;
    type Answer = Said;

    async fn vet(
        &self,
        unit: &mut AnyUnit,
        requests: &[&ShipmentTrackingRequested],
    ) -> Result<Vec<Vetted>, Fault> {
        standing::vet(unit, requests).await
    }

    async fn perform(
        &self,
        message: &ShipmentTrackingRequested,
        _envelope: &Envelope,
    ) -> Result<Said, Fault> {
        Ok(self.provider.look_up(&message.idempotency_key).await)
    }

    /// An unanswered look-up is not repeated here; the saga's next poll does that.
    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<ShipmentTrackingRequested, Said>],
    ) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let entry = |work: &Work<ShipmentTrackingRequested, Said>| {
            let order_id = OrderId(work.message.order_id);
            HistoryEntry::without_step(order_id, now, "TrackingCall", in_words(&work.answer))
        };
        let delivered = |work: &Work<ShipmentTrackingRequested, Said>| match &work.answer {
            Ok(TrackingOutcome::Delivered { tracking_number, .. }) => {
                let order_id = work.message.order_id;
                let message = ShippingCompleted { order_id, tracking_number: tracking_number.clone() };
                Some(fact(message.caused_by(work.envelope(), 0, now), OrderId(order_id), tracking_number))
            }
            Ok(TrackingOutcome::UnknownKey | TrackingOutcome::Booked { .. } | TrackingOutcome::Cancelled)
            | Err(_) => None,
        };
        unit.history().append(&batch.iter().map(entry).collect::<Vec<_>>()).await?;
        record(unit, batch, now).await?;
        unit.publish(batch.iter().filter_map(delivered).collect()).await
    }
}

/// The row is written before the saga gets the message: without the row, the message would be a mere claim.
async fn record(
    unit: &mut dyn UnitOfWork,
    batch: &[Work<ShipmentTrackingRequested, Said>],
    now: Timestamp,
) -> Result<(), Fault> {
    let is_delivered = |work: &&Work<_, Said>| matches!(work.answer, Ok(TrackingOutcome::Delivered { .. }));
    let ids: Vec<OrderId> =
        batch.iter().filter(is_delivered).map(|work| OrderId(work.message.order_id)).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut shipments = unit.shipments().get(&ids).await?;
    for shipment in &mut shipments {
        if let Err(rejection) = shipment.deliver() {
            tracing::warn!(order_id = %shipment.order_id, %rejection, "the delivery does not fit what is known");
        }
    }
    unit.shipments().update(&shipments, now).await
}

fn in_words(said: &Said) -> String {
    match said {
        Ok(TrackingOutcome::UnknownKey) => "the provider does not know the parcel".to_owned(),
        Ok(TrackingOutcome::Booked { tracking_number, .. }) => format!("{tracking_number} is on its way"),
        Ok(TrackingOutcome::Delivered { tracking_number, .. }) => format!("{tracking_number} was delivered"),
        Ok(TrackingOutcome::Cancelled) => "the provider has it as cancelled".to_owned(),
        Err(unanswered) => unanswered.to_string(),
    }
}
