//! Passes the carrier's report about a parcel to the saga.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Envelope, Fault, Message, Outcome, Step, Work};
use domain::{OrderId, Shipment};
use jiff::Timestamp;

use super::claim::{self, Examined, Finding, Origin};
use crate::context::Context;
use crate::messages::{ParcelNews, ShipmentTrackingRequested, about_order};
use crate::ports::{AnyUnit, HistoryEntry, ParcelTrouble};
use crate::return_wish::await_what_turns_back;
use crate::saga::{EventKind, Facts, Happening, OrderProcessingSaga, SagaEvent, SagaState, ShipmentStep};

/// Consumes [`ParcelNews`].
pub struct ShippingCompletedConsumer {
    context: Arc<Context>,
    origin: Origin,
}

impl ShippingCompletedConsumer {
    /// A consumer of messages from its queue; each is a claim.
    #[must_use]
    pub const fn new(context: Arc<Context>) -> Self {
        Self { context, origin: Origin::Queue }
    }

    /// A consumer of messages published by the same unit, which has written the rows.
    #[must_use]
    pub const fn in_unit(context: Arc<Context>) -> Self {
        Self { context, origin: Origin::ThisUnit }
    }

    /// What our rows say about each message. A report of trouble moves nothing by itself; a person decides.
    async fn examine(
        &self,
        unit: &mut AnyUnit,
        batch: &[Work<ParcelNews>],
        now: Timestamp,
    ) -> Result<Vec<Examined>, Fault> {
        if self.origin == Origin::ThisUnit {
            return Ok(batch.iter().map(|_| Examined::without_question(Finding::BorneOut)).collect());
        }
        let rows = unit.shipments().get(&claim::orders(batch, ParcelNews::order_id)).await?;
        let rows: BTreeMap<OrderId, Shipment> = rows.into_iter().map(|row| (row.order_id, row)).collect();
        let examine = |work: &Work<ParcelNews>| match &work.message {
            ParcelNews::Completed(claim) => {
                let finding = claim::of_arrival(claim, rows.get(&OrderId(claim.order_id)));
                let question = (finding == Finding::Unconfirmed).then(|| Self::question(work, now));
                Examined { finding, question }
            }
            ParcelNews::Reported(claim) => {
                let row = rows.get(&OrderId(claim.order_id));
                Examined::without_question(claim::of_trouble(claim.trouble, row))
            }
        };
        Ok(batch.iter().map(examine).collect())
    }

    /// The request to look up an arrival that the carrier has not confirmed.
    fn question(work: &Work<ParcelNews>, now: Timestamp) -> Envelope {
        let order_id = work.message.order_id();
        let idempotency_key = Shipment::request(order_id).key;
        let question = ShipmentTrackingRequested { order_id: order_id.0, idempotency_key };
        about_order(question.caused_by(work.envelope(), 0, now), order_id)
    }

    fn happening<'a>(&self, work: &'a Work<ParcelNews>) -> Happening<'a> {
        let (kind, detail) = match &work.message {
            ParcelNews::Completed(message) => (EventKind::ParcelDelivered, message.tracking_number.clone()),
            ParcelNews::Reported(message) => (event(message.trouble), message.detail.clone()),
        };
        Happening {
            order_id: work.message.order_id(),
            event: SagaEvent::of(kind).within(self.context.settings.limits),
            cause: work.envelope(),
            facts: Facts { detail: Some(detail), ..Facts::default() },
        }
    }
}

#[async_trait]
impl Consumer<AnyUnit> for ShippingCompletedConsumer {
    const QUEUE: &'static str = "shipping-completed";
    type Message = ParcelNews;

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<ParcelNews>]) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let examined = self.examine(unit, batch, now).await?;
        let steps = claim::carry_on(unit, batch, examined, |work| self.happening(work), now).await?;
        let unheard: Vec<HistoryEntry> = steps
            .iter()
            .filter(|(_, step)| is_over_without(step))
            .map(|(place, _)| arrived_all_the_same(&batch[*place].message, now))
            .collect();
        if !unheard.is_empty() {
            unit.history().append(&unheard).await?;
        }
        let turned_back: Vec<OrderId> =
            steps.iter().filter_map(|(place, step)| turned_back(&batch[*place].message, step)).collect();
        await_what_turns_back(unit, &self.context, &turned_back).await
    }
}

/// The order, if its parcel is on its way back and that is new to its saga.
fn turned_back(news: &ParcelNews, step: &Step<OrderProcessingSaga>) -> Option<OrderId> {
    let is_told = matches!(news, ParcelNews::Reported(report) if report.trouble == ParcelTrouble::Returned);
    (is_told && step.outcome == Outcome::Moved).then(|| news.order_id())
}

/// Whether the order had ended without this parcel.
fn is_over_without(step: &Step<OrderProcessingSaga>) -> bool {
    let ended = step.after.as_ref().is_some_and(|saga| {
        let by_force = saga.state == SagaState::Completed && saga.shipment != ShipmentStep::Delivered;
        saga.state == SagaState::Failed || by_force
    });
    ended && matches!(step.outcome, Outcome::Ignored(_))
}

/// The saga ignores it, but the order's timeline must show it.
fn arrived_all_the_same(news: &ParcelNews, at: Timestamp) -> HistoryEntry {
    let told = match news {
        ParcelNews::Completed(message) => format!("{} was delivered", message.tracking_number),
        ParcelNews::Reported(message) => message.detail.clone(),
    };
    let told = format!("{told}, though the order is cancelled");
    HistoryEntry::without_step(news.order_id(), at, "ProviderEvent", told)
}

const fn event(trouble: ParcelTrouble) -> EventKind {
    match trouble {
        ParcelTrouble::Exception => EventKind::ParcelDelayed,
        ParcelTrouble::Lost => EventKind::ParcelLost,
        ParcelTrouble::Damaged => EventKind::ParcelDamaged,
        ParcelTrouble::Returned => EventKind::ParcelReturned,
    }
}
