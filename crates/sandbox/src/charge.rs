//! One charge and what may happen to it: captured once, refunded at most what was captured, closed for good. It
//! knows nothing of keys it shares a book with, of totals, or of faults.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dice::{Dice, Question};
use crate::events::{Event, EventData, EventKind, PaymentData};
use crate::limits;
use crate::money::Currency;
use crate::problem::Problem;

/// What a client asks for when it charges.
#[derive(Debug, Clone)]
pub(crate) struct ChargeAsk {
    pub(crate) reference: Arc<str>,
    pub(crate) amount_minor: i64,
    pub(crate) currency: Currency,
    pub(crate) capture: Capture,
    pub(crate) refund_rule: RefundRule,
    pub(crate) capture_rule: CaptureRule,
    /// Microseconds for which an authorisation holds.
    pub(crate) holds_micros: i64,
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

/// Whether what is authorised can be captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaptureRule {
    Works,
    /// Every attempt is answered with a server error, until the authorisation expires.
    Fails,
}

/// Where a dispute of the customer's bank stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dispute {
    Open,
    Won,
    Lost,
}

pub(crate) struct Charge {
    pub(crate) ask: ChargeAsk,
    /// The key that it bears outside, if that is not the one it is kept under: a second charge bears the key of the first.
    pub(crate) bears: Option<Arc<str>>,
    pub(crate) dispute: Option<Dispute>,
    /// How often it was disputed.
    pub(crate) disputes: usize,
    first: First,
    pub(crate) standing: Standing,
    pub(crate) captured_minor: i64,
    pub(crate) refunded_minor: i64,
    pub(crate) captures: u32,
    refunds: Vec<Refund>,
    /// When an authorisation ends.
    pub(crate) until_micros: i64,
    pub(crate) closed: Option<CancelOutcome>,
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
pub(crate) enum Standing {
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
    pub(crate) status: Standing,
    pub(crate) amount_minor: i64,
    currency: Currency,
    pub(crate) captured_minor: i64,
    pub(crate) refunded_minor: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    disputed: Option<Dispute>,
    /// Until when it can be captured, in microseconds since 1970; of authorised charges alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    authorised_until: Option<i64>,
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

impl Charge {
    pub(crate) fn made(ask: ChargeAsk, now_micros: i64) -> Self {
        match ask.capture {
            Capture::Now => Self {
                captured_minor: ask.amount_minor,
                captures: 1,
                ..Self::new(ask, First::Captured, Standing::Captured)
            },
            Capture::Later => Self {
                until_micros: now_micros.saturating_add(ask.holds_micros),
                ..Self::new(ask, First::Authorised, Standing::Authorised)
            },
        }
    }

    pub(crate) fn declined(ask: ChargeAsk) -> Self {
        Self::new(ask, First::Declined, Standing::Declined)
    }

    fn new(ask: ChargeAsk, first: First, standing: Standing) -> Self {
        Self {
            ask,
            bears: None,
            dispute: None,
            disputes: 0,
            first,
            standing,
            captured_minor: 0,
            refunded_minor: 0,
            captures: 0,
            refunds: Vec::new(),
            until_micros: 0,
            closed: None,
        }
    }

    /// The answer to the refund made under this key before, if there was one.
    pub(crate) fn refunded_before(
        &self,
        refund_key: &str,
        amount_minor: i64,
    ) -> Option<Result<RefundView, Problem>> {
        let refund = self.refunds.iter().find(|refund| &*refund.key == refund_key)?;
        Some(if refund.amount_minor == amount_minor { Ok(refund.answer) } else { Err(Problem::KeyReused) })
    }

    pub(crate) fn capture(&mut self, amount_minor: i64) {
        self.standing = Standing::Captured;
        self.captured_minor = amount_minor;
        self.captures += 1;
    }

    pub(crate) fn may_refund(&self, amount_minor: i64, verdict: RefundVerdict) -> Result<(), Problem> {
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

    pub(crate) fn give_back(&mut self, refund_key: &str, amount_minor: i64) -> RefundView {
        self.refunded_minor += amount_minor;
        if self.refunded_minor == self.captured_minor {
            self.standing = Standing::Refunded;
        }
        let answer = RefundView { amount_minor, refunded_minor: self.refunded_minor, status: self.standing };
        self.refunds.push(Refund { key: refund_key.into(), amount_minor, answer });
        answer
    }

    pub(crate) fn close(&mut self, outcome: CancelOutcome) -> CancelOutcome {
        self.closed = Some(outcome);
        outcome
    }

    pub(crate) fn first_answer(&self, dice: Dice, key: &str) -> Result<ChargeView, Problem> {
        let now = self.view(dice, key);
        let (status, captured_minor) = match self.first {
            First::Declined => return Err(Problem::CardDeclined),
            First::Authorised => (Standing::Authorised, 0),
            First::Captured => (Standing::Captured, self.ask.amount_minor),
        };
        let authorised_until = (status == Standing::Authorised).then_some(self.until_micros);
        Ok(ChargeView { status, captured_minor, refunded_minor: 0, authorised_until, ..now })
    }

    pub(crate) fn view(&self, dice: Dice, key: &str) -> ChargeView {
        ChargeView {
            id: charge_id(dice, key),
            reference: Arc::clone(&self.ask.reference),
            status: self.standing,
            amount_minor: self.ask.amount_minor,
            currency: self.ask.currency,
            captured_minor: self.captured_minor,
            refunded_minor: self.refunded_minor,
            disputed: self.dispute,
            authorised_until: (self.standing == Standing::Authorised).then_some(self.until_micros),
        }
    }

    pub(crate) fn event(
        &self,
        dice: Dice,
        key: &str,
        kind: EventKind,
        amount_minor: i64,
        now_micros: i64,
    ) -> Event {
        let data = PaymentData {
            reference: Arc::clone(&self.ask.reference),
            idempotency_key: self.bears.as_deref().unwrap_or(key).to_owned(),
            charge_id: charge_id(dice, key),
            amount_minor,
            currency: self.ask.currency,
            refunded_minor: self.refunded_minor,
            status: self.standing.as_str(),
            outcome: match self.dispute {
                Some(dispute) if kind == EventKind::DisputeClosed => Some(dispute.as_str()),
                Some(_) | None => None,
            },
        };
        let nth = match kind {
            EventKind::DisputeOpened | EventKind::DisputeClosed => self.disputes,
            EventKind::PaymentCaptured
            | EventKind::PaymentDeclined
            | EventKind::PaymentRefunded
            | EventKind::PaymentExpired
            | EventKind::ShipmentInTransit
            | EventKind::ShipmentDelivered
            | EventKind::ShipmentException
            | EventKind::ShipmentReturned
            | EventKind::ShipmentLost
            | EventKind::ShipmentDamaged => self.refunds.len(),
        };
        let id = dice.id(Question::EventId, key, kind.ordinal(nth));
        Event { id: format!("evt_{id:032x}"), kind, created_at: now_micros, data: EventData::Payment(data) }
    }
}

impl Dispute {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Won => "won",
            Self::Lost => "lost",
        }
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
