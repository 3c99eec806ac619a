//! What happens to charges by another hand than the client's: a bank disputes, an authorisation expires, a customer is charged
//! a second time. Each is announced as anything else is; the client has to cope.

use std::sync::Arc;

use super::{ChargeRow, Outcome, Payments, Slot, quietly, row};
use crate::charge::{CancelOutcome, Capture, Charge, ChargeView, Dispute, Standing};
use crate::events::EventKind;
use crate::history::Full;
use crate::limits;
use crate::problem::Problem;

impl Payments {
    /// Opens a dispute about captured money, or closes the one that is open.
    pub(crate) fn dispute(&mut self, key: &str, to: Dispute, now_micros: i64) -> Outcome<ChargeView> {
        let charge = match self.captured(key) {
            Ok(charge) => charge,
            Err(problem) => return quietly(Err(problem)),
        };
        let is_open = charge.dispute == Some(Dispute::Open);
        let kind = match (to, is_open) {
            (Dispute::Open, false) => EventKind::DisputeOpened,
            (Dispute::Won | Dispute::Lost, true) => EventKind::DisputeClosed,
            (Dispute::Open, true) | (Dispute::Won | Dispute::Lost, false) => {
                return quietly(Err(Problem::NotPossible));
            }
        };
        charge.dispute = Some(to);
        charge.disputes += usize::from(to == Dispute::Open);
        let amount_minor = charge.captured_minor;
        self.told(key, kind, amount_minor, now_micros)
    }

    /// Lets an authorisation run out: the money was never taken, and the key is closed.
    pub(crate) fn expire(&mut self, key: &str, now_micros: i64) -> Outcome<ChargeView> {
        let Some(Slot::Charge(charge)) = self.book.get_mut(key) else {
            return quietly(Err(Problem::UnknownKey));
        };
        if charge.standing != Standing::Authorised {
            return quietly(Err(Problem::NotPossible));
        }
        charge.standing = Standing::Voided;
        charge.close(CancelOutcome::Voided);
        let amount_minor = charge.ask.amount_minor;
        self.counts.voided += 1;
        self.told(key, EventKind::PaymentExpired, amount_minor, now_micros)
    }

    /// Charges once more what was captured, as a gateway does that loses track: another charge that bears the same key.
    pub(crate) fn charge_again(&mut self, key: &str, now_micros: i64) -> Outcome<ChargeRow> {
        let mut ask = match self.captured(key) {
            Ok(charge) => charge.ask.clone(),
            Err(problem) => return quietly(Err(problem)),
        };
        ask.capture = Capture::Now;
        if let Err(Full) = self.make_room() {
            return quietly(Err(Problem::HistoryFull));
        }
        let free = (2..=limits::CHARGES_PER_KEY_MAX).map(|nth| format!("{key}~{nth}"));
        let Some(kept_under) = free.into_iter().find(|key| self.book.get(key).is_none()) else {
            return quietly(Err(Problem::NotPossible));
        };
        let mut charge = Charge::made(ask, now_micros);
        charge.bears = Some(Arc::from(key));
        self.counts.charges += 1;
        self.count_capture(&charge.ask, charge.captured_minor, charge.captures);
        let (dice, amount_minor) = (self.dice, charge.captured_minor);
        let event = charge.event(dice, &kept_under, EventKind::PaymentCaptured, amount_minor, now_micros);
        let row = row(&charge, dice, &Arc::from(kept_under.as_str()));
        self.book.add(&kept_under, Slot::Charge(charge));
        (Ok(row), Some(event))
    }

    fn captured(&mut self, key: &str) -> Result<&mut Charge, Problem> {
        let Some(Slot::Charge(charge)) = self.book.get_mut(key) else { return Err(Problem::UnknownKey) };
        match charge.standing {
            Standing::Captured | Standing::Refunded => Ok(charge),
            Standing::Authorised | Standing::Declined | Standing::Voided => Err(Problem::NotPossible),
        }
    }

    fn told(&self, key: &str, kind: EventKind, amount_minor: i64, now_micros: i64) -> Outcome<ChargeView> {
        let Some(Slot::Charge(charge)) = self.book.get(key) else {
            return quietly(Err(Problem::UnknownKey));
        };
        let event = charge.event(self.dice, key, kind, amount_minor, now_micros);
        (Ok(charge.view(self.dice, key)), Some(event))
    }
}
