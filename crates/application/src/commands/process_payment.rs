//! Takes the payment of an order: asks the gateway outside any transaction, under a key stored before, then decides,
//! records and tells what its answer means. A charge with unknown outcome is looked up by its key, never guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bus::{Disposition, Envelope, Fault, Message, Outcome};
use domain::{Capture, Change, Money, OrderId, Payment, PaymentStatus, Rejection};
use jiff::Timestamp;

use super::provider_call::{Answered, Asked, Call, again_while};
use crate::context::Context;
use crate::messages::{
    MoneyMatter, PaymentAuthorised, PaymentFailed, PaymentProcessed, PaymentReported, PaymentResult,
    about_order, fact,
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
    /// When the money is taken.
    pub capture: Capture,
    /// Earlier attempts.
    pub attempt: u32,
}

/// The gateway's answer about an order's charge, and to which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentAnswer {
    pub(super) order_id: OrderId,
    pub(super) amount: Money,
    /// Earlier attempts.
    pub(super) attempt: u32,
    pub(super) asked: Asked,
    pub(super) said: Said,
}

/// The call that takes the money, and the one that has it authorised.
const CHARGE: Asked = Asked::ToDo("charge");
const AUTHORISE: Asked = Asked::ToDo("authorise");

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
            (_, 0) => self.charge(&command).await,
            (_, _) => self.look_up(&command).await,
        };
        let ProcessPaymentCommand { order_id, amount, attempt, .. } = command;
        PaymentAnswer { order_id, amount, attempt, asked, said }
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
        let noted = record(unit, calls, now).await?;
        self.tell(unit, calls, &decided, &noted, now).await?;
        again_while(OrderProcessingSaga::awaits_payment, unit, calls, &self.context, now).await
    }

    async fn look_up(&self, command: &ProcessPaymentCommand) -> (Asked, Said) {
        let said = match self.gateway.look_up(&command.request()).await {
            Ok(Some(known)) => self.taken(known, command).await,
            Ok(None) if command.attempt <= self.context.settings.call_retry.retries_max => {
                return self.charge(command).await;
            }
            Ok(None) => {
                let why = "the gateway does not know the key, and the retries are used up".to_owned();
                Err(Unanswered::Unknown { why })
            }
            Err(unanswered) => Err(unanswered),
        };
        (Asked::LookUp, said)
    }

    async fn charge(&self, command: &ProcessPaymentCommand) -> (Asked, Said) {
        let request = command.request();
        match command.capture {
            Capture::AtShipment => (AUTHORISE, self.gateway.authorise(&request).await),
            Capture::AtOnce => match self.gateway.charge(&request).await {
                Ok(known) => (CHARGE, self.taken(known, command).await),
                Err(unanswered) => (CHARGE, Err(unanswered)),
            },
        }
    }

    /// Captures a charge that was only authorised, under the same key, unless that is what was asked for.
    async fn taken(&self, known: ChargeOutcome, command: &ProcessPaymentCommand) -> Said {
        let is_to_be_captured =
            command.capture == Capture::AtOnce && matches!(known, ChargeOutcome::Authorised { .. });
        if is_to_be_captured { captured(self.gateway.as_ref(), &command.request()).await } else { Ok(known) }
    }

    /// The first call that was let through starts the limit.
    async fn decide(
        &self,
        unit: &mut dyn UnitOfWork,
        calls: &[Call<'_, PaymentAnswer>],
        now: Timestamp,
    ) -> Result<Decided, Fault> {
        let let_through: Vec<usize> =
            (0..calls.len()).filter(|place| calls[*place].answer.was_let_through()).collect();
        let means = |place: &usize| calls[*place].means(EventKind::PaymentStarted, &self.context);
        let happenings: Vec<Happening<'_>> = let_through.iter().map(means).collect();
        let steps = carry_out(unit, &happenings, now).await?;
        let mut decided = Decided::default();
        for (place, step) in let_through.into_iter().zip(&steps) {
            if step.outcome == Outcome::Moved {
                decided.started.insert(place);
            }
            if step.after.as_ref().is_some_and(OrderProcessingSaga::awaits_payment) {
                decided.waiting.insert(calls[place].answer.order_id);
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
        noted: &[Noted],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let uncovered = (0..calls.len()).filter(|place| !decided.started.contains(place));
        let entries: Vec<HistoryEntry> = uncovered
            .map(|place| &calls[place])
            .filter(|call| call.is_news(&self.context, now))
            .map(|call| call.entry("PaymentCall", now))
            .collect();
        unit.history().append(&entries).await?;
        let told = calls.iter().zip(noted).flat_map(|(call, noted)| {
            let is_awaited = decided.waiting.contains(&call.answer.order_id);
            envelopes(call, &results(call.answer, *noted, is_awaited), now)
        });
        unit.publish(told.collect()).await
    }
}

/// What the gateway said of a charge.
pub(super) type Said = Result<ChargeOutcome, Unanswered>;

/// Captures an authorised charge. A gateway that still calls it authorised has not done so yet.
pub(super) async fn captured(gateway: &dyn PaymentGateway, request: &ChargeRequest) -> Said {
    match gateway.capture(request).await? {
        ChargeOutcome::Authorised { .. } => {
            Err(Unanswered::Unknown { why: "the gateway has not captured it yet".to_owned() })
        }
        known @ (ChargeOutcome::Captured { .. }
        | ChargeOutcome::Declined { .. }
        | ChargeOutcome::Refunded { .. }
        | ChargeOutcome::Closed) => Ok(known),
    }
}

/// What the calls meant for their sagas.
#[derive(Default)]
struct Decided {
    /// The places of calls that started their order's limit. The same order may be asked about twice in a batch.
    started: BTreeSet<usize>,
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

/// What an answer is to what the payment's row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// News.
    New,
    /// Known, or nothing that a row holds.
    Known,
    /// Later news has overtaken it.
    OutOfDate,
    /// A charge beside the order's own, and the gateway holds its money.
    SecondCharge,
    /// The money of every charge beside the order's own is back.
    SecondChargeReturned,
    /// The gateway says now that it never took the money, or gave back more than it took.
    Contradicted,
}

impl From<Change> for Noted {
    fn from(change: Change) -> Self {
        if change.is_applied() { Self::New } else { Self::Known }
    }
}

/// Records the gateway's answers in the payment rows. Returns what each was to its row.
pub(super) async fn record(
    unit: &mut dyn UnitOfWork,
    calls: &[Call<'_, PaymentAnswer>],
    now: Timestamp,
) -> Result<Vec<Noted>, Fault> {
    let ids: Vec<OrderId> = calls.iter().map(|call| call.answer.order_id).collect();
    let payments = unit.payments().get(&ids).await?;
    let mut payments: BTreeMap<OrderId, Payment> =
        payments.into_iter().map(|row| (row.order_id, row)).collect();
    let note = |call: &Call<'_, PaymentAnswer>| {
        let payment = payments.get_mut(&call.answer.order_id);
        payment.map_or(Noted::Known, |payment| note_call(payment, call.answer))
    };
    let noted = calls.iter().map(note).collect();
    let rows: Vec<Payment> = payments.into_values().collect();
    unit.payments().update(&rows, now).await?;
    Ok(noted)
}

/// A call that was not let through has nothing to record.
fn note_call(payment: &mut Payment, answer: &PaymentAnswer) -> Noted {
    if !answer.was_let_through() {
        return Noted::Known;
    }
    payment.note_attempt();
    note(payment, &answer.said)
}

/// Records the answer in the payment. One that the payment rejects changes no amount.
fn note(payment: &mut Payment, said: &Said) -> Noted {
    let mut after = payment.clone();
    match take(&mut after, said) {
        Ok(noted) => {
            *payment = after;
            noted
        }
        Err(rejection) => {
            tracing::warn!(order_id = %payment.order_id, %rejection, "the gateway's answer does not fit what is known");
            let is_never_taken = matches!(said, Ok(ChargeOutcome::Closed));
            let is_too_much_back = matches!(rejection, Rejection::RefundExceedsCapture { .. });
            if is_too_much_back || is_never_taken && payment.status == PaymentStatus::Captured {
                payment.notes.contradicted();
                return Noted::Contradicted;
            }
            Noted::OutOfDate
        }
    }
}

fn take(payment: &mut Payment, said: &Said) -> Result<Noted, Rejection> {
    let amount = payment.amount;
    match said {
        Ok(ChargeOutcome::Captured { reference, refunded_minor }) => {
            capture(payment, reference, Money::new(*refunded_minor, amount.currency))
        }
        Ok(ChargeOutcome::Refunded { reference }) => capture(payment, reference, amount),
        Ok(ChargeOutcome::Authorised { reference, until }) => authorise(payment, reference, *until),
        Ok(ChargeOutcome::Declined { code }) => payment.decline(code).map(Noted::from),
        Ok(ChargeOutcome::Closed) => payment.void().map(Noted::from),
        Err(_) => payment.note_unknown().map(Noted::from),
    }
}

/// Records an authorisation. One that was given up since, or is of another charge, says nothing any more.
fn authorise(payment: &mut Payment, reference: &str, until: Option<Timestamp>) -> Result<Noted, Rejection> {
    let change = payment.authorise(reference, until)?;
    let stands = matches!(payment.status, PaymentStatus::Authorised | PaymentStatus::Captured);
    if !stands || !payment.is_charge(reference) {
        return Ok(Noted::OutOfDate);
    }
    payment.authorised_until = until;
    Ok(change.into())
}

/// Records a charge of which this much went back already. A webhook may have told of another one before, which then is
/// the order's own.
fn capture(payment: &mut Payment, reference: &str, refunded: Money) -> Result<Noted, Rejection> {
    match payment.capture(payment.amount, reference) {
        Err(Rejection::DuplicateCharge { .. }) => {
            let notes = &mut payment.notes;
            let was_open = notes.has_second_charge_open();
            let charged = notes.second_charge(reference, payment.amount);
            if refunded.minor > 0 {
                let _ = notes.second_refund(reference, refunded, Some(refunded));
            }
            let is_open = notes.has_second_charge_open();
            Ok(if was_open && !is_open {
                Noted::SecondChargeReturned
            } else if is_open && charged.is_applied() {
                Noted::SecondCharge
            } else {
                Noted::OutOfDate
            })
        }
        Err(rejection) => Err(rejection),
        Ok(captured) if refunded.minor == 0 => Ok(captured.into()),
        Ok(captured) => {
            let returned = payment.refund(refunded)?;
            Ok(if captured.is_applied() { captured.into() } else { returned.into() })
        }
    }
}

/// What the saga is told of an answer.
pub(super) fn results(answer: &PaymentAnswer, noted: Noted, is_awaited: bool) -> Vec<PaymentResult> {
    let order_id = answer.order_id.0;
    let report = |matter, detail| PaymentResult::Reported(PaymentReported { order_id, matter, detail });
    match noted {
        Noted::New => final_answer(answer),
        Noted::Known if is_awaited => final_answer(answer),
        Noted::Known | Noted::OutOfDate => Vec::new(),
        Noted::SecondCharge => vec![report(MoneyMatter::SecondCharge, answer.said())],
        Noted::SecondChargeReturned => vec![report(MoneyMatter::SecondChargeReturned, answer.said())],
        Noted::Contradicted => vec![report(MoneyMatter::AmountMismatch, answer.said())],
    }
}

/// An answer in the saga's words; none if it is not final. Money that went back meanwhile is told of on its own.
fn final_answer(answer: &PaymentAnswer) -> Vec<PaymentResult> {
    let (order_id, amount) = (answer.order_id.0, answer.amount);
    let failed = |code: &str| PaymentResult::Failed(PaymentFailed { order_id, code: code.to_owned() });
    let Ok(said) = &answer.said else { return Vec::new() };
    match said {
        ChargeOutcome::Captured { reference, refunded_minor } => {
            let processed = PaymentResult::Processed(PaymentProcessed {
                order_id,
                amount: amount.into(),
                provider_reference: reference.clone(),
            });
            let refunded = (*refunded_minor > 0).then(|| {
                PaymentResult::Reported(PaymentReported {
                    order_id,
                    matter: MoneyMatter::PartlyRefunded,
                    detail: format!("{refunded_minor} minor units of {reference} given back at the gateway"),
                })
            });
            [Some(processed), refunded].into_iter().flatten().collect()
        }
        ChargeOutcome::Declined { code } => vec![failed(code)],
        ChargeOutcome::Refunded { .. } => vec![failed("refunded_at_the_gateway")],
        ChargeOutcome::Closed => vec![failed("key_closed")],
        ChargeOutcome::Authorised { reference, until } => {
            vec![PaymentResult::Authorised(PaymentAuthorised {
                order_id,
                amount: amount.into(),
                provider_reference: reference.clone(),
                until: *until,
            })]
        }
    }
}

pub(super) fn envelopes(
    call: &Call<'_, PaymentAnswer>,
    results: &[PaymentResult],
    now: Timestamp,
) -> Vec<Envelope> {
    let order_id = call.answer.order_id;
    let envelope = |(ordinal, result): (u32, &PaymentResult)| {
        let envelope = result.caused_by(call.cause, ordinal, now);
        match result {
            PaymentResult::Authorised(said) => fact(envelope, order_id, &said.provider_reference),
            PaymentResult::Processed(said) => fact(envelope, order_id, &said.provider_reference),
            PaymentResult::Failed(said) => fact(envelope, order_id, &said.code),
            PaymentResult::Reported(_) => about_order(envelope, order_id),
        }
    };
    (0..).zip(results).map(envelope).collect()
}

impl Answered for PaymentAnswer {
    fn order_id(&self) -> OrderId {
        self.order_id
    }

    fn attempt(&self) -> u32 {
        self.attempt
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
            Ok(ChargeOutcome::Authorised { reference, until }) => {
                let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
                format!("authorised as {reference}{until}")
            }
            Ok(ChargeOutcome::Declined { code }) => format!("declined: {code}"),
            Ok(ChargeOutcome::Refunded { reference }) => format!("refunded already: {reference}"),
            Ok(ChargeOutcome::Closed) => "the key is closed".to_owned(),
            Err(unanswered) => unanswered.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Currency;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::consumers::claim::{Finding, of_money};

    const AMOUNT: i64 = 100;

    fn eur(minor: i64) -> Money {
        Money::new(minor, Currency::parse("EUR").expect("a currency"))
    }

    fn answer(said: Said) -> PaymentAnswer {
        let order_id = OrderId(Uuid::nil());
        PaymentAnswer { order_id, amount: eur(AMOUNT), attempt: 1, asked: Asked::LookUp, said }
    }

    fn captured(reference: &str, refunded_minor: i64) -> Said {
        Ok(ChargeOutcome::Captured { reference: reference.to_owned(), refunded_minor })
    }

    fn charges() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["ch-1", "ch-2"]).prop_map(str::to_owned)
    }

    fn said() -> impl Strategy<Value = Said> {
        prop_oneof![
            (charges(), prop::sample::select(vec![0, 0, 0, 30, AMOUNT, AMOUNT + 1]))
                .prop_map(|(reference, refunded_minor)| captured(&reference, refunded_minor)),
            charges().prop_map(|reference| Ok(ChargeOutcome::Refunded { reference })),
            charges().prop_map(|reference| Ok(ChargeOutcome::Authorised { reference, until: None })),
            Just(Ok(ChargeOutcome::Declined { code: "no_funds".to_owned() })),
            Just(Ok(ChargeOutcome::Closed)),
            Just(Err(Unanswered::Unknown { why: "silence".to_owned() })),
        ]
    }

    /// What a webhook records between two of our calls.
    #[derive(Clone, Debug)]
    enum Told {
        Captured(String),
        Declined,
        Refunded(i64),
    }

    fn told() -> impl Strategy<Value = Told> {
        prop_oneof![
            charges().prop_map(Told::Captured),
            Just(Told::Declined),
            (0..=AMOUNT).prop_map(Told::Refunded)
        ]
    }

    fn record(payment: &mut Payment, told: &Told) {
        let _ = match told {
            Told::Captured(reference) => payment.capture(eur(AMOUNT), reference),
            Told::Declined => payment.decline("no_funds"),
            Told::Refunded(minor) => payment.note_refund(eur(*minor), None),
        };
    }

    proptest! {
        #[test]
        fn no_answer_makes_us_claim_what_our_own_books_contradict(
            all in prop::collection::vec((prop::option::of(told()), said(), any::<bool>()), 1..12),
        ) {
            let mut payment = Payment::request(OrderId(Uuid::nil()), eur(AMOUNT));
            for (told, said, is_awaited) in all {
                if let Some(told) = told {
                    record(&mut payment, &told);
                }
                let answer = answer(said);
                let noted = note(&mut payment, &answer.said);
                prop_assert_eq!(payment.check(), Ok(()));
                for result in results(&answer, noted, is_awaited) {
                    prop_assert_eq!(of_money(&result, Some(&payment)), Finding::BorneOut, "{:?}", result);
                }
            }
        }
    }

    #[test]
    fn a_charge_that_our_look_up_finds_beside_the_one_that_a_webhook_told_of_is_told_once_and_counted() {
        let mut payment = Payment::request(OrderId(Uuid::nil()), eur(AMOUNT));
        record(&mut payment, &Told::Captured("ch-2".to_owned()));
        let found = answer(captured("ch-1", 0));
        let noted = note(&mut payment, &found.said);
        assert_eq!(noted, Noted::SecondCharge);
        assert!(payment.notes.has_second_charge_open());
        let results = results(&found, noted, true);
        let [PaymentResult::Reported(report)] = &results[..] else { panic!("{results:?}") };
        assert_eq!((report.matter, report.detail.as_str()), (MoneyMatter::SecondCharge, "captured as ch-1"));
        assert_eq!(note(&mut payment, &found.said), Noted::OutOfDate, "it is known");
    }

    #[test]
    fn a_second_charge_of_which_everything_went_back_already_asks_nobody() {
        for said in [captured("ch-1", AMOUNT), Ok(ChargeOutcome::Refunded { reference: "ch-1".to_owned() })] {
            let mut payment = Payment::request(OrderId(Uuid::nil()), eur(AMOUNT));
            record(&mut payment, &Told::Captured("ch-2".to_owned()));
            assert_eq!(note(&mut payment, &said), Noted::OutOfDate);
            assert!(payment.notes.are_second_charges_back());
            assert_eq!(payment.held(), eur(AMOUNT));
        }
    }

    #[test]
    fn a_second_charge_that_our_look_up_finds_to_be_back_releases_its_order() {
        for said in [captured("ch-1", AMOUNT), Ok(ChargeOutcome::Refunded { reference: "ch-1".to_owned() })] {
            let mut payment = Payment::request(OrderId(Uuid::nil()), eur(AMOUNT));
            record(&mut payment, &Told::Captured("ch-2".to_owned()));
            assert_eq!(note(&mut payment, &captured("ch-1", 1)), Noted::SecondCharge);
            let answer = answer(said);
            let noted = note(&mut payment, &answer.said);
            assert_eq!(noted, Noted::SecondChargeReturned);
            let results = results(&answer, noted, false);
            let [PaymentResult::Reported(report)] = &results[..] else { panic!("{results:?}") };
            assert_eq!(report.matter, MoneyMatter::SecondChargeReturned);
            assert_eq!(note(&mut payment, &answer.said), Noted::OutOfDate, "it is told once");
        }
    }

    #[test]
    fn a_gateway_that_unsays_money_that_we_hold_or_gives_back_more_than_it_took_asks_a_person() {
        for said in [Ok(ChargeOutcome::Closed), captured("ch-1", AMOUNT + 1)] {
            let mut payment = Payment::request(OrderId(Uuid::nil()), eur(AMOUNT));
            record(&mut payment, &Told::Captured("ch-1".to_owned()));
            let before = payment.clone();
            let answer = answer(said);
            let noted = note(&mut payment, &answer.said);
            assert_eq!(noted, Noted::Contradicted);
            assert!(payment.notes.is_contradicted());
            assert_eq!((payment.status, payment.held()), (before.status, before.held()));
            let results = results(&answer, noted, true);
            let [PaymentResult::Reported(report)] = &results[..] else { panic!("{results:?}") };
            assert_eq!(report.matter, MoneyMatter::AmountMismatch);
        }
    }

    #[test]
    fn a_refusal_that_a_capture_has_overtaken_is_told_to_nobody() {
        let mut payment = Payment::request(OrderId(Uuid::nil()), eur(AMOUNT));
        record(&mut payment, &Told::Captured("ch-1".to_owned()));
        let answer = answer(Ok(ChargeOutcome::Declined { code: "no_funds".to_owned() }));
        let noted = note(&mut payment, &answer.said);
        assert_eq!((noted, results(&answer, noted, true)), (Noted::OutOfDate, Vec::new()));
    }
}
