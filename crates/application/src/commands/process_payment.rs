//! Takes the payment of an order: asks the gateway outside any transaction, under a key stored before, then decides,
//! records and tells what its answer means. A charge with unknown outcome is looked up by its key, never guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bus::{Disposition, Envelope, Fault, Message, Outcome};
use domain::{Change, Money, OrderId, Payment};
use jiff::Timestamp;

use super::provider_call::{Answered, Asked, Call, again_while};
use crate::context::Context;
use crate::messages::{
    MoneyMatter, PaymentFailed, PaymentProcessed, PaymentReported, PaymentResult, about_order, fact,
};
use crate::ports::{ChargeOutcome, ChargeRequest, HistoryEntry, PaymentGateway, Unanswered, UnitOfWork};
use crate::saga::{EventKind, Happening, OrderProcessingSaga, carry_out};

/// Take the payment of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessPaymentCommand {
    /// The order.
    pub order_id: OrderId,
    /// The charge's key, which is stored already.
    pub idempotency_key: String,
    /// How much to take.
    pub amount: Money,
    /// How the customer pays, in the gateway's terms.
    pub payment_token: Option<String>,
    /// Earlier attempts.
    pub attempt: u32,
}

/// The gateway's answer, and to which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentAnswer {
    command: ProcessPaymentCommand,
    asked: Asked,
    said: Result<ChargeOutcome, Unanswered>,
}

/// The call that takes the money.
const CHARGE: Asked = Asked::ToDo("charge");

/// Handles [`ProcessPaymentCommand`]s.
pub struct ProcessPaymentHandler {
    gateway: Arc<dyn PaymentGateway>,
    context: Arc<Context>,
}

impl ProcessPaymentHandler {
    /// A handler that charges through this gateway.
    #[must_use]
    pub fn new(gateway: Arc<dyn PaymentGateway>, context: Arc<Context>) -> Self {
        Self { gateway, context }
    }

    /// Asks the gateway. On the first attempt charges. On later ones an earlier call may have done something, so it
    /// looks the charge up and charges only if the gateway does not know the key.
    pub async fn ask(&self, command: ProcessPaymentCommand) -> PaymentAnswer {
        let (asked, said) = match (command.amount.minor, command.attempt) {
            (0, _) => {
                let free =
                    ChargeOutcome::Captured { reference: "free-of-charge".to_owned(), refunded_minor: 0 };
                (Asked::Nothing, Ok(free))
            }
            (_, 0) => self.charge(&command.request()).await,
            (_, attempt) => self.look_up(&command.request(), attempt).await,
        };
        PaymentAnswer { command, asked, said }
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
        let decided = self.decide(unit, calls, now).await?;
        let changed = record(unit, calls, now).await?;
        self.tell(unit, calls, &decided, &changed, now).await?;
        again_while(OrderProcessingSaga::awaits_payment, unit, calls, &self.context, now).await
    }

    async fn look_up(&self, request: &ChargeRequest, attempt: u32) -> (Asked, Said) {
        let said = match self.gateway.look_up(request).await {
            Ok(Some(known)) => self.taken(known, request).await,
            Ok(None) if attempt <= self.context.settings.call_retry.retries_max => {
                return self.charge(request).await;
            }
            Ok(None) => {
                let why = "the gateway does not know the key, and the retries are used up".to_owned();
                Err(Unanswered::Unknown { why })
            }
            Err(unanswered) => Err(unanswered),
        };
        (Asked::LookUp, said)
    }

    async fn charge(&self, request: &ChargeRequest) -> (Asked, Said) {
        let said = match self.gateway.charge(request).await {
            Ok(known) => self.taken(known, request).await,
            Err(unanswered) => Err(unanswered),
        };
        (CHARGE, said)
    }

    /// Captures a charge that was only authorised, under the same key.
    async fn taken(&self, known: ChargeOutcome, request: &ChargeRequest) -> Said {
        match known {
            ChargeOutcome::Authorised { .. } => self.gateway.capture(request).await,
            ChargeOutcome::Captured { .. }
            | ChargeOutcome::Declined { .. }
            | ChargeOutcome::Refunded { .. }
            | ChargeOutcome::Closed => Ok(known),
        }
    }

