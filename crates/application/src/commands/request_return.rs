//! Awaits goods of an order that was shipped, because its customer sends them back.

use async_trait::async_trait;
use bus::{Fault, SagaRepository};
use domain::{OrderId, OrderReturn, OrderStatus, Sku};

use super::Command;
use crate::context::Context;
use crate::messages::correlation;
use crate::ports::{AuditEntry, UnitOfWork};
use crate::return_wish::{ReturnWish, in_words};
use crate::saga::OrderProcessingSaga;

/// Await these goods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestReturnCommand {
    /// The order.
    pub order_id: OrderId,
    /// The units of each product; all that may come back if it names none.
    pub lines: Vec<(Sku, i64)>,
    /// Why they come back.
    pub reason: String,
    /// Who asks for it.
    pub actor: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestReturnReply {
    /// They are awaited.
    Requested(Box<OrderReturn>),
    /// Not possible: why, and what would be.
    Refused(String),
    /// No such order.
    NotFound,
}

#[async_trait]
impl Command for RequestReturnCommand {
    type Reply = RequestReturnReply;

    const NAME: &'static str = "RequestReturnCommand";

    async fn handle(
        &self,
        unit: &mut dyn UnitOfWork,
        context: &Context,
    ) -> Result<RequestReturnReply, Fault> {
        // The saga's lock covers the order's returns.
        let sagas: Vec<OrderProcessingSaga> =
            SagaRepository::load_sagas(unit, &[correlation(self.order_id)]).await?;
        let Some(saga) = sagas.first() else { return Ok(RequestReturnReply::NotFound) };
        if let Some(why) = not_sent(saga.order) {
            return Ok(RequestReturnReply::Refused(why));
        }
        let wish = ReturnWish { lines: &self.lines, reason: &self.reason, actor: Some(&self.actor) };
        let awaited = match wish.store(unit, context, self.order_id).await? {
            Ok(awaited) => awaited,
            Err(why) => return Ok(RequestReturnReply::Refused(why)),
        };
        let now = context.clock.now();
        // Whoever acts on what they saw of the order must notice this.
        unit.update_sagas(&sagas, now).await?;
        let entry = AuditEntry {
            at: now,
            actor: self.actor.clone(),
            action: format!("orders return: {}", in_words(&awaited.lines, |line| line.quantity)),
            subject: self.order_id.to_string(),
            note: self.reason.clone(),
        };
        unit.audit().record(&[entry]).await?;
        Ok(RequestReturnReply::Requested(Box::new(awaited)))
    }
}

/// Why goods of an order cannot come back, if nothing of it has left.
fn not_sent(order: OrderStatus) -> Option<String> {
    match order {
        OrderStatus::Shipped | OrderStatus::Delivered => None,
        OrderStatus::Cancelled => Some("the order is cancelled; nothing of it was sent".to_owned()),
        OrderStatus::Pending
        | OrderStatus::Validated
        | OrderStatus::PaymentProcessing
        | OrderStatus::Authorised
        | OrderStatus::Paid => {
            Some(format!("the order is {order}; nothing of it has left yet, so cancel it"))
        }
    }
}
