//! Sends what was observed to a collector: spans as they come, some hundreds at once, and all metrics from time to time.
//! One request is under way at most; what it cannot deliver is dropped and counted, and told once.

use std::sync::Arc;
use std::time::Duration;

use bus::{Clock, Stop};
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use super::collector::Collector;
use super::message::{Period, Teller};
use super::span::Span;
use crate::metrics::{Metric, Registry};

/// Spans in one request.
const SPANS_MAX: usize = 512;

/// How long spans may wait for others.
const GATHER: Duration = Duration::from_millis(500);

/// Sends to one collector.
pub struct Exporter {
    collector: Collector,
    teller: Teller,
    spans: Mutex<mpsc::Receiver<Span>>,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    since_ns: i64,
    every: Duration,
}

/// Whether the collector took what was sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Takes,
    Refuses,
}

impl Exporter {
    /// Its name.
    pub const NAME: &'static str = "telemetry-export-service";

    /// Sends to `collector`, metrics `every` so often.
    #[must_use]
    pub fn new(
        collector: Collector,
        instance: &str,
        spans: mpsc::Receiver<Span>,
        registry: Arc<Registry>,
        clock: Arc<dyn Clock>,
        every: Duration,
    ) -> Self {
        let since_ns = nanos(clock.as_ref());
        let teller = Teller::of_process(instance);
        Self { collector, teller, spans: Mutex::new(spans), registry, clock, since_ns, every }
    }

    /// Runs until stopped; sends what it has by then.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let mut spans = self.spans.lock().await;
        let mut mood = Mood::Takes;
        let mut metrics_due = Instant::now() + self.every;
        while !stop.is_stopped() {
            let mut batch = Vec::with_capacity(SPANS_MAX);
            let gathered = async { gather(&mut spans, &mut batch).await };
            tokio::select! {
                () = gathered => {}
                () = tokio::time::sleep_until(metrics_due) => {}
                () = stop.stopped() => {}
            }
            self.send_spans(&batch, &mut mood).await;
            if metrics_due <= Instant::now() {
                metrics_due = Instant::now() + self.every;
                self.send_metrics(&mut mood).await;
            }
        }
        let mut rest = Vec::new();
        while rest.len() < SPANS_MAX {
            let Ok(span) = spans.try_recv() else { break };
            rest.push(span);
        }
        self.send_spans(&rest, &mut mood).await;
        self.send_metrics(&mut mood).await;
    }

    async fn send_spans(&self, spans: &[Span], mood: &mut Mood) {
        if spans.is_empty() {
            return;
        }
        let sent = self.collector.take_spans(self.teller.of_spans(spans)).await;
        if sent.is_err() {
            self.registry.add(Metric::TelemetryDropped, &["spans"], spans.len() as u64);
        }
        tell(mood, sent);
    }

    async fn send_metrics(&self, mood: &mut Mood) {
        let readings = self.registry.read();
        let period = Period { since_ns: self.since_ns, now_ns: nanos(self.clock.as_ref()) };
        let sent = self.collector.take_metrics(self.teller.of_metrics(&readings, period)).await;
        if sent.is_err() {
            self.registry.add(Metric::TelemetryDropped, &["metrics"], 1);
        }
        tell(mood, sent);
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
fn tell(mood: &mut Mood, sent: Result<(), String>) {
    match (*mood, sent) {
        (Mood::Takes, Ok(())) | (Mood::Refuses, Err(_)) => {}
        (Mood::Takes, Err(why)) => {
            tracing::warn!(why, "the collector of traces and metrics takes nothing; they are dropped");
            *mood = Mood::Refuses;
        }
        (Mood::Refuses, Ok(())) => {
            tracing::info!("the collector of traces and metrics takes them again");
            *mood = Mood::Takes;
        }
    }
}

fn nanos(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.now().as_nanosecond()).unwrap_or(i64::MAX)
}
