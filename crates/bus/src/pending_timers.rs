//! Timers that a unit has set or cancelled and not stored: one that changes several times within a unit is stored once, as it is
//! in the end.

use std::collections::BTreeMap;

use crate::{CorrelationId, Timer, TimerKey};

/// What waits to be stored.
#[derive(Debug, Default)]
pub struct PendingTimers(BTreeMap<TimerKey, Option<Timer>>);

impl PendingTimers {
    /// A timer, in the place of one of the same key.
    pub fn set(&mut self, timer: Timer) {
        self.0.insert(timer.key.clone(), Some(timer));
    }

    /// No timer of this key.
    pub fn cancel(&mut self, key: TimerKey) {
        self.0.insert(key, None);
    }

    /// All of it, set and cancelled; none is here any more. A saga that the tables have not heard of has nothing to cancel.
    #[must_use]
    pub fn take(&mut self, is_new: impl Fn(CorrelationId) -> bool) -> (Vec<Timer>, Vec<TimerKey>) {
        let (mut set, mut cancelled) = (Vec::new(), Vec::new());
        for (key, timer) in std::mem::take(&mut self.0) {
            match timer {
                Some(timer) => set.push(timer),
                None if is_new(key.saga) => {}
                None => cancelled.push(key),
            }
        }
        (set, cancelled)
    }
}
