//! Cancels an order, if that is still possible.

use bus::{Fault, Outcome, SagaRepository};
use domain::{CancelReason, Dispute, OrderId, OrderStatus};
use jiff::Timestamp;

use super::tell_saga::tell_saga;
use crate::context::Context;
use crate::messages::correlation;
use crate::ports::{AuditEntry, UnitOfWork};
use crate::saga::{EventKind, Facts, OrderProcessingSaga, SagaEvent, SagaState};

/// Why an order is not cancelled while its customer's bank decides about the money.
const DISPUTED: &str =
    "the customer's bank decides about the money; cancel the order once the dispute is over, or force it";

/// Its name.
pub(super) const NAME: &str = "CancelOrderCommand";

/// Cancel this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelOrderCommand {
    /// Which.
    pub order_id: OrderId,
    /// The reason: the customer's or an operator's decision.
    pub reason: CancelReason,
    /// Who asks.
    pub actor: String,
    /// Their note.
    pub note: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelReply {
    /// It is being cancelled; its steps are being reversed.
    Accepted,
    /// It was cancelled before, or is being cancelled.
    Already,
    /// Too late.
    Refused {
        /// Where the saga stands.
        state: SagaState,
        /// Why that is too late, and what can be done instead.
        why: &'static str,
    },
    /// No such order.
    NotFound,
}

impl CancelOrderCommand {
    /// Carries it out.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn carry_out(
        &self,
        unit: &mut dyn UnitOfWork,
        context: &Context,
    ) -> Result<CancelReply, Fault> {
        if let Some(state) = self.disputed(unit).await? {
            return Ok(CancelReply::Refused { state, why: DISPUTED });
        }
        let facts = Facts {
            detail: (!self.note.is_empty()).then(|| self.note.clone()),
            actor: Some(self.actor.clone()),
            ..Facts::default()
        };
        let told = (SagaEvent::of(EventKind::CancelRequested).because(self.reason), facts);
        let step = tell_saga(unit, context, self.order_id, NAME, told).await?;
        if step.after.is_some() && step.outcome == Outcome::Moved {
            unit.audit().record(&[self.audit_entry(context.clock.now())]).await?;
        }
        Ok(match (&step.after, step.outcome) {
            (None, _) => CancelReply::NotFound,
            (Some(saga), Outcome::Refused(why)) => CancelReply::Refused { state: saga.state, why },
            (Some(_), Outcome::Moved) => CancelReply::Accepted,
            (Some(_), Outcome::Ignored(_) | Outcome::Early) => CancelReply::Already,
        })
    }

    /// Whoever asks for it, be it for the customer: an operator may do that too.
    fn audit_entry(&self, at: Timestamp) -> AuditEntry {
        let wish = format!("the {}'s wish", self.reason.as_str());
        AuditEntry {
            at,
            actor: self.actor.clone(),
            action: "orders cancel".to_owned(),
            subject: self.order_id.to_string(),
            note: if self.note.is_empty() { wish } else { format!("{wish}: {}", self.note) },
        }
    }

    /// Where the order stands, if cancelling it would refund money that is disputed. The saga knows of the dispute only
    /// until a person skips it, the payment's row as long as it lasts.
    async fn disputed(&self, unit: &mut dyn UnitOfWork) -> Result<Option<SagaState>, Fault> {
        let payment = unit.payments().get(&[self.order_id]).await?.pop();
        if payment.is_none_or(|payment| payment.dispute != Some(Dispute::Open) || payment.held().minor == 0) {
            return Ok(None);
        }
        let sagas: Vec<OrderProcessingSaga> =
            SagaRepository::load_sagas(unit, &[correlation(self.order_id)]).await?;
        let refunds = |saga: &OrderProcessingSaga| match saga.order {
            OrderStatus::Pending
            | OrderStatus::Validated
            | OrderStatus::PaymentProcessing
            | OrderStatus::Authorised
            | OrderStatus::Paid => true,
            OrderStatus::Shipped | OrderStatus::Delivered | OrderStatus::Cancelled => false,
        };
        Ok(sagas.first().filter(|saga| refunds(saga)).map(|saga| saga.state))
    }
}
