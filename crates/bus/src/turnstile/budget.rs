//! A budget of calls, and its time slots. Slots are given out in blocks of at most a second, so that many who share a
//! budget ask rarely and none holds many unused.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::Fault;

/// How often an external party may be called, by all workers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallBudget {
    /// Calls a second; 0 for any number.
    pub per_second: u32,
    /// Calls under way at once; 0 for any number.
    pub in_flight_max: u32,
}

/// Gives out slots to all that share a budget.
#[async_trait]
pub trait CallSlots: Send + Sync + 'static {
    /// Takes the next `count` slots of this party, `interval` apart; returns how long it is until the first.
    ///
    /// # Errors
    /// Those of the store that keeps them.
    async fn take(&self, name: &'static str, interval: Duration, count: u32) -> Result<Duration, Fault>;
}

impl CallBudget {
    /// Whether it sets no bound.
    #[must_use]
    pub const fn is_boundless(&self) -> bool {
        self.per_second == 0 && self.in_flight_max == 0
    }

    /// The time between two slots; none if they are not counted.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        Duration::from_secs(1).checked_div(self.per_second)
    }

    /// How many calls one of `workers` may have in progress. Each may have one, or it could never call.
    pub(super) fn in_flight_of(&self, workers: usize) -> usize {
        match usize::try_from(self.in_flight_max) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(all) => (all / workers.max(1)).max(1),
        }
    }

    /// How many slots to take for the waiting calls: no more than a second's worth.
    pub(super) fn block_of(&self, waiting: usize) -> u32 {
        u32::try_from(waiting).unwrap_or(u32::MAX).clamp(1, self.per_second.max(1))
    }
}

/// Slots that were taken and not yet used.
#[derive(Debug, Default)]
pub(super) struct Block {
    next: Option<Instant>,
    left: u32,
}

impl Block {
    pub(super) const fn starting(next: Instant, count: u32) -> Self {
        Self { next: Some(next), left: count }
    }

    /// The next slot. A slot that passed unused is lost: used late, it would come at once with the one after it.
    pub(super) fn next(&mut self, now: Instant, interval: Duration) -> Option<Instant> {
        while self.left > 0 {
            let slot = self.next?;
            self.next = Some(slot + interval);
            self.left -= 1;
            if slot + interval > now {
                return Some(slot);
            }
        }
        None
    }
}

/// Slots for the workers of one process.
#[derive(Debug, Default)]
pub struct LocalSlots(Mutex<BTreeMap<&'static str, Instant>>);

#[async_trait]
impl CallSlots for LocalSlots {
    async fn take(&self, name: &'static str, interval: Duration, count: u32) -> Result<Duration, Fault> {
        let now = Instant::now();
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = free.get(name).copied().map_or(now, |free| free.max(now));
        free.insert(name, first + interval.saturating_mul(count));
        Ok(first - now)
    }
}
