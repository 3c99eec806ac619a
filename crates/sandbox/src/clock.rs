//! The one place that reads the system's time. Everything else is handed the microseconds it decides by.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Unix time in microseconds that never runs backwards while the sandbox lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started_micros: i64,
    started: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the edge: a running sandbox owns its clock")]
    pub(crate) fn from_system() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { started_micros: micros(since_epoch), started: Instant::now() }
    }

    pub(crate) fn now_micros(&self) -> i64 {
        self.started_micros.saturating_add(micros(self.started.elapsed()))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
