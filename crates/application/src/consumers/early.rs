//! What to do with news ahead of its turn: keep it until the saga has moved on; if it never does, give it to a person.

use std::time::Duration;

use bus::{Outcome, Step, Work};
use jiff::Timestamp;

use crate::saga::OrderProcessingSaga;

/// How long news is kept before it is looked at again by itself.
const PARKED_FOR: Duration = Duration::from_secs(10 * 60);

/// How often it is looked at again before a person gets it.
const PARKED_TIMES_MAX: u32 = 6;

/// Parks the work if its step says that it came early.
pub(super) fn park_if_early<M, A>(work: &mut Work<M, A>, step: &Step<OrderProcessingSaga>, now: Timestamp) {
    if step.outcome != Outcome::Early {
        return;
    }
    if work.envelope().attempt >= PARKED_TIMES_MAX {
        let what = if step.before.is_some() {
            "the order never came to where this applies"
        } else {
            "no such order"
        };
        work.dead_letter(what);
    } else {
        work.park(now.saturating_add(PARKED_FOR).unwrap_or(Timestamp::MAX));
    }
}
