//! Chance, from a seed. Each part of a simulation throws dice of its own, so that one more throw in one part does not change
//! what happens in another. Nothing else here may draw randomness.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A stream of chance.
#[derive(Debug)]
pub struct Dice(Mutex<SmallRng>);

impl Dice {
    /// The dice of one part of the simulation of a seed.
    #[must_use]
    pub fn of(seed: u64, part: &str) -> Self {
        let salt = part.bytes().fold(seed ^ 0x9E37_79B9_7F4A_7C15, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        Self(Mutex::new(SmallRng::seed_from_u64(salt)))
    }

    /// A number below `bound`, which is at least 1.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..bound.max(1))
    }

    /// True so many times in a thousand.
    #[must_use]
    pub fn chance(&self, per_mille: u64) -> bool {
        per_mille > 0 && self.below(1_000) < per_mille
    }

    /// A time up to `longest`, in whole milliseconds.
    #[must_use]
    pub fn time(&self, longest: Duration) -> Duration {
        let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX - 1);
        Duration::from_millis(self.below(longest_ms + 1))
    }

    /// One of several.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn pick<'a, T>(&self, choices: &'a [T]) -> &'a T {
        let place = usize::try_from(self.below(choices.len() as u64)).expect("a place in a slice");
        &choices[place]
    }
}
