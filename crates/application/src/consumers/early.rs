//! Parks early events until their saga has moved on; if it never does, they become dead letters for a person.

use std::time::Duration;

use bus::{Outcome, Step, Work};
use jiff::Timestamp;

use super::standing::UNKNOWN_ORDER;
use crate::saga::OrderProcessingSaga;

/// How long an early event is parked before it is tried again.
const PARKED_FOR: Duration = Duration::from_secs(10 * 60);

/// How often it is tried before it becomes a dead letter.
const PARKED_TIMES_MAX: u32 = 6;

/// Parks the work if its step was too early.
pub(super) fn park_if_early<M, A>(work: &mut Work<M, A>, step: &Step<OrderProcessingSaga>, now: Timestamp) {
    if is_of_nobody(work, step) || step.outcome != Outcome::Early {
        return;
    }
    if work.envelope().attempt >= PARKED_TIMES_MAX {
        work.dead_letter("the order never came to where this applies");
    } else {
        work.park(now.saturating_add(PARKED_FOR).unwrap_or(Timestamp::MAX));
    }
}

/// Makes a message about an unknown order a dead letter at once: an order is stored before any message about it
/// exists, so waiting would not help. Returns whether it did.
pub(super) fn is_of_nobody<M, A>(work: &mut Work<M, A>, step: &Step<OrderProcessingSaga>) -> bool {
    let unknown = step.before.is_none();
    if unknown {
        work.dead_letter(UNKNOWN_ORDER);
    }
    unknown
}
