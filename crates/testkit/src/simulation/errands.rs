//! Things that go on outside the workers and outlive them: letters on their way, echoes of messages, customers. Counted, so
//! that a run knows when nothing is on its way any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The errands of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Errands(Arc<AtomicUsize>);

/// Counts down however its errand ends.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Errands {
    /// Sends somebody off.
    pub(super) fn run(&self, errand: impl Future<Output = ()> + Send + 'static) {
        self.0.fetch_add(1, Ordering::Relaxed);
        let running = Running(Arc::clone(&self.0));
        tokio::spawn(async move {
            errand.await;
            drop(running);
        });
    }

    /// How many are under way.
    #[must_use]
    pub(super) fn under_way(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
