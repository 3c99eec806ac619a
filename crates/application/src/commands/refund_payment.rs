//! Refunds a payment, or makes sure that none is taken: the compensation of a payment, whatever happened to it, and the
//! refund that a person asked for. Asks the gateway outside any transaction, then decides, records and tells what its
//! answer means.

use std::collections::BTreeMap;
use std::sync::Arc;

use bus::{CorrelationId, Disposition, Fault, SagaRepository};
use domain::{Change, Money, OrderId, OrderStatus, Payment};
use jiff::Timestamp;

use super::again::is_worth_telling;
use super::provider_call::{Call, happening};
use super::undo::{for_a_person, give_up_or_retry, is_used_up, undo_failed};
use crate::context::Context;
use crate::messages::{RefundPart, correlation};
use crate::ports::{CancelOutcome, HistoryEntry, PaymentGateway, Unanswered, UnitOfWork};
use crate::refund_timer::settle;
use crate::saga::{EventKind, Happening, OrderProcessingSaga, carry_out};

/// Refund the payment of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundPaymentCommand {
    /// The order.
    pub order_id: OrderId,
    /// The charge's key.
    pub idempotency_key: String,
    /// The part that a person wants refunded; none to reverse the whole payment.
    pub part: Option<RefundPart>,
}

/// The gateway's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundAnswer {
    command: RefundPaymentCommand,
    said: Result<CancelOutcome, Unanswered>,
}

type Rows = BTreeMap<OrderId, Payment>;

/// Handles [`RefundPaymentCommand`]s.
pub struct RefundPaymentHandler {
    gateway: Arc<dyn PaymentGateway>,
    context: Arc<Context>,
}

impl RefundPaymentHandler {
    /// A handler that refunds through this gateway.
    #[must_use]
    pub fn new(gateway: Arc<dyn PaymentGateway>, context: Arc<Context>) -> Self {
        Self { gateway, context }
    }

    /// Asks the gateway. Both calls may be repeated: their keys make the gateway do them once.
    pub async fn ask(&self, command: RefundPaymentCommand) -> RefundAnswer {
        let said = match &command.part {
            Some(part) => self.gateway.refund(&command.idempotency_key, &part.key, part.minor).await,
            None => self.gateway.cancel(&command.idempotency_key).await,
        };
        RefundAnswer { command, said }
    }

    /// Decides what the answers mean for their orders, records them and tells of them. Returns what becomes of each
    /// message.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn handle(
        &self,
        unit: &mut dyn UnitOfWork,
        calls: &[Call<'_, RefundAnswer>],
    ) -> Result<Vec<Disposition>, Fault> {
        let now = self.context.clock.now();
        let rows = rows(unit, calls).await?;
        self.decide(unit, calls, &rows, now).await?;
        record(unit, calls, rows, now).await?;
        note_in_returns(unit, calls, now).await?;
        self.tell(unit, calls, now).await?;
        let standings = standings_of_refused(unit, calls).await?;
        let decided: Vec<Disposition> = calls.iter().map(|call| self.next(call, &standings, now)).collect();
        settle(unit, &self.context, &settled(calls, &decided)).await?;
        Ok(decided)
    }

