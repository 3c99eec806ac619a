//! Graceful stop: one signal for a whole tree of services, and waits that end early when it comes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The stop signal, shared by everything that runs.
#[derive(Clone, Debug, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// A signal not yet given.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A signal that fires with this one, or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Gives the signal.
    pub fn stop(&self) {
        self.0.cancel();
    }

    /// Whether it was given.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for the signal.
    pub async fn stopped(&self) {
        self.0.cancelled().await;
    }

    /// Waits for this time, or for the signal.
    pub async fn sleep(&self, pause: Duration) {
        tokio::select! {
            biased;
            () = self.0.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
