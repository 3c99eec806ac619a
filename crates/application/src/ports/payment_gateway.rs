//! The payment gateway: it holds the truth about money, keyed by our idempotency keys.
//! A key names one charge for ever, whatever was retried, repeated or killed.

use std::time::Duration;

use async_trait::async_trait;
use domain::{Money, Payment};
use thiserror::Error;

/// A charge to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRequest {
    /// Our idempotency key.
    pub key: String,
    /// Our name for what is paid.
    pub reference: String,
    /// How much.
    pub amount: Money,
    /// How the customer pays, in the gateway's terms.
    pub payment_token: Option<String>,
}

impl ChargeRequest {
    /// The charge that is recorded as this payment, asked about and not to be made.
    #[must_use]
    pub fn of(payment: &Payment) -> Self {
        Self {
            key: payment.key.clone(),
            reference: payment.order_id.to_string(),
            amount: payment.amount,
            payment_token: None,
        }
    }
}

/// What the gateway said for good about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeOutcome {
    /// The money is held, to be captured.
    Authorised {
        /// The gateway's name for the charge.
        reference: String,
    },
    /// The money is ours.
    Captured {
        /// The gateway's name for the charge.
        reference: String,
    },
    /// No money, and none to come under this key.
    Declined {
        /// The gateway's reason.
        code: String,
    },
    /// The money was ours and went back.
    Refunded {
        /// The gateway's name for the charge.
        reference: String,
    },
    /// The key was closed before any money moved.
    Closed,
}

/// What became of a charge that was called off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// No money was taken, and none will be.
    Voided,
    /// It was taken and went back, in minor units.
    Refunded {
        /// Minor units given back in all.
        minor: i64,
    },
}

/// Why there is no answer. Only the other side knows what happened, unless it said that nothing did.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unanswered {
    /// It said, or we know, that nothing was done: throttled, unreachable, breaker open.
    #[error("nothing was done: {why}")]
    NotDone {
        /// What it said.
        why: String,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// It may or may not have been done: timed out, connection lost, server error.
    #[error("outcome unknown: {why}")]
    Unknown {
        /// What was seen.
        why: String,
    },
    /// It said no to what it has no reason to refuse. A person should see that.
    #[error("refused: {code}")]
    Refused {
        /// Its reason.
        code: String,
    },
}

impl Unanswered {
    /// How long the other side asked to be left alone.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotDone { retry_after, .. } => *retry_after,
            Self::Unknown { .. } | Self::Refused { .. } => None,
        }
    }

    /// Whether the call was let through: whoever was called has, or may have, acted on it. Only such calls count as attempts,
    /// and only they start a limit.
    #[must_use]
    pub const fn was_let_through(&self) -> bool {
        match self {
            Self::NotDone { .. } => false,
            Self::Unknown { .. } | Self::Refused { .. } => true,
        }
    }
}

/// A payment gateway. What it says of a charge counts only if it is that charge: an answer with another amount, currency,
/// reference or key than was asked for leaves the outcome unknown.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// Authorises and captures in one go.
    async fn charge(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered>;

    /// Holds the money without taking it.
    async fn authorise(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered>;

    /// Takes what is held.
    async fn capture(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered>;

    /// What became of a charge; none if the gateway never heard of its key.
    async fn look_up(&self, request: &ChargeRequest) -> Result<Option<ChargeOutcome>, Unanswered>;

    /// Calls a charge off: voids what is held, refunds what was taken, and closes the key, so that a charge that is still
    /// on its way finds it closed.
    async fn cancel(&self, key: &str) -> Result<CancelOutcome, Unanswered>;

    /// Gives back part of what was taken, in minor units, under a key of its own.
    async fn refund(&self, key: &str, refund_key: &str, minor: i64) -> Result<CancelOutcome, Unanswered>;
}
