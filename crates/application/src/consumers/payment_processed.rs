//! Passes the gateway's final answer, or its webhook, to the saga.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus::{Consumer, Envelope, Fault, Message, SagaRepository, Work};
use domain::{OrderId, Payment};
use jiff::{SignedDuration, Timestamp};

use super::claim::{self, Examined, Finding, Origin};
use crate::context::Context;
use crate::messages::{MoneyMatter, PaymentProcessingRequested, PaymentResult, about_order, correlation};
use crate::ports::AnyUnit;
use crate::saga::{EventKind, Facts, Happening, OrderProcessingSaga, SagaEvent};

/// Consumes [`PaymentResult`].
pub struct PaymentProcessedConsumer {
    context: Arc<Context>,
    origin: Origin,
}

impl PaymentProcessedConsumer {
    /// A consumer of messages from its queue; each is a claim.
    #[must_use]
    pub const fn new(context: Arc<Context>) -> Self {
        Self { context, origin: Origin::Queue }
    }

    /// A consumer of messages published by the same unit, which has written the rows.
    #[must_use]
    pub const fn in_unit(context: Arc<Context>) -> Self {
        Self { context, origin: Origin::ThisUnit }
    }

    /// What our rows say about each message.
    async fn examine(
        &self,
        unit: &mut AnyUnit,
        batch: &[Work<PaymentResult>],
        now: Timestamp,
    ) -> Result<Vec<Examined>, Fault> {
        if self.origin == Origin::ThisUnit {
            return Ok(batch.iter().map(|_| Examined::without_question(Finding::BorneOut)).collect());
        }
        let rows = unit.payments().get(&claim::orders(batch, PaymentResult::order_id)).await?;
        let rows: BTreeMap<OrderId, Payment> = rows.into_iter().map(|row| (row.order_id, row)).collect();
        let findings = batch.iter().map(|work| {
            let row = rows.get(&work.message.order_id());
            (work, row, claim::of_money(&work.message, row))
        });
        // Asked once: the look-up itself is repeated until there is an answer or the order needs none.
        let is_to_be_asked = |work: &Work<PaymentResult>, finding: &Finding| {
            *finding == Finding::Unconfirmed && work.envelope().attempt == 0
        };
        let mut examined = Vec::with_capacity(batch.len());
        for (work, row, finding) in findings {
            let question = match row {
                Some(row) if is_to_be_asked(work, &finding) => self.question(unit, work, row, now).await?,
                Some(_) | None => None,
            };
            examined.push(Examined { finding, question });
        }
        Ok(examined)
    }

    /// The request to look up a charge that the gateway has not confirmed. Its retries are used up, so that it never
    /// charges anything.
    async fn question(
        &self,
        unit: &mut AnyUnit,
        work: &Work<PaymentResult>,
        row: &Payment,
        now: Timestamp,
    ) -> Result<Option<Envelope>, Fault> {
        let sagas: Vec<OrderProcessingSaga> =
            SagaRepository::load_sagas(unit, &[correlation(row.order_id)]).await?;
        Ok(sagas.first().map(|saga| {
            let question = PaymentProcessingRequested {
                order_id: row.order_id.0,
                amount: row.amount.into(),
                idempotency_key: row.key.clone(),
                payment_token: None,
                capture: saga.capture,
            };
            let envelope = about_order(question.caused_by(work.envelope(), 0, now), row.order_id);
            let attempt = self.context.settings.call_retry.retries_max.saturating_add(1);
            Envelope { attempt, ..envelope }
        }))
    }

    fn happening<'a>(&self, work: &'a Work<PaymentResult>, now: Timestamp) -> Happening<'a> {
        let (kind, detail) = match &work.message {
            PaymentResult::Authorised(_) => (EventKind::PaymentAuthorised, None),
            PaymentResult::Processed(_) => (EventKind::PaymentCaptured, None),
            PaymentResult::Failed(message) => (EventKind::PaymentDeclined, Some(message.code.clone())),
            PaymentResult::Reported(message) => (event(message.matter), Some(message.detail.clone())),
        };
        Happening {
            order_id: work.message.order_id(),
            event: SagaEvent::of(kind)
                .authorised_for(work.message.until().map(|until| reliable(until, now)))
                .within(self.context.settings.limits),
            cause: work.envelope(),
            facts: Facts { detail, ..Facts::default() },
        }
    }
}

#[async_trait]
impl Consumer<AnyUnit> for PaymentProcessedConsumer {
    const QUEUE: &'static str = "payment-processed";
    type Message = PaymentResult;

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<PaymentResult>]) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let examined = self.examine(unit, batch, now).await?;
        claim::carry_on(unit, batch, examined, |work| self.happening(work, now), now).await.map(drop)
    }
}

/// Time left for a person to do something before an authorisation ends: a quarter of it, and a day at most.
const NOTICE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// How long from now an authorisation can be relied on.
fn reliable(until: Timestamp, now: Timestamp) -> Duration {
    let time = until.duration_since(now);
    Duration::try_from(time - (time / 4).min(NOTICE_MAX)).unwrap_or_default()
}

const fn event(matter: MoneyMatter) -> EventKind {
    match matter {
        MoneyMatter::Refunded => EventKind::MoneyReturned,
        MoneyMatter::PartlyRefunded => EventKind::MoneyReturnedInPart,
        MoneyMatter::SecondCharge => EventKind::SecondCharge,
        MoneyMatter::SecondChargeReturned => EventKind::SecondChargeReturned,
        MoneyMatter::AmountMismatch => EventKind::AmountMismatch,
        MoneyMatter::Disputed => EventKind::PaymentDisputed,
        MoneyMatter::DisputeWon => EventKind::DisputeWon,
        MoneyMatter::DisputeLost => EventKind::DisputeLost,
    }
}