    /// The first call that was let through starts the limit.
    async fn decide(
        &self,
        unit: &mut dyn UnitOfWork,
        calls: &[Call<'_, PaymentAnswer>],
        now: Timestamp,
    ) -> Result<Decided, Fault> {
        let let_through = calls.iter().filter(|call| call.answer.was_let_through());
        let happenings: Vec<Happening<'_>> =
            let_through.map(|call| call.means(EventKind::PaymentStarted, &self.context)).collect();
        let steps = carry_out(unit, &happenings, now).await?;
        let mut decided = Decided::default();
        for (happening, step) in happenings.iter().zip(&steps) {
            if step.outcome == Outcome::Moved {
                decided.started.insert(happening.order_id);
            }
            if step.after.as_ref().is_some_and(OrderProcessingSaga::awaits_payment) {
                decided.waiting.insert(happening.order_id);
            }
        }
        Ok(decided)
    }

    /// Writes a timeline entry for every call that the saga's own entry does not cover, and publishes final answers: those
    /// that are new to the payment, and those that a saga still waits for. What a webhook has told before is not told twice.
    async fn tell(
        &self,
        unit: &mut dyn UnitOfWork,
        calls: &[Call<'_, PaymentAnswer>],
        decided: &Decided,
        changed: &BTreeSet<OrderId>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let is_news = |call: &&Call<'_, PaymentAnswer>| {
            call.answer.said.is_ok() || call.is_silence_worth_telling(&self.context, now)
        };
        let entries: Vec<HistoryEntry> = calls
            .iter()
            .filter(|call| !decided.started.contains(&call.answer.command.order_id))
            .filter(is_news)
            .map(|call| call.entry("PaymentCall", now))
            .collect();
        unit.history().append(&entries).await?;
        let is_told = |call: &&Call<'_, PaymentAnswer>| {
            let order_id = call.answer.command.order_id;
            changed.contains(&order_id) || decided.waiting.contains(&order_id)
        };
        unit.publish(calls.iter().filter(is_told).flat_map(|call| results(call, now)).collect()).await
    }
}

type Said = Result<ChargeOutcome, Unanswered>;

/// What the calls meant for their sagas.
#[derive(Default)]
struct Decided {
    /// Orders whose limit they started.
    started: BTreeSet<OrderId>,
    /// Orders whose sagas still wait for the gateway's answer.
    waiting: BTreeSet<OrderId>,
}

impl ProcessPaymentCommand {
    fn request(&self) -> ChargeRequest {
        ChargeRequest {
            key: self.idempotency_key.clone(),
            reference: self.order_id.to_string(),
            amount: self.amount,
            payment_token: self.payment_token.clone(),
        }
    }
}

