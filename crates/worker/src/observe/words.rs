//! How verdicts and breaker states are called in labels and in answers about health.

use bus::{BreakerState, Verdict};

/// The states of a breaker.
pub const BREAKER_STATES: [&str; 3] = ["closed", "open", "probing"];

/// A verdict's name.
pub(super) const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Retry => "retry",
        Verdict::Conflict => "conflict",
        Verdict::Stale => "stale",
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
