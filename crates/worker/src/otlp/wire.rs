//! Spans and metrics as OTLP writes them in JSON: ids in hex, 64-bit numbers as texts.

use serde_json::{Value, json};

use super::span::{Span, SpanKind, SpanValue, hex};
use crate::metrics::{Definition, Kind, Reading};

/// The scope under which everything is told.
const SCOPE: &str = "orderwright";

/// Whose spans and metrics these are.
pub(super) struct Resource(Value);

impl Resource {
    /// This process.
    pub(super) fn of_process(instance: &str) -> Self {
        Self(json!({"attributes": [
            attribute("service.name", &SpanValue::from("orderwright")),
            attribute("service.version", &SpanValue::from(env!("CARGO_PKG_VERSION"))),
            attribute("service.instance.id", &SpanValue::from(instance)),
        ]}))
    }

    /// The body of a request that tells of these spans.
    pub(super) fn of_spans(&self, spans: &[Span]) -> Value {
        let spans: Vec<Value> = spans.iter().map(span).collect();
        json!({"resourceSpans": [{
            "resource": self.0,
            "scopeSpans": [{"scope": {"name": SCOPE}, "spans": spans}],
        }]})
    }

    /// The body of a request that tells of all metrics, counted since `since_ns`.
    pub(super) fn of_metrics(
        &self,
        metrics: &[(&'static Definition, Vec<Reading>)],
        since_ns: i64,
        now_ns: i64,
    ) -> Value {
        let told = metrics.iter().filter(|(_, readings)| !readings.is_empty());
        let metrics: Vec<Value> =
            told.map(|(definition, readings)| metric(definition, readings, since_ns, now_ns)).collect();
        json!({"resourceMetrics": [{
            "resource": self.0,
            "scopeMetrics": [{"scope": {"name": SCOPE}, "metrics": metrics}],
        }]})
    }
}

fn span(span: &Span) -> Value {
    let links: Vec<Value> =
        span.links.iter().map(|(trace, id)| json!({"traceId": hex(trace), "spanId": hex(id)})).collect();
    let attributes: Vec<Value> = span.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    let status = span.error.map_or_else(|| json!({}), |error| json!({"code": 2, "message": error}));
    json!({
        "traceId": hex(&span.trace),
        "spanId": hex(&span.id),
        "parentSpanId": span.parent.map(|parent| hex(&parent)).unwrap_or_default(),
        "name": span.name,
        "kind": match span.kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
            SpanKind::Consumer => 5,
        },
        "startTimeUnixNano": span.began_ns.to_string(),
        "endTimeUnixNano": span.ended_ns.to_string(),
        "attributes": attributes,
        "links": links,
        "status": status,
    })
}

fn attribute(name: &str, value: &SpanValue) -> Value {
    let value = match value {
        SpanValue::Text(text) => json!({"stringValue": text}),
        SpanValue::Integer(number) => json!({"intValue": number.to_string()}),
        SpanValue::Texts(texts) => {
            let texts: Vec<Value> = texts.iter().map(|text| json!({"stringValue": text})).collect();
            json!({"arrayValue": {"values": texts}})
        }
    };
    json!({"key": name, "value": value})
}

fn metric(definition: &Definition, readings: &[Reading], since_ns: i64, now_ns: i64) -> Value {
    let points: Vec<Value> = readings
        .iter()
        .map(|reading| {
            let labels = definition.labels.iter().zip(&reading.labels);
            let attributes: Vec<Value> =
                labels.map(|(name, value)| attribute(name, &SpanValue::from(value.as_str()))).collect();
            let mut point = match definition.kind {
                Kind::Counter | Kind::Gauge => json!({"asDouble": reading.value}),
                Kind::Histogram(bounds) => json!({
                    "count": reading.buckets.iter().sum::<u64>().to_string(),
                    "sum": reading.value,
                    "bucketCounts": reading.buckets.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "explicitBounds": bounds,
                }),
            };
            point["attributes"] = attributes.into();
            point["startTimeUnixNano"] = since_ns.to_string().into();
            point["timeUnixNano"] = now_ns.to_string().into();
            point
        })
        .collect();
    let mut metric = json!({
        "name": definition.name,
        "unit": definition.otel_unit(),
        "description": definition.full_help(),
    });
    /// Counted since the start of the process.
    const CUMULATIVE: u8 = 2;
    match definition.kind {
        Kind::Counter => {
            metric["sum"] =
                json!({"aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points});
        }
        Kind::Gauge => metric["gauge"] = json!({"dataPoints": points}),
        Kind::Histogram(_) => {
            metric["histogram"] = json!({"aggregationTemporality": CUMULATIVE, "dataPoints": points});
        }
    }
    metric
}
