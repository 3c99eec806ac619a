//! Awaits goods no longer that were to come back.

use async_trait::async_trait;
use bus::{Fault, SagaRepository};
use domain::{OrderId, OrderReturn, ReturnEnd, ReturnId};

use super::Command;
use crate::context::Context;
use crate::messages::correlation;
use crate::ports::{AuditEntry, UnitOfWork};
use crate::return_wish::told;
use crate::saga::OrderProcessingSaga;

/// The timeline's name for it.
const CANCELLED: &str = "ReturnCancelled";

/// Await this return no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelReturnCommand {
    /// The order.
    pub order_id: OrderId,
    /// Its return.
    pub return_id: ReturnId,
    /// Who says so.
    pub actor: String,
    /// Why.
    pub note: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelReturnReply {
    /// It is over.
    Cancelled(Box<OrderReturn>),
    /// Not possible: why.
    Refused(String),
    /// The order has no such return.
    NoSuchReturn,
    /// No such order.
    NotFound,
}

#[async_trait]
impl Command for CancelReturnCommand {
    type Reply = CancelReturnReply;

    const NAME: &'static str = "CancelReturnCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<CancelReturnReply, Fault> {
        let sagas: Vec<OrderProcessingSaga> =
            SagaRepository::load_sagas(unit, &[correlation(self.order_id)]).await?;
        if sagas.is_empty() {
            return Ok(CancelReturnReply::NotFound);
        }
        let returns = unit.returns().get(&[self.order_id]).await?;
        let Some(mut it) = returns.into_iter().find(|it| it.id == self.return_id) else {
            return Ok(CancelReturnReply::NoSuchReturn);
        };
        let at = context.clock.now();
        let end = ReturnEnd { actor: self.actor.clone(), note: self.note.clone(), at };
        if let Err(rejection) = it.cancel(end) {
            return Ok(CancelReturnReply::Refused(rejection.to_string()));
        }
        unit.returns().end(&it).await?;
        unit.update_sagas(&sagas, at).await?;
        let note = if self.note.is_empty() { String::new() } else { format!("{}, ", self.note) };
        let entry = told(&it, at, CANCELLED, &format!("{note}by {}", self.actor));
        unit.history().append(&[entry]).await?;
        let entry = AuditEntry {
            at,
            actor: self.actor.clone(),
            action: "orders cancel-return".to_owned(),
            subject: self.order_id.to_string(),
            note: self.note.clone(),
        };
        unit.audit().record(&[entry]).await?;
        Ok(CancelReturnReply::Cancelled(Box::new(it)))
    }
}
