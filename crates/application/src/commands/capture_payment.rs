//! Captures the authorised money of an order whose goods are shipped: asks the gateway outside any transaction, then decides,
//! records and tells what its answer means. A capture that fails is a person's case: the parcel has left.

use std::sync::Arc;

use bus::{Disposition, Envelope, Fault};
use domain::{Money, OrderId};
use jiff::Timestamp;

use super::process_payment::{Noted, PaymentAnswer, captured, envelopes, record, results};
use super::provider_call::{Asked, Call};
use super::undo::{give_up_or_retry, is_used_up};
use crate::context::Context;
use crate::ports::{ChargeRequest, HistoryEntry, PaymentGateway, UnitOfWork};
use crate::saga::{EventKind, Happening, carry_out};

/// Capture the authorised money of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturePaymentCommand {
    /// The order.
    pub order_id: OrderId,
    /// The charge's key.
    pub idempotency_key: String,
    /// How much to take: all of it.
    pub amount: Money,
    /// Earlier attempts.
    pub attempt: u32,
}

/// The call that takes authorised money.
const CAPTURE: Asked = Asked::ToDo("capture");

/// Handles [`CapturePaymentCommand`]s.
pub struct CapturePaymentHandler {
    gateway: Arc<dyn PaymentGateway>,
    context: Arc<Context>,
}

impl CapturePaymentHandler {
    /// A handler that captures through this gateway.
    #[must_use]
    pub fn new(gateway: Arc<dyn PaymentGateway>, context: Arc<Context>) -> Self {
        Self { gateway, context }
    }

    /// Asks the gateway. The call may be repeated: a charge is captured once, whoever asks how often.
    pub async fn ask(&self, command: CapturePaymentCommand) -> PaymentAnswer {
        let CapturePaymentCommand { order_id, idempotency_key, amount, attempt } = command;
        let request = ChargeRequest {
            key: idempotency_key,
            reference: order_id.to_string(),
            amount,
            payment_token: None,
        };
        let said = captured(self.gateway.as_ref(), &request).await;
        PaymentAnswer { order_id, amount, attempt, asked: CAPTURE, said }
    }

    /// Decides what the answers mean for their orders, records them and tells of them. Returns what becomes of each
    /// message.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn handle(
        &self,
        unit: &mut dyn UnitOfWork,
        calls: &[Call<'_, PaymentAnswer>],
    ) -> Result<Vec<Disposition>, Fault> {
        let now = self.context.clock.now();
        let noted = record(unit, calls, now).await?;
        self.decide(unit, calls, &noted, now).await?;
        self.tell(unit, calls, &noted, now).await?;
        let next = |call: &Call<'_, PaymentAnswer>| match &call.answer.said {
            Ok(_) => Disposition::Done,
            Err(unanswered) => give_up_or_retry(call.cause, unanswered, &self.context, now),
        };
        Ok(calls.iter().map(next).collect())
    }

    /// A capture without retries left, or with an answer that does not fit our books, is a person's case.
    async fn decide(
        &self,
        unit: &mut dyn UnitOfWork,
        calls: &[Call<'_, PaymentAnswer>],
        noted: &[Noted],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let has_failed = |(call, noted): &(&Call<'_, PaymentAnswer>, &Noted)| match &call.answer.said {
            Ok(_) => **noted == Noted::OutOfDate,
            Err(unanswered) => is_used_up(call.cause.attempt, unanswered, &self.context),
        };
        let failed: Vec<Happening<'_>> = calls
            .iter()
            .zip(noted)
            .filter(has_failed)
            .map(|(call, _)| call.means(EventKind::CaptureFailed, &self.context))
            .collect();
        carry_out(unit, &failed, now).await.map(drop)
    }

    /// Writes the timeline entries, and publishes what the answers say to the saga.
    async fn tell(
        &self,
        unit: &mut dyn UnitOfWork,
        calls: &[Call<'_, PaymentAnswer>],
        noted: &[Noted],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let news = calls.iter().filter(|call| call.is_news(&self.context, now));
        let entries: Vec<HistoryEntry> = news.map(|call| call.entry("CaptureCall", now)).collect();
        unit.history().append(&entries).await?;
        let told = calls.iter().zip(noted);
        let told: Vec<Envelope> = told
            .flat_map(|(call, noted)| envelopes(call, &results(call.answer, *noted, true), now))
            .collect();
        unit.publish(told).await
    }
}
