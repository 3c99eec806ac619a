//! What the service tells about itself: where metrics are served, how logs are written, and how often it looks at itself.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Metrics, logs and health.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
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
    /// Where metrics and traces are sent in OTLP, such as `http://127.0.0.1:4318`, or `:4317` for gRPC; empty for nowhere.
    pub otlp_endpoint: String,
    /// How they are sent.
    pub otlp_protocol: OtlpProtocol,
    /// Between two sendings of metrics, in milliseconds.
    pub otlp_interval_ms: u64,
    /// Of a thousand orders, how many are traced; the same ones by every worker.
    pub trace_permille: u64,
    /// Where the operators' page leads for an order's trace, with `{trace_id}` for its id, such as
    /// `http://127.0.0.1:16686/trace/{trace_id}`; empty for nowhere.
    pub trace_link: String,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OrderEvents {
    /// Failed payments, shortages, timeouts, refusals and undoings that fail.
    #[default]
    Failures,
    /// Every step of every order, some eight lines for each.
    All,
}

/// How metrics and traces travel to their collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum OtlpProtocol {
    /// As `OTEL_EXPORTER_OTLP_PROTOCOL` says; in JSON over HTTP if it says nothing.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// Calls over HTTP/2, with TLS if the address begins with `https://`.
    #[serde(rename = "grpc")]
    Grpc,
    /// Binary bodies over HTTP.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// JSON bodies over HTTP.
    #[serde(rename = "http/json")]
    HttpJson,
}

impl OtlpProtocol {
    /// The one of this name in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    fn named(name: &str) -> Option<Self> {
        match name {
            "grpc" => Some(Self::Grpc),
            "http/protobuf" => Some(Self::HttpProtobuf),
            "" | "http/json" => Some(Self::HttpJson),
            _ => None,
        }
    }
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
            otlp_protocol: OtlpProtocol::Auto,
            otlp_interval_ms: 60_000,
            trace_permille: 1_000,
            trace_link: String::new(),
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
        if !self.metrics_listen.is_empty() && !super::is_place_to_listen(&self.metrics_listen) {
            mistakes.push(format!(
                "telemetry.metrics_listen = '{}' is not an address; write HOST:PORT, such as 127.0.0.1:9464, or nothing",
                self.metrics_listen
            ));
        }
        mistakes.extend(self.collector_mistake());
        mistakes.extend(self.trace_link_mistake());
        if self.trace_permille > 1_000 {
            mistakes.push(format!(
                "telemetry.trace_permille = {} is more than 1000, which is all of them",
                self.trace_permille
            ));
        }
        mistakes
    }

    fn trace_link_mistake(&self) -> Option<String> {
        let link = &self.trace_link;
        let fits = ["http://", "https://"].iter().any(|scheme| link.starts_with(scheme))
            && link.contains("{trace_id}");
        (!link.is_empty() && !fits).then(|| {
            format!(
                "telemetry.trace_link = '{}' leads to no trace; write an address such as http://HOST:16686/trace/{{trace_id}}, or nothing",
                super::shown(link)
            )
        })
    }

    fn collector_mistake(&self) -> Option<String> {
        let protocol = match self.protocol() {
            Ok(protocol) => protocol,
            Err(mistake) => return Some(mistake),
        };
        let address = self.endpoint()?;
        let schemes: &[&str] = match protocol {
            OtlpProtocol::Grpc => &["http://", "https://"],
            OtlpProtocol::HttpProtobuf | OtlpProtocol::HttpJson | OtlpProtocol::Auto => &["http://"],
        };
        let fits = address.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some());
        let fits = fits && super::is_bare(&address);
        let shown = super::shown(&address);
        (!fits || !schemes.iter().any(|scheme| address.starts_with(scheme))).then(|| {
            format!(
                "telemetry.otlp_endpoint = '{shown}' is not an address; write http://HOST:PORT (with otlp_protocol = \"grpc\" also https://HOST:PORT), or nothing"
            )
        })
    }

    /// How metrics and traces are sent; never [`OtlpProtocol::Auto`].
    ///
    /// # Errors
    /// If the environment names none that there is.
    pub fn protocol(&self) -> Result<OtlpProtocol, String> {
        match self.otlp_protocol {
            OtlpProtocol::Auto => {
                let name = std::env::var("OTEL_EXPORTER_OTLP_PROTOCOL").unwrap_or_default();
                OtlpProtocol::named(&name).ok_or_else(|| {
                    format!("OTEL_EXPORTER_OTLP_PROTOCOL = '{name}' is none; write grpc, http/protobuf or http/json")
                })
            }
            known @ (OtlpProtocol::Grpc | OtlpProtocol::HttpProtobuf | OtlpProtocol::HttpJson) => Ok(known),
        }
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
