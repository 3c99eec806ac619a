//! The result of the last check of the books.

use std::sync::{Mutex, PoisonError};

use application::ports::BrokenInvariantView;
use jiff::Timestamp;
use tokio::time::Instant;

/// The last check of the books; empty before the first, and in workers that leave it to another.
#[derive(Debug, Default)]
pub struct Books(Mutex<Option<CheckedBooks>>);

/// What one check found.
#[derive(Clone, Debug)]
pub struct CheckedBooks {
    /// When it was made, for people.
    pub checked_at: Timestamp,
    /// The same in monotonic time.
    pub made_at: Instant,
    /// What was wrong; nothing is good.
    pub broken: Vec<BrokenInvariantView>,
}

impl Books {
    /// A check was made.
    pub fn put(&self, checked_at: Timestamp, broken: Vec<BrokenInvariantView>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(CheckedBooks { checked_at, made_at: Instant::now(), broken });
    }

    /// What it found.
    #[must_use]
    pub fn last(&self) -> Option<CheckedBooks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
