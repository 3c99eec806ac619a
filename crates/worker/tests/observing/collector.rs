//! A collector of traces and metrics that keeps what it is sent, in any of the forms of OTLP. Over gRPC it is the service that
//! OpenTelemetry's own definition generates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use orderwright::config::OtlpProtocol;
use prost::Message;
use serde_json::Value;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// What was sent, as OTLP writes it in JSON.
#[derive(Clone, Default)]
pub(crate) struct Collector {
    spans: Arc<Mutex<Vec<Value>>>,
    metrics: Arc<Mutex<BTreeSet<String>>>,
}

impl Collector {
    /// Listens, and says where.
    pub(crate) async fn start(&self, protocol: OtlpProtocol) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        match protocol {
            OtlpProtocol::Grpc => self.call_me(listener),
            OtlpProtocol::HttpProtobuf => self.post_me(listener, from_protobuf),
            OtlpProtocol::HttpJson | OtlpProtocol::Auto => self.post_me(listener, from_json),
        }
        format!("http://{addr}")
    }

    fn call_me(&self, listener: TcpListener) {
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .add_service(MetricsServiceServer::new(self.clone()));
        tokio::spawn(async move { server.serve_with_incoming(TcpIncoming::from(listener)).await });
    }

    fn post_me(&self, listener: TcpListener, read: fn(Signal, &[u8]) -> Value) {
        let (of_traces, of_metrics) = (self.clone(), self.clone());
        let traces = move |body: Bytes| async move {
            of_traces.keep_spans(&read(Signal::Traces, &body));
            Json(Value::Null)
        };
        let metrics = move |body: Bytes| async move {
            of_metrics.keep_metrics(&read(Signal::Metrics, &body));
            Json(Value::Null)
        };
        let router = Router::new().route("/v1/traces", post(traces)).route("/v1/metrics", post(metrics));
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    fn keep_spans(&self, body: &Value) {
        let mut all = self.spans.lock().expect("nobody panics with it");
        all.extend(within(body, ["resourceSpans", "scopeSpans", "spans"]));
    }

    fn keep_metrics(&self, body: &Value) {
        let mut all = self.metrics.lock().expect("nobody panics with it");
        let told = within(body, ["resourceMetrics", "scopeMetrics", "metrics"]);
        all.extend(told.iter().filter_map(|metric| metric["name"].as_str().map(str::to_owned)));
    }

    /// Every span that came.
    pub(crate) fn spans(&self) -> Vec<Value> {
        self.spans.lock().expect("nobody panics with it").clone()
    }

    /// The names of the metrics that came.
    pub(crate) fn metrics(&self) -> BTreeSet<String> {
        self.metrics.lock().expect("nobody panics with it").clone()
    }

    /// The spans of an order, by their ids.
    pub(crate) fn of(&self, order_id: &str) -> BTreeMap<String, Value> {
        let trace = order_id.replace('-', "");
        let own = self.spans().into_iter().filter(|span| span["traceId"] == trace.as_str());
        own.map(|span| (text(&span["spanId"]), span)).collect()
    }

    /// What was done to an order.
    pub(crate) fn names(&self, order_id: &str) -> BTreeSet<String> {
        self.of(order_id).values().map(|span| text(&span["name"])).collect()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.keep_spans(&shown(request.get_ref()));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.keep_metrics(&shown(request.get_ref()));
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[derive(Clone, Copy)]
enum Signal {
    Traces,
    Metrics,
}

fn from_json(_: Signal, body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

fn from_protobuf(signal: Signal, body: &[u8]) -> Value {
    match signal {
        Signal::Traces => shown(&ExportTraceServiceRequest::decode(body).expect("a message of spans")),
        Signal::Metrics => shown(&ExportMetricsServiceRequest::decode(body).expect("a message of metrics")),
    }
}

fn shown(message: &impl serde::Serialize) -> Value {
    serde_json::to_value(message).expect("JSON")
}

fn within(body: &Value, path: [&str; 3]) -> Vec<Value> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let scopes = list(body, path[0]).into_iter().flat_map(|resource| list(&resource, path[1]));
    scopes.flat_map(|scope| list(&scope, path[2])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
