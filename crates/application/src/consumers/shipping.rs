//! Has orders shipped: makes a command of each request and has it handled.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{EffectConsumer, Envelope, Fault, Store, Vetted, Work};
use domain::OrderId;

use super::standing;
use crate::commands::{BookingAnswer, ShipOrderCommand, ShipOrderHandler, calls, dispose};
use crate::context::Context;
use crate::messages::OrderShippingRequested;
use crate::ports::{AnyUnit, ShippingProvider};

/// Consumes [`OrderShippingRequested`].
pub struct ShippingConsumer {
    handler: ShipOrderHandler,
}

impl ShippingConsumer {
    /// A consumer that books with this provider, to where the orders in this store say.
    #[must_use]
    pub fn new(
        provider: Arc<dyn ShippingProvider>,
        store: Arc<dyn Store<AnyUnit>>,
        context: Arc<Context>,
    ) -> Self {
        Self { handler: ShipOrderHandler::new(provider, store, context) }
    }
}

#[async_trait]
impl EffectConsumer<AnyUnit> for ShippingConsumer {
    const QUEUE: &'static str = "shipping";
    type Message = OrderShippingRequested;
    type Answer = BookingAnswer;

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
            has_address: message.has_address,
        };
        self.handler.ask(command).await
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