/// Records the gateway's answers in the payment rows. Returns the orders whose rows hold something new.
async fn record(
    unit: &mut dyn UnitOfWork,
    calls: &[Call<'_, PaymentAnswer>],
    now: Timestamp,
) -> Result<BTreeSet<OrderId>, Fault> {
    let ids: Vec<OrderId> = calls.iter().map(|call| call.answer.command.order_id).collect();
    let payments = unit.payments().get(&ids).await?;
    let mut payments: BTreeMap<OrderId, Payment> =
        payments.into_iter().map(|row| (row.order_id, row)).collect();
    let mut new = BTreeSet::new();
    for call in calls {
        if let Some(payment) = payments.get_mut(&call.answer.command.order_id)
            && note_call(payment, call.answer) == Change::Applied
        {
            new.insert(payment.order_id);
        }
    }
    let rows: Vec<Payment> = payments.into_values().collect();
    unit.payments().update(&rows, now).await?;
    Ok(new)
}

/// A call that was not let through has nothing to record.
fn note_call(payment: &mut Payment, answer: &PaymentAnswer) -> Change {
    if !answer.was_let_through() {
        return Change::NoChange;
    }
    payment.note_attempt();
    note(payment, &answer.said)
}

/// Records the answer in the payment. An answer that the payment rejects is out of date: it changes nothing, and the saga is told.
fn note(payment: &mut Payment, said: &Said) -> Change {
    let amount = payment.amount;
    let noted = match said {
        Ok(ChargeOutcome::Captured { reference, refunded_minor }) => {
            let refunded = Money::new(*refunded_minor, amount.currency);
            payment.capture(amount, reference).and_then(|captured| match refunded_minor {
                0 => Ok(captured),
                _ => payment.refund(refunded),
            })
        }
        Ok(ChargeOutcome::Authorised { reference }) => payment.authorise(reference),
        Ok(ChargeOutcome::Declined { code }) => payment.decline(code),
        Ok(ChargeOutcome::Refunded { reference }) => {
            payment.capture(amount, reference).and_then(|_| payment.refund(amount))
        }
        Ok(ChargeOutcome::Closed) => payment.void(),
        Err(_) => payment.note_unknown(),
    };
    noted.unwrap_or_else(|rejection| {
        tracing::warn!(order_id = %payment.order_id, %rejection, "the gateway's answer does not fit what is known");
        Change::Applied
    })
}

/// A final answer as messages for the saga; none if the answer is not final. Money that went back meanwhile is a message
/// of its own.
fn results(call: &Call<'_, PaymentAnswer>, now: Timestamp) -> Vec<Envelope> {
    let ProcessPaymentCommand { order_id, amount, .. } = &call.answer.command;
    let failed =
        |code: &str| PaymentResult::Failed(PaymentFailed { order_id: order_id.0, code: code.to_owned() });
    let Ok(said) = &call.answer.said else { return Vec::new() };
    let results = match said {
        ChargeOutcome::Captured { reference, refunded_minor } => {
            let processed = PaymentResult::Processed(PaymentProcessed {
                order_id: order_id.0,
                amount: (*amount).into(),
                provider_reference: reference.clone(),
            });
            let refunded = (*refunded_minor > 0).then(|| {
                PaymentResult::Reported(PaymentReported {
                    order_id: order_id.0,
                    matter: MoneyMatter::PartlyRefunded,
                    detail: format!("{refunded_minor} minor units of {reference} given back at the gateway"),
                })
            });
            [Some(processed), refunded].into_iter().flatten().collect()
        }
        ChargeOutcome::Declined { code } => vec![failed(code)],
        ChargeOutcome::Refunded { .. } => vec![failed("refunded_at_the_gateway")],
        ChargeOutcome::Closed => vec![failed("key_closed")],
        ChargeOutcome::Authorised { .. } => Vec::new(),
    };
    let envelope = |(ordinal, result): (u32, &PaymentResult)| {
        let envelope = result.caused_by(call.cause, ordinal, now);
        match result {
            PaymentResult::Processed(said) => fact(envelope, *order_id, &said.provider_reference),
            PaymentResult::Failed(said) => fact(envelope, *order_id, &said.code),
            PaymentResult::Reported(_) => about_order(envelope, *order_id),
        }
    };
    (0..).zip(&results).map(envelope).collect()
}

impl Answered for PaymentAnswer {
    fn order_id(&self) -> OrderId {
        self.command.order_id
    }

    fn attempt(&self) -> u32 {
        self.command.attempt
    }

    fn asked(&self) -> Asked {
        self.asked
    }

    fn unanswered(&self) -> Option<&Unanswered> {
        self.said.as_ref().err()
    }

    fn said(&self) -> String {
        match &self.said {
            Ok(ChargeOutcome::Captured { reference, refunded_minor: 0 }) => {
                format!("captured as {reference}")
            }
            Ok(ChargeOutcome::Captured { reference, refunded_minor }) => {
                format!("captured as {reference}, {refunded_minor} minor units given back")
            }
            Ok(ChargeOutcome::Authorised { reference }) => format!("authorised as {reference}"),
            Ok(ChargeOutcome::Declined { code }) => format!("declined: {code}"),
            Ok(ChargeOutcome::Refunded { reference }) => format!("refunded already: {reference}"),
            Ok(ChargeOutcome::Closed) => "the key is closed".to_owned(),
            Err(unanswered) => unanswered.to_string(),
        }
    }
}
