//! The books of the payment side: charges by idempotency key, and what each verb does to them and to the totals. Each verb is one step under
//! the caller's lock, which is what makes a charge atomic. No I/O, no clock, no faults: those are decided outside.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use crate::charge::{
    CancelOutcome, CaptureRule, Charge, ChargeAsk, ChargeView, RefundVerdict, RefundView, Standing,
};
use crate::dice::Dice;
use crate::events::{Event, EventKind};
use crate::faults::Verdict;
use crate::history::{Full, History};
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

enum Slot {
    Charge(Charge),
    Tombstone,
}

/// A charge as it is listed for reconciliation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChargeRow {
    /// The client's key.
    key: Arc<str>,
    /// The key under which it is found here, if that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_key: Option<Arc<str>>,
    #[serde(flatten)]
    charge: ChargeView,
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
            Standing::Authorised if charge.ask.capture_rule == CaptureRule::Fails => {
                quietly(Err(Problem::ServerError))
            }
            Standing::Authorised if now_micros >= charge.until_micros => {
                let (_, expired) = self.expire(key, now_micros);
                (Err(Problem::NotCapturable), expired)
            }
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

    /// Refunds a part of a capture, once per refund key.
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
        if let Some(answer) = charge.refunded_before(refund_key, amount_minor) {
            return quietly(answer);
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
                rows.push(row(charge, self.dice, &entry.key));
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
        let charge = Charge::made(ask, now_micros);
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
        charge.capture(amount_minor);
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

fn row(charge: &Charge, dice: Dice, key: &Arc<str>) -> ChargeRow {
    let by_key = charge.bears.as_ref().map(|_| Arc::clone(key));
    let borne = charge.bears.as_ref().unwrap_or(key);
    ChargeRow { key: Arc::clone(borne), by_key, charge: charge.view(dice, key) }
}

impl Slot {
    fn is_finished(&self) -> bool {
        match self {
            Self::Tombstone => true,
            Self::Charge(charge) => charge.standing != Standing::Authorised,
        }
    }
}

mod by_hand;

#[cfg(test)]
mod tests;
