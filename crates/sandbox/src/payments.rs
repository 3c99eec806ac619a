//! The books of the payment side: charges by idempotency key, and every rule about them. Each verb is one step under
//! the caller's lock, which is what makes a charge atomic. No I/O, no clock, no faults: those are decided outside.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dice::{Dice, Question};
use crate::events::{Event, EventData, EventKind, PaymentData};
use crate::faults::Verdict;
use crate::history::{Full, History};
use crate::limits;
use crate::money::{Currency, Tallies};
use crate::problem::Problem;
use crate::stats::PaymentStats;

pub(crate) struct Payments {
    book: History<Slot>,
    captures_by_reference: HashMap<Arc<str>, u32>,
    counts: PaymentStats,
    tallies: Tallies,
    dice: Dice,
}

/// What a client asks for when it charges.
#[derive(Debug, Clone)]
pub(crate) struct ChargeAsk {
    pub(crate) reference: Arc<str>,
    pub(crate) amount_minor: i64,
    pub(crate) currency: Currency,
    pub(crate) capture: Capture,
    pub(crate) refund_rule: RefundRule,
    /// Tells whether a repeated key comes with the same body.
    pub(crate) body_hash: u64,
}

/// Whether the money is taken with the charge or later; `true` or `false` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "bool")]
pub(crate) enum Capture {
    #[default]
    Now,
    Later,
}

impl From<bool> for Capture {
    fn from(now: bool) -> Self {
        if now { Self::Now } else { Self::Later }
    }
}

/// What the provider makes of a refund, before its own rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefundVerdict {
    Accept,
    Refuse,
    Unavailable,
}

/// Whether refunds of a charge can work at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefundRule {
    Works,
    Fails,
}

enum Slot {
    Charge(Charge),
    Tombstone,
}

struct Charge {
    ask: ChargeAsk,
    first: First,
    standing: Standing,
    captured_minor: i64,
    refunded_minor: i64,
    captures: u32,
    refunds: Vec<Refund>,
    closed: Option<CancelOutcome>,
}

/// The answer the charge got at first, which a repeat gets again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Authorised,
    Captured,
    Declined,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Authorised,
    Captured,
    Declined,
    Voided,
    Refunded,
}

struct Refund {
    key: Box<str>,
    amount_minor: i64,
    answer: RefundView,
}

/// A charge as the client sees it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChargeView {
    id: String,
    reference: Arc<str>,
    status: Standing,
    amount_minor: i64,
    currency: Currency,
    captured_minor: i64,
    refunded_minor: i64,
}

/// A charge as it is listed for reconciliation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChargeRow {
    key: Arc<str>,
    #[serde(flatten)]
    charge: ChargeView,
}

/// The answer to a refund.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct RefundView {
    amount_minor: i64,
    /// In total, this refund included.
    refunded_minor: i64,
    status: Standing,
}

/// The answer to a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum CancelOutcome {
    Voided,
    Refunded { refunded_minor: i64 },
}

/// What a verb answers, and what it gives the provider to announce.
pub(crate) type Outcome<T> = (Result<T, Problem>, Option<Event>);

fn quietly<T>(answer: Result<T, Problem>) -> Outcome<T> {
    (answer, None)
}

impl Payments {
    pub(crate) fn new(dice: Dice, keys_max: usize) -> Self {
        Self {
            book: History::new(keys_max),
            captures_by_reference: HashMap::new(),
            counts: PaymentStats::default(),
            tallies: Tallies::default(),
            dice,
        }
    }

    /// Charges once per key: a repeat gets the first answer, whatever the verdict would be now.
    pub(crate) fn charge(
        &mut self,
        key: &str,
        ask: ChargeAsk,
        verdict: Verdict,
        now_micros: i64,
    ) -> Outcome<ChargeView> {
        if let Some(slot) = self.book.get(key) {
            return quietly(self.repeated(key, slot, &ask));
        }
        if self.make_room().is_err() {
            return quietly(Err(Problem::HistoryFull));
        }
        match verdict {
            Verdict::Accept => self.accept(key, ask, now_micros),
            Verdict::Refuse => self.decline(key, ask, now_micros),
        }
    }

