//! Queues that could not be read when it was last tried, and why, for whoever looks after the service's health.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::Fault;

/// What was in the way, by queue.
#[derive(Default)]
pub(super) struct Troubles(Mutex<BTreeMap<Arc<str>, String>>);

impl Troubles {
    /// What came of opening a consumer.
    pub(super) fn note(&self, queue: &Arc<str>, fault: Option<&Fault>) {
        match fault {
            Some(fault) => self.lock().insert(Arc::clone(queue), fault.to_string()),
            None => self.lock().remove(queue),
        };
    }

    /// All of them.
    pub(super) fn told(&self) -> Vec<String> {
        let troubles = self.lock();
        let said = |(queue, why)| format!("no consumer of the queue '{queue}' could be opened here: {why}");
        troubles.iter().map(said).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
