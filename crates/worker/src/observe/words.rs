//! How verdicts and breaker states are called in labels and in answers about health.

use bus::{BreakerState, Verdict};
use uuid::Uuid;

/// What is known of a call that was made, or not, without an answer.
pub(super) const NOT_DONE: &str = "not_done";
/// The same for an unknown outcome.
pub(super) const UNKNOWN: &str = "unknown";

/// The same where it was refused without a reason that we know of.
pub(super) const REFUSED: &str = "refused";

/// The outcome as an error, if there was no answer.
pub(super) fn unspoken(outcome: &'static str) -> Option<&'static str> {
    [NOT_DONE, UNKNOWN, REFUSED].contains(&outcome).then_some(outcome)
}

/// The id of an order's trace, as it is written.
pub(super) fn trace_word(order_id: Uuid) -> String {
    order_id.as_simple().to_string()
}

/// The order that an idempotency key is about.
pub(super) fn order_of(key: &str) -> Option<Uuid> {
    key.split_once('-').and_then(|(_, id)| id.parse().ok())
}

/// The states of a breaker.
pub const BREAKER_STATES: [&str; 3] = ["closed", "open", "probing"];

/// A verdict's name.
pub(super) const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Retry => "retry",
        Verdict::Conflict => "conflict",
        Verdict::Stale => "stale",
        Verdict::LeaveToOthers => "leave_to_others",
        Verdict::GiveUp => "give_up",
    }
}

/// A breaker state's name.
#[must_use]
pub const fn breaker_word(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed { .. } => "closed",
        BreakerState::Open { .. } => "open",
        BreakerState::Probing { .. } => "probing",
    }
}
