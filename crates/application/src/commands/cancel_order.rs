//! Cancels an order on its own, in a unit of work that is opened for it.

use async_trait::async_trait;
use bus::Fault;

use super::Command;
use super::cancellation::{self, CancelOrderCommand, CancelReply};
use crate::context::Context;
use crate::ports::UnitOfWork;

#[async_trait]
impl Command for CancelOrderCommand {
    type Reply = CancelReply;

    const NAME: &'static str = cancellation::NAME;

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<CancelReply, Fault> {
        self.carry_out(unit, context).await
    }
}
