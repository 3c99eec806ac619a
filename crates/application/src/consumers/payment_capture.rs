//! Captures authorised money: makes a command of each request and has it handled.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{EffectConsumer, Envelope, Fault, Vetted, Work};
use domain::OrderId;

use super::standing;
use crate::commands::{CapturePaymentCommand, CapturePaymentHandler, PaymentAnswer, calls, dispose};
use crate::context::Context;
use crate::messages::PaymentCaptureRequested;
use crate::ports::{AnyUnit, PaymentGateway};

/// Consumes [`PaymentCaptureRequested`].
pub struct PaymentCaptureConsumer {
    handler: CapturePaymentHandler,
}

impl PaymentCaptureConsumer {
    /// A consumer that captures through this gateway.
    #[must_use]
    pub fn new(gateway: Arc<dyn PaymentGateway>, context: Arc<Context>) -> Self {
        Self { handler: CapturePaymentHandler::new(gateway, context) }
    }
}

#[async_trait]
impl EffectConsumer<AnyUnit> for PaymentCaptureConsumer {
    const QUEUE: &'static str = "payment-capture";
    type Message = PaymentCaptureRequested;
    type Answer = PaymentAnswer;

    async fn vet(
        &self,
        unit: &mut AnyUnit,
        requests: &[&PaymentCaptureRequested],
    ) -> Result<Vec<Vetted>, Fault> {
        standing::vet(unit, requests).await
    }

    async fn perform(
        &self,
        message: &PaymentCaptureRequested,
        envelope: &Envelope,
    ) -> Result<PaymentAnswer, Fault> {
        let command = CapturePaymentCommand {
            order_id: OrderId(message.order_id),
            idempotency_key: message.idempotency_key.clone(),
            amount: message.amount.money()?,
            attempt: envelope.attempt,
        };
        Ok(self.handler.ask(command).await)
    }

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<PaymentCaptureRequested, PaymentAnswer>],
    ) -> Result<(), Fault> {
        let decided = self.handler.handle(unit, &calls(batch)).await?;
        dispose(batch, decided);
        Ok(())
    }
}
