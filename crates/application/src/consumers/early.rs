//! What to do with news ahead of its turn: keep it until the saga has moved on; if it never does, give it to a person.

use std::time::Duration;

use bus::{Outcome, Step, Work};
use jiff::Timestamp;

use super::standing::UNKNOWN_ORDER;
use crate::saga::OrderProcessingSaga;

/// How long news is kept before it is looked at again by itself.
const PARKED_FOR: Duration = Duration::from_secs(10 * 60);

/// How often it is looked at again before a person gets it.
const PARKED_TIMES_MAX: u32 = 6;

/// Parks the work if its step says that it came early.
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

/// Gives what is about an order that this database does not have to a person at once: an order is stored before anybody hears of
/// it, so waiting would not help. Tells whether it was so.
pub(super) fn is_of_nobody<M, A>(work: &mut Work<M, A>, step: &Step<OrderProcessingSaga>) -> bool {
    let unknown = step.before.is_none();
    if unknown {
        work.dead_letter(UNKNOWN_ORDER);
    }
    unknown
}
