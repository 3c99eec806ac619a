//! When the consumers of each queue were last opened anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::limits::LOOK_AFTER;

/// When the consumers of each queue were last made anew. Between the old one and the new one the broker counts none.
#[derive(Default)]
pub(super) struct Renewals(Mutex<BTreeMap<Arc<str>, Instant>>);

impl Renewals {
    pub(super) fn note(&self, queue: &Arc<str>) {
        let mut renewals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        renewals.insert(Arc::clone(queue), Instant::now());
    }

    /// Whether a new consumer may be on its way.
    pub(super) fn is_recent(&self, queue: &str) -> bool {
        let renewals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        renewals.get(queue).is_some_and(|at| at.elapsed() < LOOK_AFTER)
    }
}
