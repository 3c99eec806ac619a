//! The payment gateway: it holds the truth about money, keyed by our idempotency keys.
//! A key names one charge for ever, whatever was retried, repeated or killed.

use std::time::Duration;

use async_trait::async_trait;
use domain::Money;
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
}

impl Unanswered {
    /// How long the other side asked to be left alone.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotDone { retry_after, .. } => *retry_after,
            Self::Unknown { .. } => None,
        }
    }
}

/// A payment gateway.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// Authorises and captures in one go.
    async fn charge(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered>;

    /// Holds the money without taking it.
    async fn authorise(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered>;

    /// Takes what is held.
    async fn capture(&self, key: &str) -> Result<ChargeOutcome, Unanswered>;

    /// What the gateway knows of a key; none if it never heard of it.
    async fn look_up(&self, key: &str) -> Result<Option<ChargeOutcome>, Unanswered>;

    /// Calls a charge off: voids what is held, refunds what was taken, and closes the key, so that a charge that is still
    /// on its way finds it closed.
    async fn cancel(&self, key: &str) -> Result<CancelOutcome, Unanswered>;

    /// Gives back part of what was taken, in minor units, under a key of its own.
    async fn refund(&self, key: &str, refund_key: &str, minor: i64) -> Result<CancelOutcome, Unanswered>;
}
