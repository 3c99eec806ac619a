//! Refunds payments: makes a command of each request and has it handled.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{EffectConsumer, Envelope, Fault, Vetted, Work};
use domain::OrderId;

use super::standing;
use crate::commands::{RefundAnswer, RefundPaymentCommand, RefundPaymentHandler, calls, dispose};
use crate::context::Context;
use crate::messages::PaymentRefundRequested;
use crate::ports::{AnyUnit, PaymentGateway};

/// Consumes [`PaymentRefundRequested`].
pub struct PaymentRefundConsumer {
    handler: RefundPaymentHandler,
}

impl PaymentRefundConsumer {
    /// A consumer that refunds through this gateway.
    #[must_use]
    pub fn new(gateway: Arc<dyn PaymentGateway>, context: Arc<Context>) -> Self {
        Self { handler: RefundPaymentHandler::new(gateway, context) }
    }
}

#[async_trait]
impl EffectConsumer<AnyUnit> for PaymentRefundConsumer {
    const QUEUE: &'static str = "payment-refund";
    type Message = PaymentRefundRequested;
    type Answer = RefundAnswer;

    async fn vet(
        &self,
        unit: &mut AnyUnit,
        requests: &[&PaymentRefundRequested],
    ) -> Result<Vec<Vetted>, Fault> {
        let mut vetted = standing::vet(unit, requests).await?;
        standing::vet_parts(unit, requests, &mut vetted).await?;
        Ok(vetted)
    }

    async fn perform(
        &self,
        message: &PaymentRefundRequested,
        _envelope: &Envelope,
    ) -> Result<RefundAnswer, Fault> {
        let command = RefundPaymentCommand {
            order_id: OrderId(message.order_id),
            idempotency_key: message.idempotency_key.clone(),
            part: message.part.clone(),
        };
        Ok(self.handler.ask(command).await)
    }

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<PaymentRefundRequested, RefundAnswer>],
    ) -> Result<(), Fault> {
        let decided = self.handler.handle(unit, &calls(batch)).await?;
        dispose(batch, decided);
        Ok(())
    }
}
