//! Takes the gateway's final word, from its answer or from its webhook, to the saga.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Envelope, Fault, Work};

use super::early::park_if_early;
use crate::messages::PaymentResult;
use crate::pipeline::Context;
use crate::ports::AnyUnit;
use crate::saga::{EventKind, Facts, Happening, SagaEvent, carry_out};

/// Consumes [`PaymentResult`].
pub struct PaymentProcessedConsumer {
    context: Arc<Context>,
}

impl PaymentProcessedConsumer {
    /// Its queue.
    pub const QUEUE: &'static str = "payment-processed";

    /// A consumer in this context.
    #[must_use]
    pub const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    fn happening<'a>(&self, work: &'a Work<PaymentResult, ()>) -> Happening<'a> {
        let (kind, detail) = match &work.message {
            PaymentResult::Processed(_) => (EventKind::PaymentCaptured, None),
            PaymentResult::Failed(message) => (EventKind::PaymentDeclined, Some(message.code.clone())),
        };
        Happening {
            order_id: work.message.order_id(),
            event: SagaEvent::of(kind).within(self.context.settings.limits),
            cause: work.envelope(),
            facts: Facts { detail, ..Facts::default() },
        }
    }
}

#[async_trait]
impl Consumer<AnyUnit> for PaymentProcessedConsumer {
    type Message = PaymentResult;
    type Answer = ();

    fn queue(&self) -> &'static str {
        Self::QUEUE
    }

    async fn perform(&self, _message: &PaymentResult, _envelope: &Envelope) -> Result<(), Fault> {
        Ok(())
    }

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<PaymentResult, ()>]) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let happenings: Vec<_> = batch.iter().map(|work| self.happening(work)).collect();
        let steps = carry_out(unit, &happenings, now).await?;
        batch.iter_mut().zip(&steps).for_each(|(work, step)| park_if_early(work, step, now));
        Ok(())
    }
}