    /// Takes the money of an authorised charge; all of it unless an amount is given. Repeats change nothing.
    pub(crate) fn capture(
        &mut self,
        key: &str,
        amount_minor: Option<i64>,
        now_micros: i64,
    ) -> Outcome<ChargeView> {
        let Some(Slot::Charge(charge)) = self.book.get_mut(key) else {
            return quietly(Err(Problem::UnknownKey));
        };
        let amount_minor = amount_minor.unwrap_or(charge.ask.amount_minor);
        match charge.standing {
            Standing::Authorised if amount_minor > charge.ask.amount_minor => {
                quietly(Err(Problem::CaptureTooLarge))
            }
            Standing::Authorised => self.capture_authorised(key, amount_minor, now_micros),
            Standing::Captured | Standing::Refunded if amount_minor == charge.captured_minor => {
                quietly(self.look_up(key))
            }
            Standing::Captured | Standing::Refunded | Standing::Declined | Standing::Voided => {
                quietly(Err(Problem::NotCapturable))
            }
        }
    }

    /// Gives back a part of what was captured, once per refund key.
    pub(crate) fn refund(
        &mut self,
        key: &str,
        refund_key: &str,
        amount_minor: i64,
        verdict: RefundVerdict,
        now_micros: i64,
    ) -> Outcome<RefundView> {
        let dice = self.dice;
        let Some(Slot::Charge(charge)) = self.book.get_mut(key) else {
            return quietly(Err(Problem::UnknownKey));
        };
        if let Some(refund) = charge.refunds.iter().find(|refund| &*refund.key == refund_key) {
            let same = refund.amount_minor == amount_minor;
            return quietly(if same { Ok(refund.answer) } else { Err(Problem::KeyReused) });
        }
        if let Err(problem) = charge.may_refund(amount_minor, verdict) {
            return quietly(Err(problem));
        }
        let answer = charge.give_back(refund_key, amount_minor);
        let event = charge.event(dice, key, EventKind::PaymentRefunded, amount_minor, now_micros);
        let currency = charge.ask.currency;
        self.count_refund(currency, amount_minor);
        (Ok(answer), Some(event))
    }

    /// Closes the key for good and undoes what was done under it. Repeats get the same answer.
    pub(crate) fn cancel(
        &mut self,
        key: &str,
        verdict: RefundVerdict,
        now_micros: i64,
    ) -> Outcome<CancelOutcome> {
        let Some(slot) = self.book.get_mut(key) else { return quietly(self.bury(key)) };
        let Slot::Charge(charge) = slot else { return quietly(Ok(CancelOutcome::Voided)) };
        if let Some(outcome) = charge.closed {
            return quietly(Ok(outcome));
        }
        match charge.standing {
            Standing::Declined | Standing::Voided => quietly(Ok(charge.close(CancelOutcome::Voided))),
            Standing::Authorised => {
                charge.standing = Standing::Voided;
                let outcome = charge.close(CancelOutcome::Voided);
                self.counts.voided += 1;
                quietly(Ok(outcome))
            }
            Standing::Refunded => {
                let refunded_minor = charge.refunded_minor;
                quietly(Ok(charge.close(CancelOutcome::Refunded { refunded_minor })))
            }
            Standing::Captured => self.cancel_captured(key, verdict, now_micros),
        }
    }

    pub(crate) fn reference_of(&self, key: &str) -> Option<&str> {
        match self.book.get(key)? {
            Slot::Charge(charge) => Some(&charge.ask.reference),
            Slot::Tombstone => None,
        }
    }

    pub(crate) fn look_up(&self, key: &str) -> Result<ChargeView, Problem> {
        match self.book.get(key) {
            Some(Slot::Charge(charge)) => Ok(charge.view(self.dice, key)),
            Some(Slot::Tombstone) | None => Err(Problem::UnknownKey),
        }
    }

    /// Charges after the given ordinal and the ordinal to go on from; tombstones are no charges and are left out.
    pub(crate) fn page(&self, after: u64, limit: usize) -> (Vec<ChargeRow>, Option<u64>) {
        let mut rows = Vec::new();
        let mut last = after;
        for (ordinal, entry) in self.book.after(after) {
            if rows.len() == limit {
                return (rows, Some(last));
            }
            last = ordinal;
            if let Slot::Charge(charge) = &entry.value {
                rows.push(ChargeRow {
                    key: Arc::clone(&entry.key),
                    charge: charge.view(self.dice, &entry.key),
                });
            }
        }
        (rows, None)
    }

    pub(crate) fn stats(&self) -> PaymentStats {
        PaymentStats { money: self.tallies.report(), ..self.counts.clone() }
    }

