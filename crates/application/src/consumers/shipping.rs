//! Has orders shipped: makes a command of each request and has it handled.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Effects, Envelope, Fault, Vetted, Work};
use domain::OrderId;

use super::standing;
use crate::commands::{BookingAnswer, ShipOrderCommand, ShipOrderHandler, calls, dispose};
use crate::messages::OrderShippingRequested;
use crate::pipeline::Context;
use crate::ports::{AnyUnit, ShippingProvider};

/// Consumes [`OrderShippingRequested`].
pub struct ShippingConsumer {
    handler: ShipOrderHandler,
    effects: Effects,
}

impl ShippingConsumer {
    /// Its queue.
    pub const QUEUE: &'static str = "shipping";

    /// A consumer that books with this provider.
    #[must_use]
    pub fn new(provider: Arc<dyn ShippingProvider>, context: Arc<Context>) -> Self {
        let effects = context.settings.effects();
        Self { handler: ShipOrderHandler::new(provider, context), effects }
    }
}

#[async_trait]
impl Consumer<AnyUnit> for ShippingConsumer {
    type Message = OrderShippingRequested;
    type Answer = BookingAnswer;

    fn queue(&self) -> &'static str {
        Self::QUEUE
    }

    fn effects(&self) -> Effects {
        self.effects
    }

    async fn vet(
        &self,
        unit: &mut AnyUnit,
        requests: &[&OrderShippingRequested],
    ) -> Result<Vec<Vetted>, Fault> {
        standing::vet(unit, requests).await
    }

    async fn perform(
        &self,
        message: &OrderShippingRequested,
        envelope: &Envelope,
    ) -> Result<BookingAnswer, Fault> {
        let command = ShipOrderCommand {
            order_id: OrderId(message.order_id),
            idempotency_key: message.idempotency_key.clone(),
            attempt: envelope.attempt,
        };
        Ok(self.handler.ask(command).await)
    }

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<OrderShippingRequested, BookingAnswer>],
    ) -> Result<(), Fault> {
        let decided = self.handler.handle(unit, &calls(batch)).await?;
        dispose(batch, decided);
        Ok(())
    }
}
