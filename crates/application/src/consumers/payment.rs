//! Takes payments: calls the gateway outside any transaction, under a key stored before, and records the answer. A
//! charge with unknown outcome is looked up by its key, never guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Effects, Envelope, Fault, Message, Vetted, Work};
use domain::{OrderId, Payment};
use jiff::Timestamp;

use super::again::{ask_again, is_worth_telling, look_up_again};
use super::standing;
use crate::messages::{
    PaymentFailed, PaymentProcessed, PaymentProcessingRequested, PaymentResult, correlation,
};
use crate::pipeline::Context;
use crate::ports::{
    AnyUnit, ChargeOutcome, ChargeRequest, HistoryEntry, PaymentGateway, Unanswered, UnitOfWork,
};
use crate::saga::{EventKind, Facts, Happening, OrderProcessingSaga, SagaEvent, SagaState, carry_out};

/// Consumes [`PaymentProcessingRequested`].
pub struct PaymentConsumer {
    gateway: Arc<dyn PaymentGateway>,
    context: Arc<Context>,
}

/// The gateway's answer, and to which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentAnswer {
    asked: Asked,
    said: Result<ChargeOutcome, Unanswered>,
}

/// Which call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// A charge.
    Charge,
    /// A look-up.
    LookUp,
    /// None: there is nothing to pay.
    Nothing,
}

impl PaymentConsumer {
    /// Its queue.
    pub const QUEUE: &'static str = "payment";

    /// A consumer that charges through this gateway.
    #[must_use]
    pub fn new(gateway: Arc<dyn PaymentGateway>, context: Arc<Context>) -> Self {
        Self { gateway, context }
    }

    /// On the first attempt charges. On later ones an earlier call may have done something, so it looks the charge up
    /// and charges only if the gateway does not know the key.
    async fn ask(&self, request: &ChargeRequest, attempt: u32) -> PaymentAnswer {
        if attempt == 0 {
            return self.charge(request).await;
        }
        match self.gateway.look_up(request).await {
            Ok(Some(known)) => PaymentAnswer { asked: Asked::LookUp, said: self.taken(known, request).await },
            Ok(None) if attempt <= self.context.settings.call_retry.retries_max => self.charge(request).await,
            Ok(None) => {
                let why = "the gateway does not know the key, and the retries are used up".to_owned();
                PaymentAnswer { asked: Asked::LookUp, said: Err(Unanswered::Unknown { why }) }
            }
            Err(unanswered) => PaymentAnswer { asked: Asked::LookUp, said: Err(unanswered) },
        }
    }

    async fn charge(&self, request: &ChargeRequest) -> PaymentAnswer {
        let said = match self.gateway.charge(request).await {
            Ok(known) => self.taken(known, request).await,
            Err(unanswered) => Err(unanswered),
        };
        PaymentAnswer { asked: Asked::Charge, said }
    }

    /// Captures a charge that was only authorised, under the same key.
    async fn taken(
        &self,
        known: ChargeOutcome,
        request: &ChargeRequest,
    ) -> Result<ChargeOutcome, Unanswered> {
        match known {
            ChargeOutcome::Authorised { .. } => self.gateway.capture(request).await,
            ChargeOutcome::Captured { .. }
            | ChargeOutcome::Declined { .. }
            | ChargeOutcome::Refunded { .. }
            | ChargeOutcome::Closed => Ok(known),
        }
    }

