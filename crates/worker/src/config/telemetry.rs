//! What the service tells about itself: where metrics are served, how logs are written, and how often it looks at itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Metrics, logs and health.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Address of a listener of its own for `/metrics` and health; empty for the API's.
    pub metrics_listen: String,
    /// How logs are written.
    pub log_format: LogFormat,
    /// Which events of orders are logged.
    pub order_events: OrderEvents,
    /// A step or call that takes this long is logged as slow, in milliseconds.
    pub slow_ms: u64,
    /// Between two readings of the gauges that come from the store, in milliseconds.
    pub collect_ms: u64,
    /// Between two rounds of health checks, in milliseconds.
    pub check_ms: u64,
    /// How long one health check may take, in milliseconds.
    pub check_limit_ms: u64,
    /// Between two checks of the whole books, in milliseconds.
    pub books_check_ms: u64,
    /// How long the oldest message of a queue may stand still before its consumer counts as stuck, in milliseconds.
    pub stall_ms: u64,
    /// Where metrics and traces are sent in OTLP over HTTP, such as `http://127.0.0.1:4318`; empty for nowhere.
    pub otlp_endpoint: String,
    /// Between two sendings of metrics, in milliseconds.
    pub otlp_interval_ms: u64,
    /// Of a thousand orders, how many are traced; the same ones by every worker.
    pub trace_permille: u64,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people on a terminal, as JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// Which events of orders are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderEvents {
    /// Failed payments, shortages, timeouts, refusals and undoings that fail.
    #[default]
    Failures,
    /// Every step of every order, some eight lines for each.
    All,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            metrics_listen: String::new(),
            log_format: LogFormat::Auto,
            order_events: OrderEvents::Failures,
            slow_ms: 1_000,
            collect_ms: 10_000,
            check_ms: 5_000,
            check_limit_ms: 2_000,
            books_check_ms: 300_000,
            stall_ms: 30_000,
            otlp_endpoint: String::new(),
            otlp_interval_ms: 60_000,
            trace_permille: 1_000,
        }
    }
}

impl Telemetry {
    /// The settings that are too small if they are below a least value: name, value, least.
    pub(super) const fn numbers(&self) -> [(&'static str, u64, u64); 7] {
        [
            ("telemetry.slow_ms", self.slow_ms, 1),
            ("telemetry.collect_ms", self.collect_ms, 100),
            ("telemetry.check_ms", self.check_ms, 100),
            ("telemetry.check_limit_ms", self.check_limit_ms, 10),
            ("telemetry.books_check_ms", self.books_check_ms, 100),
            ("telemetry.stall_ms", self.stall_ms, 100),
            ("telemetry.otlp_interval_ms", self.otlp_interval_ms, 100),
        ]
    }

    /// Values that cannot work, each with what would.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if !self.metrics_listen.is_empty() && self.metrics_listen.parse::<std::net::SocketAddr>().is_err() {
            mistakes.push(format!(
                "telemetry.metrics_listen = '{}' is not an address; write IP:PORT, such as 127.0.0.1:9464, or nothing",
                self.metrics_listen
            ));
        }
        if !self.otlp_endpoint.is_empty() && !self.otlp_endpoint.starts_with("http://") {
            mistakes.push(format!(
                "telemetry.otlp_endpoint = '{}' is not an address; write http://HOST:PORT, or nothing",
                self.otlp_endpoint
            ));
        }
        if self.trace_permille > 1_000 {
            mistakes.push(format!(
                "telemetry.trace_permille = {} is more than 1000, which is all of them",
                self.trace_permille
            ));
        }
        mistakes
    }

    /// Where metrics and traces are sent, if anywhere: the file goes before the environment's usual name for it.
    #[must_use]
    pub fn endpoint(&self) -> Option<String> {
        let named = [self.otlp_endpoint.clone()];
        let usual = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok();
        let found = named.into_iter().chain(usual).find(|endpoint| !endpoint.is_empty())?;
        Some(found.trim_end_matches('/').to_owned())
    }

    /// From how long on something counts as slow.
    #[must_use]
    pub const fn slow(&self) -> Duration {
        Duration::from_millis(self.slow_ms)
    }
}
