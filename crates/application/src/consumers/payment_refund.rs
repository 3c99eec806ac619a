//! Refunds a payment, or makes sure that none is taken: the compensation of a payment, whatever happened to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Effects, Envelope, Fault, Vetted, Work};
use domain::{Money, OrderId, Payment};
use jiff::Timestamp;

use super::again::is_worth_telling;
use super::standing;
use super::undo::{for_a_person, give_up_or_retry, is_used_up, undo_failed};
use crate::messages::PaymentRefundRequested;
use crate::pipeline::Context;
use crate::ports::{AnyUnit, CancelOutcome, HistoryEntry, PaymentGateway, Unanswered, UnitOfWork};
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

    /// Whether a refund that a person asked for is a person's again: the gateway said no, or no try is left.
    fn is_final(&self, attempt: u32, unanswered: &Unanswered) -> bool {
        matches!(unanswered, Unanswered::Refused { .. }) || is_used_up(attempt, unanswered, &self.context)
    }

    fn happening<'a>(
        &self,
        work: &'a Work<PaymentRefundRequested, Said>,
        rows: &BTreeMap<OrderId, Payment>,
    ) -> Option<Happening<'a>> {
        if work.message.part.is_some() {
            return None;
        }
        let order_id = OrderId(work.message.order_id);
        let said = match &work.answer {
            Ok(said) => *said,
            Err(unanswered) => return undo_failed(order_id, work.envelope(), unanswered, &self.context),
        };
        if let Some(wrong) = rows.get(&order_id).and_then(|payment| disagreement(payment, said)) {
            return Some(for_a_person(order_id, work.envelope(), wrong, &self.context));
        }
        let (kind, detail) = match said {
            CancelOutcome::Voided => {
                (EventKind::PaymentVoided, "no money was taken, and none will be".to_owned())
            }
            CancelOutcome::Refunded { minor } => {
                (EventKind::PaymentRefunded, format!("{minor} minor units given back"))
            }
        };
        Some(Happening {
            order_id,
            event: SagaEvent::of(kind).within(self.context.settings.limits),
            cause: work.envelope(),
            facts: Facts { detail: Some(detail), ..Facts::default() },
        })
    }
}

/// The error if the gateway refunded another amount than it captured.
fn disagreement(payment: &Payment, said: CancelOutcome) -> Option<String> {
    let taken = if payment.captured_minor > 0 { payment.captured_minor } else { payment.amount.minor };
    let held = payment.held().minor;
    match said {
        CancelOutcome::Refunded { minor } if minor != taken => Some(format!(
            "the gateway says that it gave back {minor} minor units in all, of {taken} that were to be given back"
        )),
        CancelOutcome::Voided if held > 0 => {
            Some(format!("the gateway says that no money was taken, and {held} minor units are held"))
        }
        CancelOutcome::Refunded { .. } | CancelOutcome::Voided => None,
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

    async fn vet(
        &self,
        unit: &mut AnyUnit,
        requests: &[&PaymentRefundRequested],
    ) -> Result<Vec<Vetted>, Fault> {
        standing::vet(unit, requests).await
    }

    async fn perform(&self, message: &PaymentRefundRequested, _envelope: &Envelope) -> Result<Said, Fault> {
        Ok(match &message.part {
            Some(part) => self.gateway.refund(&message.idempotency_key, &part.key, part.minor).await,
            None => self.gateway.cancel(&message.idempotency_key).await,
        })
    }

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<PaymentRefundRequested, Said>],
    ) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let rows = rows(unit, batch).await?;
        let happenings: Vec<_> = batch.iter().filter_map(|work| self.happening(work, &rows)).collect();
        carry_out(unit, &happenings, now).await?;
        record(unit, batch, rows, now).await?;
        let told: Vec<_> = batch.iter().filter_map(|work| refund(work, &self.context, now)).collect();
        unit.history().append(&told).await?;
        for work in batch {
            if let Err(unanswered) = work.answer.clone() {
                if work.message.part.is_some() && self.is_final(work.envelope().attempt, &unanswered) {
                    work.dead_letter(format!("the gateway has not given it back: {unanswered}"));
                } else {
                    give_up_or_retry(work, &unanswered, &self.context, now);
                }
            }
        }
        Ok(())
    }
}

/// Records the gateway's answers in the payments.
async fn rows(
    unit: &mut dyn UnitOfWork,
    batch: &[Work<PaymentRefundRequested, Said>],
) -> Result<BTreeMap<OrderId, Payment>, Fault> {
    let answered = batch.iter().filter(|work| work.answer.is_ok());
    let ids: Vec<OrderId> = answered.map(|work| OrderId(work.message.order_id)).collect();
    let rows = unit.payments().get(&ids).await?;
    Ok(rows.into_iter().map(|row| (row.order_id, row)).collect())
}

/// The timeline entry for a refund that a person requested; the saga writes those of its compensation.
fn refund(
    work: &Work<PaymentRefundRequested, Said>,
    context: &Context,
    at: Timestamp,
) -> Option<HistoryEntry> {
    let part = work.message.part.as_ref()?;
    let told = match &work.answer {
        Ok(CancelOutcome::Refunded { minor }) => {
            format!("{} minor units given back, {minor} in all: {} ({})", part.minor, part.reason, part.key)
        }
        Ok(CancelOutcome::Voided) => format!("the gateway says that nothing was taken ({})", part.key),
        Err(unanswered) if !is_worth_telling(work, unanswered, context, at) => return None,
        Err(unanswered) => format!("{unanswered} ({})", part.key),
    };
    let (order_id, detail) = (OrderId(work.message.order_id), Some(told));
    Some(HistoryEntry { order_id, at, event: "Refund", status: None, saga_state: None, detail })
}

async fn record(
    unit: &mut dyn UnitOfWork,
    batch: &[Work<PaymentRefundRequested, Said>],
    mut rows: BTreeMap<OrderId, Payment>,
    now: Timestamp,
) -> Result<(), Fault> {
    for work in batch {
        if let Some(payment) = rows.get_mut(&OrderId(work.message.order_id)) {
            note(payment, &work.answer);
        }
    }
    let changed: Vec<Payment> = rows.into_values().collect();
    unit.payments().update(&changed, now).await
}

/// A full refund of money that we never heard was captured proves the capture; another amount proves nothing.
fn note(payment: &mut Payment, said: &Said) {
    let noted = match said {
        Ok(CancelOutcome::Voided) => payment.void(),
        Ok(CancelOutcome::Refunded { minor }) => {
            let refunded = Money::new(*minor, payment.amount.currency);
            let known = payment.captured_minor > 0;
            if !known && refunded != payment.amount {
                return;
            }
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