    async fn decide(
        &self,
        unit: &mut dyn UnitOfWork,
        calls: &[Call<'_, RefundAnswer>],
        rows: &Rows,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let happenings: Vec<Happening<'_>> =
            calls.iter().filter_map(|call| self.happening(call, rows)).collect();
        carry_out(unit, &happenings, now).await.map(drop)
    }

    /// What the answer means for the order. A refund that a person asked for is no step of its saga.
    fn happening<'a>(&self, call: &Call<'a, RefundAnswer>, rows: &Rows) -> Option<Happening<'a>> {
        let RefundPaymentCommand { order_id, part, .. } = &call.answer.command;
        if let Some(part) = part {
            return self.contradiction(call, part, rows.get(order_id)?);
        }
        let said = match &call.answer.said {
            Ok(said) => *said,
            Err(unanswered) => return undo_failed(*order_id, call.cause, unanswered, &self.context),
        };
        if let Some(wrong) = rows.get(order_id).and_then(|payment| disagreement(payment, said)) {
            return Some(for_a_person(*order_id, call.cause, wrong, &self.context));
        }
        let (kind, detail) = match said {
            CancelOutcome::Voided => {
                (EventKind::PaymentVoided, "no money was taken, and none will be".to_owned())
            }
            CancelOutcome::Refunded { minor } => {
                (EventKind::PaymentRefunded, format!("{minor} minor units given back"))
            }
        };
        Some(happening(*order_id, kind, call.cause, detail, &self.context))
    }

    /// A person's refund is no step of the order's saga, but an answer with another sum asks a person.
    fn contradiction<'a>(
        &self,
        call: &Call<'a, RefundAnswer>,
        part: &RefundPart,
        payment: &Payment,
    ) -> Option<Happening<'a>> {
        let Ok(said) = &call.answer.said else { return None };
        let wrong = disagreement_about(part, payment, *said)?;
        Some(happening(payment.order_id, EventKind::AmountMismatch, call.cause, wrong, &self.context))
    }

    /// What becomes of the message.
    fn next(&self, call: &Call<'_, RefundAnswer>, standings: &Standings, now: Timestamp) -> Disposition {
        let Err(unanswered) = &call.answer.said else { return Disposition::Done };
        match standings.get(&call.answer.command.order_id) {
            // All of it went back.
            Some(OrderStatus::Cancelled) => return Disposition::Done,
            // All of it may have gone back; or the order goes on, and so does the wish.
            Some(_) => {
                let undecided = Unanswered::Unknown { why: "the order is being called off".to_owned() };
                if !is_used_up(call.cause.attempt, &undecided, &self.context) {
                    return give_up_or_retry(call.cause, &undecided, &self.context, now);
                }
            }
            None => {}
        }
        if call.answer.command.part.is_some() && self.is_final(call.cause.attempt, unanswered) {
            let reason = format!("the gateway has not given it back: {unanswered}");
            return Disposition::DeadLetter { reason };
        }
        give_up_or_retry(call.cause, unanswered, &self.context, now)
    }

    /// Whether a refund that a person asked for is a person's again: the gateway said no, or no try is left.
    fn is_final(&self, attempt: u32, unanswered: &Unanswered) -> bool {
        matches!(unanswered, Unanswered::Refused { .. }) || is_used_up(attempt, unanswered, &self.context)
    }

    /// Writes the timeline entries of refunds that persons asked for; the saga writes those of its compensation.
    async fn tell(
        &self,
        unit: &mut dyn UnitOfWork,
        calls: &[Call<'_, RefundAnswer>],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let entries: Vec<HistoryEntry> =
            calls.iter().filter_map(|call| refund(call, &self.context, now)).collect();
        unit.history().append(&entries).await
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

/// The error if the gateway's answer about a refund that a person asked for does not fit it. The answer is the sum of all
/// refunds: at least what was refunded before, with this refund once, and never more than was captured.
fn disagreement_about(part: &RefundPart, payment: &Payment, said: CancelOutcome) -> Option<String> {
    let before = payment.refunded_minor;
    match said {
        CancelOutcome::Voided => Some("the gateway says that no money was taken".to_owned()),
        CancelOutcome::Refunded { minor } => {
            // A repeat is answered as it was the first time, whatever went back since.
            let is_counted = (part.minor..=before).contains(&minor);
            let is_added = minor >= before.saturating_add(part.minor) && minor <= payment.captured_minor;
            (!is_counted && !is_added).then(|| {
                format!(
                    "asked to give back {} minor units beside the {before} given back before, the gateway says that it gave \
                     back {minor} in all, of {} that it took",
                    part.minor, payment.captured_minor
                )
            })
        }
    }
}

/// The refunds for which nobody has to ask again: their message is done, or a person's.
fn settled(calls: &[Call<'_, RefundAnswer>], decided: &[Disposition]) -> Vec<(OrderId, String)> {
    let is_over = |next: &Disposition| matches!(next, Disposition::Done | Disposition::DeadLetter { .. });
    let over = calls.iter().zip(decided).filter(|(_, next)| is_over(next));
    over.filter_map(|(call, _)| {
        let RefundPaymentCommand { order_id, part, .. } = &call.answer.command;
        part.as_ref().map(|part| (*order_id, part.key.clone()))
    })
    .collect()
}

/// Where orders stand that were called off, or are.
type Standings = BTreeMap<OrderId, OrderStatus>;

/// Where the orders stand that are called off and of which the gateway does not give a part back.
async fn standings_of_refused(
    unit: &mut dyn UnitOfWork,
    calls: &[Call<'_, RefundAnswer>],
) -> Result<Standings, Fault> {
    let is_refused = |call: &&Call<'_, RefundAnswer>| {
        call.answer.command.part.is_some() && matches!(call.answer.said, Err(Unanswered::Refused { .. }))
    };
    let ids: Vec<CorrelationId> =
        calls.iter().filter(is_refused).map(|call| correlation(call.answer.command.order_id)).collect();
    if ids.is_empty() {
        return Ok(Standings::new());
    }
    let sagas: Vec<OrderProcessingSaga> = SagaRepository::load_sagas(unit, &ids).await?;
    let called_off = sagas.iter().filter(|saga| saga.reason.is_some());
    Ok(called_off.map(|saga| (saga.order_id, saga.order)).collect())
}

/// The payments that got an answer.
async fn rows(unit: &mut dyn UnitOfWork, calls: &[Call<'_, RefundAnswer>]) -> Result<Rows, Fault> {
    let answered = calls.iter().filter(|call| call.answer.said.is_ok());
    let ids: Vec<OrderId> = answered.map(|call| call.answer.command.order_id).collect();
    let rows = unit.payments().get(&ids).await?;
    Ok(rows.into_iter().map(|row| (row.order_id, row)).collect())
}

/// Records the gateway's answers in the payments.
async fn record(
    unit: &mut dyn UnitOfWork,
    calls: &[Call<'_, RefundAnswer>],
    mut rows: Rows,
    now: Timestamp,
) -> Result<(), Fault> {
    for call in calls {
        let Some(payment) = rows.get_mut(&call.answer.command.order_id) else { continue };
        let part = call.answer.command.part.as_ref();
        match (&call.answer.said, part) {
            (Ok(said), Some(part)) if disagreement_about(part, payment, *said).is_some() => {
                payment.notes.contradicted();
            }
            (said, _) => note(payment, said),
        }
    }
    let changed: Vec<Payment> = rows.into_values().collect();
    unit.payments().update(&changed, now).await
}

/// Records in returns that the money which goes with them is back.
async fn note_in_returns(
    unit: &mut dyn UnitOfWork,
    calls: &[Call<'_, RefundAnswer>],
    now: Timestamp,
) -> Result<(), Fault> {
    let paid: Vec<(OrderId, String)> = calls
        .iter()
        .filter(|call| matches!(call.answer.said, Ok(CancelOutcome::Refunded { .. })))
        .filter_map(|call| {
            let RefundPaymentCommand { order_id, part, .. } = &call.answer.command;
            part.as_ref().map(|part| (*order_id, part.key.clone()))
        })
        .collect();
    if paid.is_empty() { Ok(()) } else { unit.returns().refunded(&paid, now).await }
}

/// A full refund of money that we never heard was captured proves the capture; another amount proves nothing.
fn note(payment: &mut Payment, said: &Result<CancelOutcome, Unanswered>) {
    let noted = match said {
        Ok(CancelOutcome::Voided) => payment.void(),
        Ok(CancelOutcome::Refunded { minor }) => {
            let refunded = Money::new(*minor, payment.amount.currency);
            let known = payment.captured_minor > 0;
            if !known && refunded != payment.amount {
                return;
            }
            let reference = payment.provider_reference.clone().unwrap_or_else(|| payment.key.clone());
            let captured =
                if known { Ok(Change::NoChange) } else { payment.capture(payment.amount, &reference) };
            captured.and_then(|_| payment.refund(refunded))
        }
        Err(_) => return,
    };
    if let Err(rejection) = noted {
        tracing::warn!(order_id = %payment.order_id, %rejection, "the gateway's answer does not fit what is known");
    }
}

/// The entry of one. A gateway that is away is told of less and less often.
fn refund(call: &Call<'_, RefundAnswer>, context: &Context, at: Timestamp) -> Option<HistoryEntry> {
    let answer = call.answer;
    let part = answer.command.part.as_ref()?;
    let told = match &answer.said {
        Ok(CancelOutcome::Refunded { minor }) => {
            format!("{} minor units given back, {minor} in all: {} ({})", part.minor, part.reason, part.key)
        }
        Ok(CancelOutcome::Voided) => format!("the gateway says that nothing was taken ({})", part.key),
        Err(unanswered) if !is_worth_telling(call.cause, unanswered, context, at) => return None,
        Err(unanswered) => format!("{unanswered} ({})", part.key),
    };
    Some(HistoryEntry::without_step(answer.command.order_id, at, "Refund", told))
}

#[cfg(test)]
mod tests {
    use domain::{Currency, Money};

    use super::*;

    #[test]
    fn a_refund_that_a_person_asked_for_is_done_if_the_gateway_gave_back_that_much_more_or_counted_it_already()
     {
        let amount = Money::new(1_000, Currency::parse("EUR").expect("a currency"));
        let payment = |refunded_minor| Payment {
            captured_minor: 1_000,
            refunded_minor,
            ..Payment::request(OrderId(uuid::Uuid::nil()), amount)
        };
        let part = RefundPart { key: "refund-1".to_owned(), minor: 300, reason: String::new() };
        for (before, said, fits) in [
            (0, 300, true),
            (0, 299, false),
            (0, 301, true),
            (0, 1_000, true),
            (0, 1_001, false),
            (0, 0, false),
            (300, 300, true),
            (300, 600, true),
            (300, 400, false),
            (200, 200, false),
            (500, 300, true),
            (500, 299, false),
            (500, 800, true),
            (500, 600, false),
        ] {
            let found = disagreement_about(&part, &payment(before), CancelOutcome::Refunded { minor: said });
            assert_eq!(found.is_none(), fits, "{before} before, {said} in all: {found:?}");
        }
        assert!(disagreement_about(&part, &payment(0), CancelOutcome::Voided).is_some());
    }
}
