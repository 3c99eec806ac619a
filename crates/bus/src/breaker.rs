//! A circuit breaker: after enough failures in a row it blocks calls for a while, then one probe decides. Knows
//! nothing of what it guards; time comes in from outside.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// When it opens and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it.
    pub failures_max: u32,
    /// How long it stays open before a probe.
    pub open_for: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures_max: 20, open_for: Duration::from_secs(2) }
    }
}

/// Its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass.
    Closed {
        /// Failures in a row so far.
        failures: u32,
    },
    /// No call passes before this moment.
    Open {
        /// When the next probe may pass.
        until: Timestamp,
    },
    /// One probe is in progress; the others wait for its result, or for this moment.
    Probing {
        /// When the probe counts as lost.
        until: Timestamp,
    },
}

/// A breaker, shared by all callers of one external party.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: Mutex<BreakerState>,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, state: Mutex::new(BreakerState::Closed { failures: 0 }) }
    }

    /// Asks to pass.
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub fn admit(&self, now: Timestamp) -> Result<(), Duration> {
        let mut state = self.lock();
        match *state {
            BreakerState::Closed { .. } => Ok(()),
            BreakerState::Open { until } | BreakerState::Probing { until } if now < until => {
                Err(Duration::try_from(until.duration_since(now)).unwrap_or_default())
            }
            BreakerState::Open { .. } | BreakerState::Probing { .. } => {
                *state = BreakerState::Probing { until: self.reopens_at(now) };
                Ok(())
            }
        }
    }

    /// The call went through: the other side is there, whatever it answered.
    pub fn succeed(&self) {
        *self.lock() = BreakerState::Closed { failures: 0 };
    }

    /// The call failed.
    pub fn fail(&self, now: Timestamp) {
        let mut state = self.lock();
        *state = match *state {
            BreakerState::Closed { failures } if failures + 1 < self.policy.failures_max => {
                BreakerState::Closed { failures: failures + 1 }
            }
            BreakerState::Closed { .. } | BreakerState::Probing { .. } => {
                BreakerState::Open { until: self.reopens_at(now) }
            }
            open @ BreakerState::Open { .. } => open,
        };
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        *self.lock()
    }

    fn reopens_at(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(self.policy.open_for).unwrap_or(Timestamp::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, BreakerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy { failures_max: 2, open_for: Duration::from_secs(10) };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_probe_through_when_its_time_is_over() {
        let breaker = Breaker::new(POLICY);
        breaker.fail(at(0));
        breaker.succeed();
        breaker.fail(at(0));
        assert_eq!(breaker.admit(at(0)), Ok(()), "a success between failures starts the count anew");
        breaker.fail(at(0));
        assert_eq!(breaker.admit(at(4)), Err(Duration::from_secs(6)));
        assert_eq!(breaker.admit(at(10)), Ok(()), "the probe");
        assert!(breaker.admit(at(11)).is_err(), "nobody beside the probe");
        breaker.fail(at(12));
        assert_eq!(breaker.admit(at(13)), Err(Duration::from_secs(9)));
        assert_eq!(breaker.admit(at(22)), Ok(()));
        breaker.succeed();
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 0 });
    }

    #[test]
    fn a_probe_that_never_answers_does_not_keep_it_shut_for_ever() {
        let breaker = Breaker::new(POLICY);
        breaker.fail(at(0));
        breaker.fail(at(0));
        assert_eq!(breaker.admit(at(10)), Ok(()));
        assert_eq!(breaker.admit(at(20)), Ok(()), "the probe counts as lost");
    }
}
