//! Sends what was observed to a collector: spans as they come, some hundreds at once, and all metrics from time to time.
//! One request is under way at most; what it cannot deliver is dropped and counted, and told once.

use std::sync::Arc;
use std::time::Duration;

use bus::{Clock, Stop};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, timeout};

use super::span::Span;
use super::wire::Resource;
use crate::metrics::{Metric, Registry};

/// Spans in one request.
const SPANS_MAX: usize = 512;

/// How long spans may wait for others.
const GATHER: Duration = Duration::from_millis(500);

/// How long one request may take.
const REQUEST_MAX: Duration = Duration::from_secs(5);

/// Sends to one collector.
pub struct Exporter {
    endpoint: String,
    client: Client<HttpConnector, Full<Bytes>>,
    resource: Resource,
    spans: Mutex<mpsc::Receiver<Span>>,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    since_ns: i64,
    every: Duration,
}

/// Whether the collector took what was sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Collector {
    Takes,
    Refuses,
}

impl Exporter {
    /// Its name.
    pub const NAME: &'static str = "telemetry-export-service";

    /// Sends to `endpoint`, metrics `every` so often.
    #[must_use]
    pub fn new(
        endpoint: String,
        instance: &str,
        spans: mpsc::Receiver<Span>,
        registry: Arc<Registry>,
        clock: Arc<dyn Clock>,
        every: Duration,
    ) -> Self {
        let since_ns = nanos(clock.as_ref());
        let client = Client::builder(TokioExecutor::new()).build_http();
        let resource = Resource::of_process(instance);
        Self { endpoint, client, resource, spans: Mutex::new(spans), registry, clock, since_ns, every }
    }

    /// Runs until stopped; sends what it has by then.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let mut spans = self.spans.lock().await;
        let mut collector = Collector::Takes;
        let mut metrics_due = Instant::now() + self.every;
        while !stop.is_stopped() {
            let mut batch = Vec::with_capacity(SPANS_MAX);
            let gathered = async { gather(&mut spans, &mut batch).await };
            tokio::select! {
                () = gathered => {}
                () = tokio::time::sleep_until(metrics_due) => {}
                () = stop.stopped() => {}
            }
            self.send_spans(&batch, &mut collector).await;
            if metrics_due <= Instant::now() {
                metrics_due = Instant::now() + self.every;
                self.send_metrics(&mut collector).await;
            }
        }
        let mut rest = Vec::new();
        while rest.len() < SPANS_MAX {
            let Ok(span) = spans.try_recv() else { break };
            rest.push(span);
        }
        self.send_spans(&rest, &mut collector).await;
        self.send_metrics(&mut collector).await;
    }

    async fn send_spans(&self, spans: &[Span], collector: &mut Collector) {
        if spans.is_empty() {
            return;
        }
        let sent = self.post("/v1/traces", &self.resource.of_spans(spans)).await;
        if sent.is_err() {
            self.registry.add(Metric::TelemetryDropped, &["spans"], spans.len() as u64);
        }
        tell(collector, sent);
    }

    async fn send_metrics(&self, collector: &mut Collector) {
        let readings = self.registry.read();
        let now_ns = nanos(self.clock.as_ref());
        let sent =
            self.post("/v1/metrics", &self.resource.of_metrics(&readings, self.since_ns, now_ns)).await;
        if sent.is_err() {
            self.registry.add(Metric::TelemetryDropped, &["metrics"], 1);
        }
        tell(collector, sent);
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(), String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.endpoint))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|error| error.to_string())?;
        let answer = timeout(REQUEST_MAX, self.client.request(request)).await;
        let answer = answer.map_err(|_| format!("no answer within {REQUEST_MAX:?}"))?;
        let status = answer.map_err(|error| error.to_string())?.status();
        if status.is_success() { Ok(()) } else { Err(format!("it answers {status}")) }
    }
}

/// Waits for a span, then for others to join it.
async fn gather(spans: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) {
    let Some(first) = spans.recv().await else { return std::future::pending().await };
    batch.push(first);
    let until = Instant::now() + GATHER;
    while batch.len() < SPANS_MAX {
        let room = SPANS_MAX - batch.len();
        let Ok(1..) = tokio::time::timeout_at(until, spans.recv_many(batch, room)).await else { return };
    }
}

/// Logs when the collector begins to refuse, and when it takes again.
fn tell(collector: &mut Collector, sent: Result<(), String>) {
    match (*collector, sent) {
        (Collector::Takes, Ok(())) | (Collector::Refuses, Err(_)) => {}
        (Collector::Takes, Err(why)) => {
            tracing::warn!(why, "the collector of traces and metrics takes nothing; they are dropped");
            *collector = Collector::Refuses;
        }
        (Collector::Refuses, Ok(())) => {
            tracing::info!("the collector of traces and metrics takes them again");
            *collector = Collector::Takes;
        }
    }
}

fn nanos(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.now().as_nanosecond()).unwrap_or(i64::MAX)
}
