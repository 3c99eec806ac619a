//! Passes the gateway's final answer, or its webhook, to the saga.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Envelope, Fault, Work};
use domain::{OrderId, Payment};

use super::claim::{self, Finding, Origin};
use super::early::park_if_early;
use crate::messages::{MoneyMatter, PaymentResult};
use crate::pipeline::Context;
use crate::ports::AnyUnit;
use crate::saga::{EventKind, Facts, Happening, SagaEvent, carry_out};

/// Consumes [`PaymentResult`].
pub struct PaymentProcessedConsumer {
    context: Arc<Context>,
    origin: Origin,
}

impl PaymentProcessedConsumer {
    /// Its queue.
    pub const QUEUE: &'static str = "payment-processed";

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
    async fn findings(
        &self,
        unit: &mut AnyUnit,
        batch: &[Work<PaymentResult, ()>],
    ) -> Result<Vec<Finding>, Fault> {
        if self.origin == Origin::ThisUnit {
            return Ok(vec![Finding::BorneOut; batch.len()]);
        }
        let mut ids: Vec<OrderId> = batch.iter().map(|work| work.message.order_id()).collect();
        ids.sort_unstable();
        ids.dedup();
        let rows = unit.payments().get(&ids).await?;
        let rows: BTreeMap<OrderId, Payment> = rows.into_iter().map(|row| (row.order_id, row)).collect();
        let found = |work: &Work<PaymentResult, ()>| {
            claim::of_money(&work.message, rows.get(&work.message.order_id()))
        };
        Ok(batch.iter().map(found).collect())
    }

    fn happening<'a>(&self, work: &'a Work<PaymentResult, ()>) -> Happening<'a> {
        let (kind, detail) = match &work.message {
            PaymentResult::Processed(_) => (EventKind::PaymentCaptured, None),
            PaymentResult::Failed(message) => (EventKind::PaymentDeclined, Some(message.code.clone())),
            PaymentResult::Reported(message) => (event(message.matter), Some(message.detail.clone())),
        };
        Happening {
            order_id: work.message.order_id(),
            event: SagaEvent::of(kind).within(self.context.settings.limits),
            cause: work.envelope(),
            facts: Facts { detail, ..Facts::default() },
        }
    }
}

#[async_trait]
impl Consumer<AnyUnit> for PaymentProcessedConsumer {
    type Message = PaymentResult;
    type Answer = ();

    fn queue(&self) -> &'static str {
        Self::QUEUE
    }

    async fn perform(&self, _message: &PaymentResult, _envelope: &Envelope) -> Result<(), Fault> {
        Ok(())
    }

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<PaymentResult, ()>]) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let findings = self.findings(unit, batch).await?;
        let borne_out: Vec<usize> =
            (0..batch.len()).filter(|index| findings[*index] == Finding::BorneOut).collect();
        let happenings: Vec<_> = borne_out.iter().map(|index| self.happening(&batch[*index])).collect();
        let steps = carry_out(unit, &happenings, now).await?;
        borne_out.iter().zip(&steps).for_each(|(index, step)| park_if_early(&mut batch[*index], step, now));
        batch.iter_mut().zip(&findings).for_each(|(work, finding)| claim::settle(work, finding, now));
        Ok(())
    }
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
