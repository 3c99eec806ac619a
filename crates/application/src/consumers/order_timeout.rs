//! Passes fired timers to the saga.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Fault, Work};
use domain::OrderId;

use super::early::is_of_nobody;
use crate::context::Context;
use crate::messages::OrderTimeoutEvent;
use crate::ports::AnyUnit;
use crate::saga::{EventKind, Facts, Happening, SagaEvent, carry_out, timers};

/// Consumes [`OrderTimeoutEvent`].
pub struct OrderTimeoutConsumer {
    context: Arc<Context>,
}

impl OrderTimeoutConsumer {
    /// A consumer in this context.
    #[must_use]
    pub const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

/// The event for a timer of this name. A name that is no longer used means nothing.
fn meaning(timer: &str) -> Option<EventKind> {
    match timer {
        timers::ORDER => Some(EventKind::OrderTimedOut),
        timers::PAYMENT => Some(EventKind::PaymentTimedOut),
        timers::SHIPPING => Some(EventKind::ShippingTimedOut),
        timers::DELIVERY_POLL => Some(EventKind::DeliveryPollDue),
        timers::UNDO => Some(EventKind::UndoTimedOut),
        _ => None,
    }
}

impl OrderTimeoutConsumer {
    fn happening<'a>(&self, work: &'a Work<OrderTimeoutEvent>) -> Option<Happening<'a>> {
        let fired = &work.message.0;
        let event = SagaEvent::of(meaning(&fired.name)?)
            .of_generation(fired.generation)
            .within(self.context.settings.limits);
        Some(Happening {
            order_id: OrderId(fired.saga),
            event,
            cause: work.envelope(),
            facts: Facts { detail: Some(format!("timer '{}' fired", fired.name)), ..Facts::default() },
        })
    }
}

#[async_trait]
impl Consumer<AnyUnit> for OrderTimeoutConsumer {
    const QUEUE: &'static str = "order-timeouts";
    type Message = OrderTimeoutEvent;

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<OrderTimeoutEvent>]) -> Result<(), Fault> {
        // These firings count as handled, whatever the saga made of them; one whose message is lost fires again.
        unit.retire_timers(batch.iter().map(|work| work.message.0.retired()).collect()).await?;
        let happenings: Vec<_> = batch.iter().filter_map(|work| self.happening(work)).collect();
        let steps = carry_out(unit, &happenings, self.context.clock.now()).await?;
        drop(happenings);
        let told = batch.iter_mut().filter(|work| meaning(&work.message.0.name).is_some());
        for (work, step) in told.zip(&steps) {
            is_of_nobody(work, step);
        }
        Ok(())
    }
}
