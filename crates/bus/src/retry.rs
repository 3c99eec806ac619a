//! How often and after which pause something is tried again. Policy only: the caller decides whether to retry.

use std::time::Duration;

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN};
use crate::{IdSource, Stop, clock};

/// A schedule of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub retries_max: u32,
    /// Pause before the first retry.
    pub first: Duration,
    /// No pause is longer than this.
    pub longest: Duration,
}

impl RetryPolicy {
    /// Doubling pauses.
    #[must_use]
    pub const fn exponential(retries_max: u32, first: Duration, longest: Duration) -> Self {
        Self { retries_max, first, longest }
    }

    /// No pause: for work on our own store, where a conflict is over as soon as it is seen.
    #[must_use]
    pub const fn immediate(retries_max: u32) -> Self {
        Self::exponential(retries_max, Duration::ZERO, Duration::ZERO)
    }

    /// The pause before retry number `attempt` (the first is 1), or none when there are no more. A `Retry-After` of the
    /// other side, if longer, is respected.
    #[must_use]
    pub fn pause(&self, attempt: u32, retry_after: Option<Duration>, ids: &dyn IdSource) -> Option<Duration> {
        if attempt == 0 || attempt > self.retries_max {
            return None;
        }
        let doubled = self.first.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
        let own = clock::jittered(doubled.min(self.longest), ids);
        Some(retry_after.map_or(own, |asked| own.max(asked)))
    }
}

/// Pauses while the other side cannot be asked at all. They have no end: the caller decides how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The shortest pause.
    pub first: Duration,
    /// No pause is longer than this, unless the other side asked for it.
    pub longest: Duration,
}

impl Patience {
    /// The next pause after waiting this long: as long again, within the bounds, so that pauses double. A
    /// `Retry-After` of the other side is respected, with some spread past its end, or all callers would come back at
    /// once.
    #[must_use]
    pub fn pause(&self, waited: Duration, retry_after: Option<Duration>, ids: &dyn IdSource) -> Duration {
        let own = waited.min(self.longest).max(self.first);
        match retry_after {
            Some(asked) => asked.saturating_add(clock::jittered(own.min(asked).max(self.first), ids)),
            None => clock::jittered(own, ids),
        }
    }
}

/// Growing pauses while something that is needed is away.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(BACKOFF_MIN)
    }
}

impl Backoff {
    /// The next pause, with jitter.
    pub(crate) fn next(&mut self, ids: &dyn IdSource) -> Duration {
        let pause = clock::jittered(self.0, ids);
        self.0 = (self.0 * 2).min(BACKOFF_MAX);
        pause
    }

    /// Waits for the next pause, or for the signal.
    pub(crate) async fn wait(&mut self, ids: &dyn IdSource, stop: &Stop) {
        stop.sleep(self.next(ids)).await;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::RandomIds;

    proptest! {
        #[test]
        fn pauses_are_bounded_and_end(attempt in 0_u32..200, first_ms in 0_u64..10_000, longest_ms in 0_u64..10_000, seed: u64) {
            let policy = RetryPolicy::exponential(3, Duration::from_millis(first_ms), Duration::from_millis(longest_ms));
            let pause = policy.pause(attempt, None, &RandomIds::seeded(seed));
            prop_assert_eq!(pause.is_some(), (1..=3).contains(&attempt));
            prop_assert!(pause.unwrap_or_default() <= Duration::from_millis(longest_ms));
        }

        #[test]
        fn patience_has_no_end_and_its_pauses_grow_with_the_wait_within_their_bounds(
            waited_ms in 0_u64..10_000_000, first_ms in 2_u64..1_000, times in 1_u64..100, asked_ms in proptest::option::of(0_u64..100_000), seed: u64,
        ) {
            let (first, longest) = (Duration::from_millis(first_ms), Duration::from_millis(first_ms * times));
            let (waited, asked) = (Duration::from_millis(waited_ms), asked_ms.map(Duration::from_millis));
            let pause = Patience { first, longest }.pause(waited, asked, &RandomIds::seeded(seed));
            let own = waited.clamp(first, longest);
            match asked {
                Some(asked) => prop_assert!(pause > asked && pause <= asked + own.min(asked).max(first)),
                None => prop_assert!(pause >= own / 2 && pause <= own),
            }
        }

        #[test]
        fn a_retry_after_is_never_undercut(attempt in 1_u32..=3, asked_ms in 0_u64..100_000, seed: u64) {
            let policy = RetryPolicy::exponential(3, Duration::from_millis(100), Duration::from_secs(5));
            let asked = Duration::from_millis(asked_ms);
            prop_assert!(policy.pause(attempt, Some(asked), &RandomIds::seeded(seed)).is_some_and(|pause| pause >= asked));
        }
    }
}
