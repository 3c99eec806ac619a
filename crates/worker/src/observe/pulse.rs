//! Signs of life of the background services: when each last did its step, and whether it went well. A service that is
//! running but does nothing shows here and nowhere else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::{Metric, Registry};

/// The signs of life of all services of one process.
pub struct Pulses {
    registry: Arc<Registry>,
    beats: Mutex<BTreeMap<&'static str, Pulse>>,
}

/// The signs of life of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// How often it should show one.
    pub every: Duration,
    /// When it last did its step, or was first expected to, in monotonic time.
    pub beat_at: Instant,
    /// What went wrong in its last step, if something did.
    pub trouble: Option<String>,
}

impl Pulses {
    /// None is expected yet.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry, beats: Mutex::default() }
    }

    /// From now on, this service should show a sign of life this often.
    pub fn expect(&self, service: &'static str, every: Duration) {
        let pulse = Pulse { every, beat_at: Instant::now(), trouble: None };
        self.lock().insert(service, pulse);
    }

    /// The service did its step.
    pub fn beat(&self, service: &'static str) {
        self.registry.add(Metric::ServiceSteps, &[service, "done"], 1);
        self.note(service, None);
    }

    /// The service could not do its step, and lives.
    pub fn fail(&self, service: &'static str, why: &impl ToString) {
        self.registry.add(Metric::ServiceSteps, &[service, "failed"], 1);
        self.note(service, Some(why.to_string()));
    }

    /// Those that are expected, with what is known of each.
    #[must_use]
    pub fn read(&self) -> BTreeMap<&'static str, Pulse> {
        self.lock().clone()
    }

    fn note(&self, service: &'static str, trouble: Option<String>) {
        let now = Instant::now();
        if let Some(pulse) = self.lock().get_mut(service) {
            pulse.beat_at = now;
            pulse.trouble = trouble;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Pulse>> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
