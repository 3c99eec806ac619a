//! What the house stands on, for all workers at once: whether the broker has a quorum, and whether the database file is in its
//! place.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Until when something is away.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    quorum: Mutex<Option<Instant>>,
    file: Mutex<Option<Instant>>,
}

fn lock(until: &Mutex<Option<Instant>>) -> MutexGuard<'_, Option<Instant>> {
    until.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_there(until: &Mutex<Option<Instant>>) -> bool {
    lock(until).is_none_or(|until| until <= Instant::now())
}

impl Conditions {
    /// The broker's nodes are too few for so long.
    pub(super) fn lose_quorum(&self, time: Duration) {
        *lock(&self.quorum) = Some(Instant::now() + time);
    }

    /// Another file lies in the place of the database for so long.
    pub(super) fn replace_file(&self, time: Duration) {
        *lock(&self.file) = Some(Instant::now() + time);
    }

    pub(super) fn has_quorum(&self) -> bool {
        is_there(&self.quorum)
    }

    pub(super) fn has_file(&self) -> bool {
        is_there(&self.file)
    }
}
