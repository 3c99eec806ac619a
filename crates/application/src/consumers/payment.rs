//! Takes payments: makes a command of each request and has it handled.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Effects, Envelope, Fault, Vetted, Work};
use domain::OrderId;

use super::standing;
use crate::commands::{PaymentAnswer, ProcessPaymentCommand, ProcessPaymentHandler, calls, dispose};
use crate::messages::PaymentProcessingRequested;
use crate::pipeline::Context;
use crate::ports::{AnyUnit, PaymentGateway};

/// Consumes [`PaymentProcessingRequested`].
pub struct PaymentConsumer {
    handler: ProcessPaymentHandler,
    effects: Effects,
}

impl PaymentConsumer {
    /// Its queue.
    pub const QUEUE: &'static str = "payment";

    /// A consumer that charges through this gateway.
    #[must_use]
    pub fn new(gateway: Arc<dyn PaymentGateway>, context: Arc<Context>) -> Self {
        let effects = context.settings.effects();
        Self { handler: ProcessPaymentHandler::new(gateway, context), effects }
    }
}

#[async_trait]
impl Consumer<AnyUnit> for PaymentConsumer {
    type Message = PaymentProcessingRequested;
    type Answer = PaymentAnswer;

    fn queue(&self) -> &'static str {
        Self::QUEUE
    }

    fn effects(&self) -> Effects {
        self.effects
    }

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