    fn repeated(&self, key: &str, slot: &Slot, ask: &ChargeAsk) -> Result<ChargeView, Problem> {
        match slot {
            Slot::Tombstone => Err(Problem::KeyClosed),
            Slot::Charge(charge) if charge.ask.body_hash != ask.body_hash => Err(Problem::KeyReused),
            Slot::Charge(charge) if charge.closed.is_some() => Err(Problem::KeyClosed),
            Slot::Charge(charge) => charge.first_answer(self.dice, key),
        }
    }

    fn accept(&mut self, key: &str, ask: ChargeAsk, now_micros: i64) -> Outcome<ChargeView> {
        let charge = Charge::made(ask);
        let answer = charge.first_answer(self.dice, key);
        self.counts.charges += 1;
        let event = (charge.captures > 0).then(|| {
            self.count_capture(&charge.ask, charge.captured_minor, charge.captures);
            charge.event(self.dice, key, EventKind::PaymentCaptured, charge.captured_minor, now_micros)
        });
        self.book.add(key, Slot::Charge(charge));
        (answer, event)
    }

    fn decline(&mut self, key: &str, ask: ChargeAsk, now_micros: i64) -> Outcome<ChargeView> {
        let amount_minor = ask.amount_minor;
        let charge = Charge::declined(ask);
        let event = charge.event(self.dice, key, EventKind::PaymentDeclined, amount_minor, now_micros);
        self.counts.declined += 1;
        self.book.add(key, Slot::Charge(charge));
        (Err(Problem::CardDeclined), Some(event))
    }

    fn capture_authorised(&mut self, key: &str, amount_minor: i64, now_micros: i64) -> Outcome<ChargeView> {
        let dice = self.dice;
        let Some(Slot::Charge(charge)) = self.book.get_mut(key) else {
            return quietly(Err(Problem::UnknownKey));
        };
        charge.standing = Standing::Captured;
        charge.captured_minor = amount_minor;
        charge.captures += 1;
        let view = charge.view(dice, key);
        let event = charge.event(dice, key, EventKind::PaymentCaptured, amount_minor, now_micros);
        let (ask, captures) = (charge.ask.clone(), charge.captures);
        self.count_capture(&ask, amount_minor, captures);
        (Ok(view), Some(event))
    }

    fn cancel_captured(
        &mut self,
        key: &str,
        verdict: RefundVerdict,
        now_micros: i64,
    ) -> Outcome<CancelOutcome> {
        let dice = self.dice;
        let Some(Slot::Charge(charge)) = self.book.get_mut(key) else {
            return quietly(Err(Problem::UnknownKey));
        };
        let rest_minor = charge.captured_minor - charge.refunded_minor;
        if let Err(problem) = charge.may_refund(rest_minor, verdict) {
            return quietly(Err(problem));
        }
        charge.give_back("", rest_minor);
        let outcome = charge.close(CancelOutcome::Refunded { refunded_minor: charge.refunded_minor });
        let event = charge.event(dice, key, EventKind::PaymentRefunded, rest_minor, now_micros);
        let currency = charge.ask.currency;
        self.count_refund(currency, rest_minor);
        (Ok(outcome), Some(event))
    }

    fn bury(&mut self, key: &str) -> Result<CancelOutcome, Problem> {
        self.make_room().map_err(|Full| Problem::HistoryFull)?;
        self.book.add(key, Slot::Tombstone);
        self.counts.tombstones += 1;
        Ok(CancelOutcome::Voided)
    }

    fn make_room(&mut self) -> Result<(), Full> {
        if let Some(Slot::Charge(forgotten)) = self.book.make_room(Slot::is_finished)? {
            self.captures_by_reference.remove(&forgotten.ask.reference);
        }
        Ok(())
    }

    fn count_capture(&mut self, ask: &ChargeAsk, amount_minor: i64, captures_of_key: u32) {
        self.counts.captured += 1;
        self.tallies.capture(ask.currency, amount_minor);
        self.counts.charges_per_key_max = self.counts.charges_per_key_max.max(captures_of_key);
        self.counts.keys_charged_twice += u64::from(captures_of_key == 2);
        let of_reference = self.captures_by_reference.entry(Arc::clone(&ask.reference)).or_default();
        *of_reference += 1;
        self.counts.references_charged_twice += u64::from(*of_reference == 2);
    }

    fn count_refund(&mut self, currency: Currency, amount_minor: i64) {
        self.counts.refunded += 1;
        self.tallies.refund(currency, amount_minor);
    }
}

