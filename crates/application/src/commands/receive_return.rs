//! Takes goods in that came back: books what can be sold again, and has the money paid back that goes with them.

use async_trait::async_trait;
use bus::{Fault, SagaRepository};
use domain::{
    Arrival, Money, MovementCause, OrderId, OrderReturn, Payment, ProductId, Restock, ReturnEnd, ReturnId,
    ReturnRefund,
};

use super::Command;
use super::refund_order::{Refund, ask_back, does_not_fit};
use crate::context::Context;
use crate::messages::correlation;
use crate::ports::{AuditEntry, UnitOfWork};
use crate::return_wish::{in_words, told};
use crate::saga::OrderProcessingSaga;
use crate::stock_arrival::tell_who_waits;

/// The timeline's name for it.
const RECEIVED: &str = "ReturnReceived";

/// Take these goods in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveReturnCommand {
    /// The order.
    pub order_id: OrderId,
    /// Its return.
    pub return_id: ReturnId,
    /// What arrived; all that was awaited if it names nothing.
    pub arrived: Vec<Arrival>,
    /// What becomes of units of which `arrived` does not say it.
    pub restock: Restock,
    /// What is paid back.
    pub refund: Option<Money>,
    /// Who takes them in.
    pub actor: String,
    /// What they say to it.
    pub note: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiveReturnReply {
    /// They are here.
    Received(Box<OrderReturn>),
    /// Not possible: why, and what would be. Nothing is changed.
    Refused(String),
    /// The order has no such return.
    NoSuchReturn,
    /// No such order.
    NotFound,
}

#[async_trait]
impl Command for ReceiveReturnCommand {
    type Reply = ReceiveReturnReply;

    const NAME: &'static str = "ReceiveReturnCommand";

    async fn handle(
        &self,
        unit: &mut dyn UnitOfWork,
        context: &Context,
    ) -> Result<ReceiveReturnReply, Fault> {
        let sagas: Vec<OrderProcessingSaga> =
            SagaRepository::load_sagas(unit, &[correlation(self.order_id)]).await?;
        if sagas.is_empty() {
            return Ok(ReceiveReturnReply::NotFound);
        }
        let returns = unit.returns().get(&[self.order_id]).await?;
        let Some(mut it) = returns.into_iter().find(|it| it.id == self.return_id) else {
            return Ok(ReceiveReturnReply::NoSuchReturn);
        };
        let at = context.clock.now();
        let end = ReturnEnd { actor: self.actor.clone(), note: self.note.clone(), at };
        if let Err(rejection) = it.receive(&self.arrived, self.restock, end) {
            return Ok(ReceiveReturnReply::Refused(rejection.to_string()));
        }
        let payment = match self.payment(unit).await? {
            Ok(payment) => payment,
            Err(why) => return Ok(ReceiveReturnReply::Refused(why)),
        };
        if let Err(why) = self.restock(unit, context, &it).await? {
            return Ok(ReceiveReturnReply::Refused(why));
        }
        if let Some((payment, amount)) = payment {
            let reason = if self.note.is_empty() { &it.reason } else { &self.note };
            let refund = Refund { amount, actor: &self.actor, reason };
            let key = ask_back(unit, context, payment, &refund).await?;
            it.refund = Some(ReturnRefund { key, minor: amount.minor, paid_at: None });
        }
        unit.returns().end(&it).await?;
        unit.update_sagas(&sagas, at).await?;
        self.tell(unit, context, &it).await?;
        Ok(ReceiveReturnReply::Received(Box::new(it)))
    }
}

impl ReceiveReturnCommand {
    /// The payment of which money is to go back, if any is; or why that is not possible.
    async fn payment(
        &self,
        unit: &mut dyn UnitOfWork,
    ) -> Result<Result<Option<(Payment, Money)>, String>, Fault> {
        let Some(amount) = self.refund else { return Ok(Ok(None)) };
        let Some(payment) = unit.payments().get(&[self.order_id]).await?.pop() else {
            return Ok(Err("nothing was asked for of this order, so nothing can go back".to_owned()));
        };
        Ok(match does_not_fit(&payment, amount) {
            Some(why) => Err(why),
            None => Ok(Some((payment, amount))),
        })
    }

    /// Books what is for sale again, as received for this order.
    async fn restock(
        &self,
        unit: &mut dyn UnitOfWork,
        context: &Context,
        it: &OrderReturn,
    ) -> Result<Result<(), String>, Fault> {
        let restocked = it.lines.iter().filter(|line| line.restocked > 0);
        let mut changes: Vec<(ProductId, i64, MovementCause)> = restocked
            .map(|line| (line.product_id, line.restocked, MovementCause::Order(self.order_id)))
            .collect();
        if changes.is_empty() {
            return Ok(Ok(()));
        }
        changes.sort_unstable_by_key(|(product_id, _, _)| *product_id);
        let booked = unit.inventory().update_available_stock(&changes, context.clock.now()).await?;
        if let Err(rejection) = booked {
            return Ok(Err(rejection.to_string()));
        }
        let products: Vec<ProductId> = changes.iter().map(|(product, _, _)| *product).collect();
        tell_who_waits(unit, context, &products).await?;
        Ok(Ok(()))
    }

    async fn tell(
        &self,
        unit: &mut dyn UnitOfWork,
        context: &Context,
        it: &OrderReturn,
    ) -> Result<(), Fault> {
        let at = context.clock.now();
        let what = in_words(&it.lines, |line| line.received);
        let restocked = in_words(&it.lines, |line| line.restocked);
        let restocked = if restocked.is_empty() { "nothing".to_owned() } else { restocked };
        let what = format!("{what}; for sale again: {restocked}");
        let entry = told(it, at, RECEIVED, &format!("{what}, by {}", self.actor));
        unit.history().append(&[entry]).await?;
        let entry = AuditEntry {
            at,
            actor: self.actor.clone(),
            action: format!("orders receive-return: {what}"),
            subject: self.order_id.to_string(),
            note: self.note.clone(),
        };
        unit.audit().record(&[entry]).await
    }
}
