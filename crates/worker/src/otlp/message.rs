//! Spans and metrics as the messages of OTLP. How those are written, and to whom, is none of its business.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind as Kind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::span::{Span as Seen, SpanKind, SpanValue};
use crate::metrics::{Definition, Kind as MetricKind, Reading};

/// The instrumentation scope of everything sent.
const SCOPE: &str = "orderwright";

/// Whose spans and metrics these are.
pub(super) struct Teller(Resource);

/// From when until when something was counted, in nanoseconds since the epoch.
#[derive(Clone, Copy)]
pub(super) struct Period {
    pub(super) since_ns: i64,
    pub(super) now_ns: i64,
}

impl Teller {
    /// This process.
    pub(super) fn of_process(instance: &str) -> Self {
        let attributes = vec![
            attribute("service.name", &SpanValue::from("orderwright")),
            attribute("service.version", &SpanValue::from(env!("CARGO_PKG_VERSION"))),
            attribute("service.instance.id", &SpanValue::from(instance)),
        ];
        Self(Resource { attributes, ..Resource::default() })
    }

    /// A request with these spans.
    pub(super) fn of_spans(&self, spans: &[Seen]) -> ExportTraceServiceRequest {
        let spans = spans.iter().map(span).collect();
        let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }];
        let told = ResourceSpans { resource: Some(self.0.clone()), scope_spans, ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![told] }
    }

    /// A request with all metrics.
    pub(super) fn of_metrics(
        &self,
        metrics: &[(&'static Definition, Vec<Reading>)],
        period: Period,
    ) -> ExportMetricsServiceRequest {
        let told = metrics.iter().filter(|(_, readings)| !readings.is_empty());
        let metrics = told.map(|(definition, readings)| metric(definition, readings, period)).collect();
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() }];
        let told =
            ResourceMetrics { resource: Some(self.0.clone()), scope_metrics, ..ResourceMetrics::default() };
        ExportMetricsServiceRequest { resource_metrics: vec![told] }
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope { name: SCOPE.to_owned(), ..InstrumentationScope::default() }
}

fn span(span: &Seen) -> Span {
    let link =
        |(trace, id): &_| Link { trace_id: trace_bytes(trace), span_id: span_bytes(id), ..Link::default() };
    Span {
        trace_id: span.trace.to_vec(),
        span_id: span.id.to_vec(),
        parent_span_id: span.parent.map(|parent| parent.to_vec()).unwrap_or_default(),
        name: span.name.clone(),
        kind: kind(span.kind) as i32,
        start_time_unix_nano: moment(span.began_ns),
        end_time_unix_nano: moment(span.ended_ns),
        attributes: span.attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        links: span.links.iter().map(link).collect(),
        status: span.error.map(|error| Status { code: StatusCode::Error as i32, message: error.to_owned() }),
        ..Span::default()
    }
}

fn trace_bytes(trace: &super::TraceId) -> Vec<u8> {
    trace.to_vec()
}

fn span_bytes(span: &super::SpanId) -> Vec<u8> {
    span.to_vec()
}

const fn kind(kind: SpanKind) -> Kind {
    match kind {
        SpanKind::Internal => Kind::Internal,
        SpanKind::Server => Kind::Server,
        SpanKind::Client => Kind::Client,
        SpanKind::Consumer => Kind::Consumer,
    }
}

fn attribute(name: &str, value: &SpanValue) -> KeyValue {
    let text = |text: &String| Value::StringValue(text.clone());
    let value = match value {
        SpanValue::Text(one) => text(one),
        SpanValue::Integer(number) => Value::IntValue(*number),
        SpanValue::Texts(texts) => {
            let values = texts.iter().map(|one| AnyValue { value: Some(text(one)) }).collect();
            Value::ArrayValue(ArrayValue { values })
        }
    };
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn metric(definition: &Definition, readings: &[Reading], period: Period) -> Metric {
    let numbers = || readings.iter().map(|reading| number(definition, reading, period)).collect();
    let aggregation_temporality = AggregationTemporality::Cumulative as i32;
    let data = match definition.kind {
        MetricKind::Counter => {
            Data::Sum(Sum { data_points: numbers(), aggregation_temporality, is_monotonic: true })
        }
        MetricKind::Gauge => Data::Gauge(Gauge { data_points: numbers() }),
        MetricKind::Histogram(bounds) => {
            let spread = |reading| histogram(definition, reading, bounds, period);
            let data_points = readings.iter().map(spread).collect();
            Data::Histogram(Histogram { data_points, aggregation_temporality })
        }
    };
    Metric {
        name: definition.name.to_owned(),
        description: definition.full_help(),
        unit: definition.otel_unit().to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(definition: &Definition, reading: &Reading, period: Period) -> NumberDataPoint {
    NumberDataPoint {
        attributes: labels(definition, reading),
        start_time_unix_nano: moment(period.since_ns),
        time_unix_nano: moment(period.now_ns),
        value: Some(Number::AsDouble(reading.value)),
        ..NumberDataPoint::default()
    }
}

fn histogram(
    definition: &Definition,
    reading: &Reading,
    bounds: &[f64],
    period: Period,
) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: labels(definition, reading),
        start_time_unix_nano: moment(period.since_ns),
        time_unix_nano: moment(period.now_ns),
        count: reading.buckets.iter().sum(),
        sum: Some(reading.value),
        bucket_counts: reading.buckets.clone(),
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn labels(definition: &Definition, reading: &Reading) -> Vec<KeyValue> {
    let named = definition.labels.iter().zip(&reading.labels);
    named.map(|(name, value)| attribute(name, &SpanValue::from(value.as_str()))).collect()
}

/// Nothing happens before the epoch.
fn moment(ns: i64) -> u64 {
    u64::try_from(ns).unwrap_or_default()
}