    /// Schedules the next call, as long as the saga still waits for the money.
    async fn settle(
        &self,
        unit: &mut dyn UnitOfWork,
        batch: &mut [Work<PaymentProcessingRequested, PaymentAnswer>],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let open = batch.iter().filter(|work| work.answer.said.is_err());
        let ids: Vec<_> = open.map(|work| correlation(OrderId(work.message.order_id))).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let sagas: Vec<OrderProcessingSaga> = bus::SagaRepository::load_sagas(unit, &ids).await?;
        let waiting: BTreeSet<_> =
            sagas.iter().filter(|saga| saga.awaits_payment()).map(|saga| saga.order_id.0).collect();
        for work in batch.iter_mut().filter(|work| waiting.contains(&work.message.order_id)) {
            let PaymentAnswer { asked, said } = work.answer.clone();
            match (said, asked) {
                (Ok(_), _) => {}
                (Err(unanswered), Asked::LookUp) => look_up_again(work, &unanswered, &self.context, now),
                (Err(unanswered), Asked::Charge | Asked::Nothing) => {
                    ask_again(work, &unanswered, &self.context.settings.call_retry, &self.context, now);
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer<AnyUnit> for PaymentConsumer {
    type Message = PaymentProcessingRequested;
    type Answer = PaymentAnswer;

    fn queue(&self) -> &'static str {
        Self::QUEUE
    }

    fn effects(&self) -> Effects {
        Effects::Outside { at_once_max: self.context.settings.calls_at_once_max }
    }

    async fn vet(
        &self,
        unit: &mut AnyUnit,
        requests: &[&PaymentProcessingRequested],
    ) -> Result<Vec<Vetted>, Fault> {
        standing::vet(unit, requests).await
    }

    async fn perform(
        &self,
        message: &PaymentProcessingRequested,
        envelope: &Envelope,
    ) -> Result<PaymentAnswer, Fault> {
        let amount = message.amount.money()?;
        if amount.minor == 0 {
            let free = ChargeOutcome::Captured { reference: "free-of-charge".to_owned() };
            return Ok(PaymentAnswer { asked: Asked::Nothing, said: Ok(free) });
        }
        let request = ChargeRequest {
            key: message.idempotency_key.clone(),
            reference: message.order_id.to_string(),
            amount,
            payment_token: message.payment_token.clone(),
        };
        Ok(self.ask(&request, envelope.attempt).await)
    }

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<PaymentProcessingRequested, PaymentAnswer>],
    ) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let started: Vec<_> = batch.iter().filter(|work| work.answer.was_let_through()).collect();
        let happenings: Vec<_> = started.iter().map(|work| self.started(work)).collect();
        let steps = carry_out(unit, &happenings, now).await?;
        let told: BTreeSet<OrderId> = happenings
            .iter()
            .zip(&steps)
            .filter(|(_, step)| step.outcome == bus::Outcome::Moved)
            .map(|(happening, _)| happening.order_id)
            .collect();
        record(unit, batch, now).await?;
        unit.history().append(&self.calls(batch, &told, now)).await?;
        unit.publish(batch.iter().filter_map(|work| result(work, now)).collect()).await?;
        self.settle(unit, batch, now).await
    }
}

impl PaymentConsumer {
    fn started<'a>(&self, work: &'a Work<PaymentProcessingRequested, PaymentAnswer>) -> Happening<'a> {
        Happening {
            order_id: OrderId(work.message.order_id),
            event: SagaEvent::of(EventKind::PaymentStarted).within(self.context.settings.limits),
            cause: work.envelope(),
            facts: Facts { detail: Some(work.answer.in_words(work.envelope().attempt)), ..Facts::default() },
        }
    }
}

/// Records the gateway's answers in the payment rows.
async fn record(
    unit: &mut dyn UnitOfWork,
    batch: &[Work<PaymentProcessingRequested, PaymentAnswer>],
    now: Timestamp,
) -> Result<(), Fault> {
    let ids: Vec<OrderId> = batch.iter().map(|work| OrderId(work.message.order_id)).collect();
    let payments = unit.payments().get(&ids).await?;
    let mut payments: BTreeMap<OrderId, Payment> =
        payments.into_iter().map(|row| (row.order_id, row)).collect();
    for work in batch {
        if let Some(payment) = payments.get_mut(&OrderId(work.message.order_id)) {
            note_call(payment, &work.answer);
        }
    }
    let changed: Vec<Payment> = payments.into_values().collect();
    unit.payments().update(&changed, now).await
}

/// A call that was not let through has nothing to record.
fn note_call(payment: &mut Payment, answer: &PaymentAnswer) {
    if answer.was_let_through() {
        payment.note_attempt();
        note(payment, &answer.said);
    }
}

