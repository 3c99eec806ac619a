//! Traces and metrics in OTLP, over gRPC or HTTP, to a collector. Without a collector none of this runs. The work
//! must never wait for it: what cannot be sent in time is dropped, and counted.

mod collector;
mod export;
mod message;
mod span;

use std::sync::Arc;

use tokio::sync::mpsc;
use uuid::Uuid;

use crate::metrics::{Metric, Registry};

pub use collector::{Collector, HttpCollector};
pub use export::Exporter;
pub use span::{
    Span, SpanId, SpanKind, SpanValue, TraceId, message_span, order_span, parent_of, parse, traceparent,
    whole,
};

/// Spans that wait to be sent; what comes beyond is dropped.
const WAITING_MAX: usize = 16_384;

/// Takes spans. Clones share everything.
#[derive(Clone)]
pub struct Tracer {
    sink: mpsc::Sender<Span>,
    permille: u64,
    registry: Arc<Registry>,
}

impl Tracer {
    /// A tracer for this many of a thousand orders, and the receiver of its spans.
    #[must_use]
    pub fn new(permille: u64, registry: Arc<Registry>) -> (Self, mpsc::Receiver<Span>) {
        let (sink, spans) = mpsc::channel(WAITING_MAX);
        (Self { sink, permille, registry }, spans)
    }

    /// Whether this order is traced. Every worker says the same.
    #[must_use]
    pub fn wants(&self, order_id: Uuid) -> bool {
        (order_id.as_u128() as u64) % 1_000 < self.permille
    }

    /// A span has ended.
    pub fn ended(&self, span: Span) {
        if self.sink.try_send(span).is_err() {
            self.registry.add(Metric::TelemetryDropped, &["spans"], 1);
        }
    }
}
