//! Time and identity as inputs: code that needs the time or a new id gets a source for it. The only module that reads
//! the system's clock and randomness.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;
use uuid::Uuid;

/// Tells the time. To wait, use `tokio::time`, which a test may pause.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the one place where real time enters")]
        let now = Timestamp::now();
        micros(now)
    }
}

/// Stores keep microseconds; finer times would change by being stored.
fn micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// A clock that follows tokio's: it stands still while tokio's time is paused and moves with it. Tests can make it
/// jump, as real clocks do.
#[derive(Debug)]
pub struct VirtualClock {
    origin: Timestamp,
    started: Instant,
    jump: Mutex<SignedDuration>,
}

impl VirtualClock {
    /// Starts at `origin`. Must be called within a tokio runtime.
    #[must_use]
    pub fn starting_at(origin: Timestamp) -> Self {
        Self { origin: micros(origin), started: Instant::now(), jump: Mutex::new(SignedDuration::ZERO) }
    }

    /// Moves the clock, but no timer of tokio's, forwards or backwards.
    pub fn jump(&self, by: SignedDuration) {
        *self.jump.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += by;
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let jump = *self.jump.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        micros(self.origin + self.started.elapsed() + jump)
    }
}

/// Gives fresh ids.
pub trait IdSource: Send + Sync + 'static {
    /// A version 7 id for the moment `now`: ids sort by the time at which they were made.
    fn next(&self, now: Timestamp) -> Uuid;

    /// A number below `bound` (which is at least 1), for jitter and sampling.
    fn below(&self, bound: u64) -> u64;
}

/// Ids and jitter from a random generator: seeded by the system, or by a test.
#[derive(Debug)]
pub struct RandomIds(Mutex<StdRng>);

impl RandomIds {
    /// Seeded from the system's randomness.
    #[must_use]
    pub fn from_system() -> Self {
        Self(Mutex::new(StdRng::from_os_rng()))
    }

    /// The same seed gives the same ids.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    fn draw(&self) -> u128 {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).random()
    }
}

impl IdSource for RandomIds {
    fn next(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let random = self.draw().to_be_bytes();
        let mut tail = [0; 10];
        tail.copy_from_slice(&random[..10]);
        uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
    }

    fn below(&self, bound: u64) -> u64 {
        (self.draw() % u128::from(bound.max(1))) as u64
    }
}

/// A random pause between 50 and 100 % of `base`, so that many waiters do not come back together.
#[must_use]
pub fn jittered(base: Duration, ids: &dyn IdSource) -> Duration {
    let half = base / 2;
    let spread_us = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
    half + Duration::from_micros(ids.below(spread_us.saturating_add(1)))
}

/// The system's time, and ids from the system's randomness.
#[must_use]
pub fn system() -> (Arc<dyn Clock>, Arc<dyn IdSource>) {
    (Arc::new(SystemClock), Arc::new(RandomIds::from_system()))
}