/// Records the answer in the payment. An answer that the payment rejects is out of date and changes nothing.
fn note(payment: &mut Payment, said: &Result<ChargeOutcome, Unanswered>) {
    let amount = payment.amount;
    let noted = match said {
        Ok(ChargeOutcome::Captured { reference }) => payment.capture(amount, reference),
        Ok(ChargeOutcome::Authorised { reference }) => payment.authorise(reference),
        Ok(ChargeOutcome::Declined { code }) => payment.decline(code),
        Ok(ChargeOutcome::Refunded { reference }) => {
            payment.capture(amount, reference).and_then(|_| payment.refund(amount))
        }
        Ok(ChargeOutcome::Closed) => payment.void(),
        Err(_) => payment.note_unknown(),
    };
    if let Err(rejection) = noted {
        tracing::warn!(order_id = %payment.order_id, %rejection, "the gateway's answer does not fit what is known");
    }
}

impl PaymentConsumer {
    /// A timeline entry for every call that the saga's own entry does not cover.
    fn calls(
        &self,
        batch: &[Work<PaymentProcessingRequested, PaymentAnswer>],
        told: &BTreeSet<OrderId>,
        now: Timestamp,
    ) -> Vec<HistoryEntry> {
        let is_news = |work: &&Work<PaymentProcessingRequested, PaymentAnswer>| match &work.answer.said {
            Ok(_) => true,
            Err(unanswered) => is_worth_telling(work, unanswered, &self.context, now),
        };
        batch
            .iter()
            .filter(|work| !told.contains(&OrderId(work.message.order_id)))
            .filter(is_news)
            .map(|work| HistoryEntry {
                order_id: OrderId(work.message.order_id),
                at: now,
                event: "PaymentCall",
                status: None,
                saga_state: None,
                detail: Some(work.answer.in_words(work.envelope().attempt)),
            })
            .collect()
    }
}

/// A final answer as a message for the saga; none if the answer is not final.
fn result(work: &Work<PaymentProcessingRequested, PaymentAnswer>, now: Timestamp) -> Option<Envelope> {
    let message = &work.message;
    let failed = |code: &str| {
        PaymentResult::Failed(PaymentFailed { order_id: message.order_id, code: code.to_owned() })
    };
    let result = match work.answer.said.as_ref().ok()? {
        ChargeOutcome::Captured { reference } => PaymentResult::Processed(PaymentProcessed {
            order_id: message.order_id,
            amount: message.amount.clone(),
            provider_reference: reference.clone(),
        }),
        ChargeOutcome::Declined { code } => failed(code),
        ChargeOutcome::Refunded { .. } => failed("refunded_at_the_gateway"),
        ChargeOutcome::Closed => failed("key_closed"),
        ChargeOutcome::Authorised { .. } => return None,
    };
    let about = correlation(OrderId(message.order_id));
    Some(result.caused_by(work.envelope(), 0, now).about(about))
}

impl Asked {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::LookUp => "look_up",
            Self::Nothing => "nothing",
        }
    }
}

impl PaymentAnswer {
    fn was_let_through(&self) -> bool {
        self.said.as_ref().map_or_else(Unanswered::was_let_through, |_| true)
    }

    fn in_words(&self, attempt: u32) -> String {
        let said = match &self.said {
            Ok(ChargeOutcome::Captured { reference }) => format!("captured as {reference}"),
            Ok(ChargeOutcome::Authorised { reference }) => format!("authorised as {reference}"),
            Ok(ChargeOutcome::Declined { code }) => format!("declined: {code}"),
            Ok(ChargeOutcome::Refunded { reference }) => format!("refunded already: {reference}"),
            Ok(ChargeOutcome::Closed) => "the key is closed".to_owned(),
            Err(unanswered) => unanswered.to_string(),
        };
        format!("{} (attempt {}): {said}", self.asked.as_str(), attempt.saturating_add(1))
    }
}

impl SagaState {
    /// Whether an order in this state still waits for the carrier.
    #[must_use]
    pub const fn awaits_shipping(self) -> bool {
        matches!(self, Self::Paid)
    }
}
