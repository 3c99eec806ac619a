//! Gives money back, or sees to it that none is taken: the undoing of a payment, whatever became of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Effects, Envelope, Fault, Work};
use domain::{Money, OrderId, Payment};
use jiff::Timestamp;

use super::undo::{give_up_or_retry, undo_failed};
use crate::messages::PaymentRefundRequested;
use crate::pipeline::Context;
use crate::ports::{AnyUnit, CancelOutcome, PaymentGateway, Unanswered, UnitOfWork};
use crate::saga::{EventKind, Facts, Happening, SagaEvent, carry_out};

/// Consumes [`PaymentRefundRequested`].
pub struct PaymentRefundConsumer {
    gateway: Arc<dyn PaymentGateway>,
    context: Arc<Context>,
}

type Said = Result<CancelOutcome, Unanswered>;

impl PaymentRefundConsumer {
    /// Its queue.
    pub const QUEUE: &'static str = "payment-refund";

    /// A consumer that refunds through this gateway.
    #[must_use]
    pub fn new(gateway: Arc<dyn PaymentGateway>, context: Arc<Context>) -> Self {
        Self { gateway, context }
    }

    fn happening<'a>(&self, work: &'a Work<PaymentRefundRequested, Said>) -> Option<Happening<'a>> {
        let order_id = OrderId(work.message.order_id);
        let (kind, detail) = match &work.answer {
            Ok(CancelOutcome::Voided) => {
                (EventKind::PaymentVoided, "no money was taken, and none will be".to_owned())
            }
            Ok(CancelOutcome::Refunded { minor }) => {
                (EventKind::PaymentRefunded, format!("{minor} minor units given back"))
            }
            Err(unanswered) => return undo_failed(order_id, work.envelope(), unanswered, &self.context),
        };
        Some(Happening {
            order_id,
            event: SagaEvent::of(kind).within(self.context.settings.limits),
            cause: work.envelope(),
            facts: Facts { detail: Some(detail), ..Facts::default() },
        })
    }
}

#[async_trait]
impl Consumer<AnyUnit> for PaymentRefundConsumer {
    type Message = PaymentRefundRequested;
    type Answer = Said;

    fn queue(&self) -> &'static str {
        Self::QUEUE
    }

    fn effects(&self) -> Effects {
        Effects::Outside { at_once_max: self.context.settings.calls_at_once_max }
    }

    async fn perform(&self, message: &PaymentRefundRequested, _envelope: &Envelope) -> Result<Said, Fault> {
        Ok(self.gateway.cancel(&message.idempotency_key).await)
    }

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<PaymentRefundRequested, Said>],
    ) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let happenings: Vec<_> = batch.iter().filter_map(|work| self.happening(work)).collect();
        carry_out(unit, &happenings, now).await?;
        record(unit, batch, now).await?;
        for work in batch {
            if let Err(unanswered) = work.answer.clone() {
                give_up_or_retry(work, &unanswered, &self.context, now);
            }
        }
        Ok(())
    }
}

async fn record(
    unit: &mut dyn UnitOfWork,
    batch: &[Work<PaymentRefundRequested, Said>],
    now: Timestamp,
) -> Result<(), Fault> {
    let answered: Vec<_> = batch.iter().filter(|work| work.answer.is_ok()).collect();
    let ids: Vec<OrderId> = answered.iter().map(|work| OrderId(work.message.order_id)).collect();
    let rows = unit.payments().get(&ids).await?;
    let mut rows: BTreeMap<OrderId, Payment> = rows.into_iter().map(|row| (row.order_id, row)).collect();
    for work in answered {
        if let Some(payment) = rows.get_mut(&OrderId(work.message.order_id)) {
            note(payment, &work.answer);
        }
    }
    let changed: Vec<Payment> = rows.into_values().collect();
    unit.payments().update(&changed, now).await
}

/// A refund of money that we never heard was taken tells that it was.
fn note(payment: &mut Payment, said: &Said) {
    let noted = match said {
        Ok(CancelOutcome::Voided) => payment.void(),
        Ok(CancelOutcome::Refunded { minor }) => {
            let refunded = Money::new(*minor, payment.amount.currency);
            let known = payment.captured_minor > 0;
            let reference = payment.provider_reference.clone().unwrap_or_else(|| payment.key.clone());
            let captured = if known {
                Ok(domain::Change::NoChange)
            } else {
                payment.capture(payment.amount, &reference)
            };
            captured.and_then(|_| payment.refund(refunded))
        }
        Err(_) => return,
    };
    if let Err(rejection) = noted {
        tracing::warn!(order_id = %payment.order_id, %rejection, "the gateway's answer does not fit what is known");
    }
}
