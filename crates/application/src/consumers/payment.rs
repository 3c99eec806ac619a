//! Takes payments: makes a command of each request and has it handled.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{EffectConsumer, Envelope, Fault, Vetted, Work};
use domain::OrderId;

use super::standing;
use crate::commands::{PaymentAnswer, ProcessPaymentCommand, ProcessPaymentHandler, calls, dispose};
use crate::context::Context;
use crate::messages::PaymentProcessingRequested;
use crate::ports::{AnyUnit, PaymentGateway};

/// Consumes [`PaymentProcessingRequested`].
pub struct PaymentConsumer {
    handler: ProcessPaymentHandler,
}

impl PaymentConsumer {
    /// A consumer that charges through this gateway.
    #[must_use]
    pub fn new(gateway: Arc<dyn PaymentGateway>, context: Arc<Context>) -> Self {
        Self { handler: ProcessPaymentHandler::new(gateway, context) }
    }
}

#[async_trait]
impl EffectConsumer<AnyUnit> for PaymentConsumer {
    const QUEUE: &'static str = "payment";
    type Message = PaymentProcessingRequested;
    type Answer = PaymentAnswer;

    async fn vet(
        &self,
        unit: &mut AnyUnit,
        requests: &[&PaymentProcessingRequested],
    ) -> Result<Vec<Vetted>, Fault> {
        let mut vetted = standing::vet(unit, requests).await?;
        standing::vet_tokens(unit, requests, &mut vetted).await?;
        Ok(vetted)
    }

    async fn perform(
        &self,
        message: &PaymentProcessingRequested,
        envelope: &Envelope,
    ) -> Result<PaymentAnswer, Fault> {
        let command = ProcessPaymentCommand {
            order_id: OrderId(message.order_id),
            idempotency_key: message.idempotency_key.clone(),
            amount: message.amount.money()?,
            payment_token: message.payment_token.clone(),
            capture: message.capture,
            attempt: envelope.attempt,
        };
        Ok(self.handler.ask(command).await)
    }

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<PaymentProcessingRequested, PaymentAnswer>],
    ) -> Result<(), Fault> {
        let decided = self.handler.handle(unit, &calls(batch)).await?;
        dispose(batch, decided);
        Ok(())
    }
}
