//! The payment gateway: the authority on money, keyed by our idempotency keys. A key names one charge for ever,
//! whatever was retried, repeated or killed.

use std::time::Duration;

use async_trait::async_trait;
use domain::{Money, Payment};
use jiff::Timestamp;
use thiserror::Error;

/// A charge to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRequest {
    /// Our idempotency key.
    pub key: String,
    /// Our reference of the payment.
    pub reference: String,
    /// How much.
    pub amount: Money,
    /// How the customer pays, in the gateway's terms.
    pub payment_token: Option<String>,
}

impl ChargeRequest {
    /// The recorded charge of this payment, to look up and not to make.
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

/// The gateway's answer about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeOutcome {
    /// The money is authorised, not captured.
    Authorised {
        /// The gateway's name for the charge.
        reference: String,
        /// Until when it can be captured, if the gateway says so.
        until: Option<Timestamp>,
    },
    /// The money is ours, but for what is refunded already.
    Captured {
        /// The gateway's name for the charge.
        reference: String,
        /// Minor units refunded in total: less than was captured.
        refunded_minor: i64,
    },
    /// Declined: no money, and none to come under this key.
    Declined {
        /// The gateway's reason.
        code: String,
    },
    /// The money was captured and refunded.
    Refunded {
        /// The gateway's name for the charge.
        reference: String,
    },
    /// The key was closed before any money moved.
    Closed,
}

/// The result of cancelling a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// No money was taken, and none will be.
    Voided,
    /// It was captured and is refunded, in minor units.
    Refunded {
        /// Minor units refunded in total.
        minor: i64,
    },
}

/// Why there is no answer. Only the provider knows what happened, unless it said that it did nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unanswered {
    /// The provider said, or we know, that nothing was done: throttled, unreachable, breaker open.
    #[error("nothing was done: {why}")]
    NotDone {
        /// The reason.
        why: String,
        /// The provider's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// It may or may not have been done: timed out, connection lost, server error.
    #[error("outcome unknown: {why}")]
    Unknown {
        /// What was seen.
        why: String,
    },
    /// The provider refused something that it has no reason to refuse. A person must see that.
    #[error("refused: {code}")]
    Refused {
        /// Its reason.
        code: String,
    },
}

impl Unanswered {
    /// The provider's `Retry-After`, if any.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotDone { retry_after, .. } => *retry_after,
            Self::Unknown { .. } | Self::Refused { .. } => None,
        }
    }

    /// Whether the call was let through: the provider acted on it, or may have. Only such calls count as attempts,
    /// and only they start a limit.
    #[must_use]
    pub const fn was_let_through(&self) -> bool {
        match self {
            Self::NotDone { .. } => false,
            Self::Unknown { .. } | Self::Refused { .. } => true,
        }
    }
}

/// A payment gateway. An answer counts only if it is about the requested charge: another amount, currency, reference
/// or key leaves the outcome unknown.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// Authorises and captures at once.
    async fn charge(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered>;

    /// Authorises without capturing.
    async fn authorise(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered>;

    /// Captures an authorised charge.
    async fn capture(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered>;

    /// Looks a charge up; none if the gateway does not know the key.
    async fn look_up(&self, request: &ChargeRequest) -> Result<Option<ChargeOutcome>, Unanswered>;

    /// Cancels a charge: voids an authorisation, refunds a capture, and closes the key, so that a charge that is
    /// still on its way is refused.
    async fn cancel(&self, key: &str) -> Result<CancelOutcome, Unanswered>;

    /// Refunds part of a captured charge, in minor units, under a key of its own.
    async fn refund(&self, key: &str, refund_key: &str, minor: i64) -> Result<CancelOutcome, Unanswered>;
}
