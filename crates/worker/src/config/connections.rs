//! How many connections there may be at a time, and how long each may keep the service waiting.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::Patience;

/// The longest that a connection may be allowed to keep the service waiting.
const WAIT_MS_MAX: u64 = 600_000;

/// Connections to the API, and to the listener of metrics if that is one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Connections to the API at a time; fewer where the system allows the process fewer open files. When they are used up, those
    /// that wait for their clients give way to new ones, the oldest first.
    pub at_once_max: usize,
    /// How long a new connection may take to send its first request, TLS included, in milliseconds.
    pub first_request_ms: u64,
    /// How long a connection may be without a request afterwards, in milliseconds; longer than a proxy before the service keeps one.
    pub idle_ms: u64,
    /// How long the body of a request may take to arrive, in milliseconds.
    pub body_ms: u64,
    /// How long a client may take over the next 64 KiB of an answer, or the rest of it, in milliseconds.
    pub answer_ms: u64,
}

impl Default for Connections {
    fn default() -> Self {
        let patience = Patience::default();
        let ms = |limit: Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        Self {
            at_once_max: crate::http::CONNECTIONS_MAX,
            first_request_ms: ms(patience.first_request),
            idle_ms: ms(patience.idle),
            body_ms: ms(patience.body),
            answer_ms: ms(patience.answer),
        }
    }
}

impl Connections {
    /// How long they may take over what.
    #[must_use]
    pub const fn patience(&self) -> Patience {
        Patience {
            first_request: Duration::from_millis(self.first_request_ms),
            idle: Duration::from_millis(self.idle_ms),
            body: Duration::from_millis(self.body_ms),
            answer: Duration::from_millis(self.answer_ms),
        }
    }

    /// Values that cannot work, each with what would.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if !(4..=1_000_000).contains(&self.at_once_max) {
            let found = self.at_once_max;
            mistakes.push(format!("connections.at_once_max = {found} is not between 4 and 1000000"));
        }
        for (key, found) in [
            ("first_request_ms", self.first_request_ms),
            ("idle_ms", self.idle_ms),
            ("body_ms", self.body_ms),
            ("answer_ms", self.answer_ms),
        ] {
            if !(100..=WAIT_MS_MAX).contains(&found) {
                mistakes.push(format!("connections.{key} = {found} is not between 100 and {WAIT_MS_MAX}"));
            }
        }
        mistakes
    }
}