impl Slot {
    fn is_finished(&self) -> bool {
        match self {
            Self::Tombstone => true,
            Self::Charge(charge) => charge.standing != Standing::Authorised,
        }
    }
}

impl Charge {
    fn made(ask: ChargeAsk) -> Self {
        match ask.capture {
            Capture::Now => Self {
                captured_minor: ask.amount_minor,
                captures: 1,
                ..Self::new(ask, First::Captured, Standing::Captured)
            },
            Capture::Later => Self::new(ask, First::Authorised, Standing::Authorised),
        }
    }

    fn declined(ask: ChargeAsk) -> Self {
        Self::new(ask, First::Declined, Standing::Declined)
    }

    fn new(ask: ChargeAsk, first: First, standing: Standing) -> Self {
        Self {
            ask,
            first,
            standing,
            captured_minor: 0,
            refunded_minor: 0,
            captures: 0,
            refunds: Vec::new(),
            closed: None,
        }
    }

    fn may_refund(&self, amount_minor: i64, verdict: RefundVerdict) -> Result<(), Problem> {
        match (self.standing, self.ask.refund_rule, verdict) {
            (Standing::Authorised | Standing::Declined | Standing::Voided, _, _) => {
                Err(Problem::NotRefundable)
            }
            (_, RefundRule::Fails, _) | (_, _, RefundVerdict::Unavailable) => Err(Problem::RefundUnavailable),
            (_, _, RefundVerdict::Refuse) => Err(Problem::RefundRefused),
            (Standing::Captured | Standing::Refunded, RefundRule::Works, RefundVerdict::Accept) => {
                self.has_left(amount_minor)
            }
        }
    }

    fn has_left(&self, amount_minor: i64) -> Result<(), Problem> {
        let fits = amount_minor <= self.captured_minor - self.refunded_minor;
        let counted = self.refunds.len() < limits::REFUNDS_PER_CHARGE_MAX;
        if fits && counted { Ok(()) } else { Err(Problem::RefundTooLarge) }
    }

    fn give_back(&mut self, refund_key: &str, amount_minor: i64) -> RefundView {
        self.refunded_minor += amount_minor;
        if self.refunded_minor == self.captured_minor {
            self.standing = Standing::Refunded;
        }
        let answer = RefundView { amount_minor, refunded_minor: self.refunded_minor, status: self.standing };
        self.refunds.push(Refund { key: refund_key.into(), amount_minor, answer });
        answer
    }

    fn close(&mut self, outcome: CancelOutcome) -> CancelOutcome {
        self.closed = Some(outcome);
        outcome
    }

    fn first_answer(&self, dice: Dice, key: &str) -> Result<ChargeView, Problem> {
        let now = self.view(dice, key);
        let (status, captured_minor) = match self.first {
            First::Declined => return Err(Problem::CardDeclined),
            First::Authorised => (Standing::Authorised, 0),
            First::Captured => (Standing::Captured, self.ask.amount_minor),
        };
        Ok(ChargeView { status, captured_minor, refunded_minor: 0, ..now })
    }

    fn view(&self, dice: Dice, key: &str) -> ChargeView {
        ChargeView {
            id: charge_id(dice, key),
            reference: Arc::clone(&self.ask.reference),
            status: self.standing,
            amount_minor: self.ask.amount_minor,
            currency: self.ask.currency,
            captured_minor: self.captured_minor,
            refunded_minor: self.refunded_minor,
        }
    }

    fn event(&self, dice: Dice, key: &str, kind: EventKind, amount_minor: i64, now_micros: i64) -> Event {
        let data = PaymentData {
            reference: Arc::clone(&self.ask.reference),
            idempotency_key: key.to_owned(),
            charge_id: charge_id(dice, key),
            amount_minor,
            currency: self.ask.currency,
            status: self.standing.as_str(),
        };
        let id = dice.id(Question::EventId, key, kind.ordinal(self.refunds.len()));
        Event { id: format!("evt_{id:032x}"), kind, created_at: now_micros, data: EventData::Payment(data) }
    }
}

impl Standing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Authorised => "authorised",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Voided => "voided",
            Self::Refunded => "refunded",
        }
    }
}

fn charge_id(dice: Dice, key: &str) -> String {
    format!("ch_{:032x}", dice.id(Question::ChargeId, key, 0))
}

#[cfg(test)]
mod tests;
