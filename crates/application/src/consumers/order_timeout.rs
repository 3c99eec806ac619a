//! Takes the saga's timers, once fired, back to the saga.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Envelope, Fault, Work};
use domain::OrderId;

use crate::messages::OrderTimeoutEvent;
use crate::pipeline::Context;
use crate::ports::AnyUnit;
use crate::saga::{EventKind, Facts, Happening, SagaEvent, carry_out, timers};

/// Consumes [`OrderTimeoutEvent`].
pub struct OrderTimeoutConsumer {
    context: Arc<Context>,
}

impl OrderTimeoutConsumer {
    /// Its queue.
    pub const QUEUE: &'static str = "order-timeouts";

    /// A consumer in this context.
    #[must_use]
    pub const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

/// What a timer of this name means. A name that nobody sets any more means nothing.
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

#[async_trait]
impl Consumer<AnyUnit> for OrderTimeoutConsumer {
    type Message = OrderTimeoutEvent;
    type Answer = ();

    fn queue(&self) -> &'static str {
        Self::QUEUE
    }

    async fn perform(&self, _message: &OrderTimeoutEvent, _envelope: &Envelope) -> Result<(), Fault> {
        Ok(())
    }

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<OrderTimeoutEvent, ()>],
    ) -> Result<(), Fault> {
        let limits = self.context.settings.limits;
        let happenings: Vec<_> = batch
            .iter()
            .filter_map(|work| {
                let fired = &work.message.0;
                Some(Happening {
                    order_id: OrderId(fired.saga),
                    event: SagaEvent::of(meaning(&fired.name)?)
                        .of_generation(fired.generation)
                        .within(limits),
                    cause: work.envelope(),
                    facts: Facts {
                        detail: Some(format!("timer '{}' fired", fired.name)),
                        ..Facts::default()
                    },
                })
            })
            .collect();
        carry_out(unit, &happenings, self.context.clock.now()).await?;
        Ok(())
    }
}
