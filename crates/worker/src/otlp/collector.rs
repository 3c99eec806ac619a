//! The collector of traces and metrics, and its protocol: gRPC, or HTTP with protobuf or JSON bodies. One call is one
//! attempt; the caller decides about retries.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use serde::Serialize;
use tokio::time::timeout;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use crate::config::OtlpProtocol;

/// How long one request may take.
const REQUEST_MAX: Duration = Duration::from_secs(5);

/// A collector.
pub enum Collector {
    /// Takes bodies by POST.
    Http(Box<HttpCollector>),
    /// Is called.
    Grpc(Channel),
}

/// One that takes bodies by POST.
pub struct HttpCollector {
    endpoint: String,
    form: Form,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// How bodies are written.
#[derive(Clone, Copy)]
enum Form {
    Json,
    Protobuf,
}

impl Collector {
    /// The one at this address, connected when something is sent. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If that is no address.
    pub fn at(endpoint: &str, protocol: OtlpProtocol) -> Result<Self> {
        match protocol {
            OtlpProtocol::Grpc => Ok(Self::Grpc(channel(endpoint)?)),
            OtlpProtocol::HttpProtobuf => Ok(Self::over_http(endpoint, Form::Protobuf)),
            OtlpProtocol::HttpJson | OtlpProtocol::Auto => Ok(Self::over_http(endpoint, Form::Json)),
        }
    }

    fn over_http(endpoint: &str, form: Form) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self::Http(Box::new(HttpCollector { endpoint: endpoint.to_owned(), form, client }))
    }

    /// Tells it of spans.
    pub(super) async fn take_spans(&self, spans: ExportTraceServiceRequest) -> Result<(), String> {
        in_time(async {
            match self {
                Self::Http(http) => http.post("/v1/traces", &spans).await,
                Self::Grpc(channel) => {
                    let told = TraceServiceClient::new(channel.clone()).export(spans).await;
                    told.map(drop).map_err(|status| said(&status))
                }
            }
        })
        .await
    }

    /// Tells it of metrics.
    pub(super) async fn take_metrics(&self, metrics: ExportMetricsServiceRequest) -> Result<(), String> {
        in_time(async {
            match self {
                Self::Http(http) => http.post("/v1/metrics", &metrics).await,
                Self::Grpc(channel) => {
                    let told = MetricsServiceClient::new(channel.clone()).export(metrics).await;
                    told.map(drop).map_err(|status| said(&status))
                }
            }
        })
        .await
    }
}

impl HttpCollector {
    async fn post<M: Message + Serialize>(&self, path: &str, message: &M) -> Result<(), String> {
        let (kind, body) = match self.form {
            Form::Protobuf => ("application/x-protobuf", message.encode_to_vec()),
            Form::Json => {
                ("application/json", serde_json::to_vec(message).map_err(|error| error.to_string())?)
            }
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.endpoint))
            .header(CONTENT_TYPE, kind)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let status = self.client.request(request).await.map_err(|error| error.to_string())?.status();
        if status.is_success() { Ok(()) } else { Err(format!("it answers {status}")) }
    }
}

/// A connection that is made when it is first used, and made anew when it broke.
fn channel(address: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .with_context(|| format!("telemetry.otlp_endpoint = '{address}' is no address"))?
        .connect_timeout(REQUEST_MAX)
        .timeout(REQUEST_MAX);
    let endpoint = if address.starts_with("https://") {
        let tls = ClientTlsConfig::new().with_native_roots();
        endpoint.tls_config(tls).context("TLS to the collector cannot be set up")?
    } else {
        endpoint
    };
    Ok(endpoint.connect_lazy())
}

fn said(status: &tonic::Status) -> String {
    format!("it answers {:?}: {}", status.code(), status.message())
}

async fn in_time(sending: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    timeout(REQUEST_MAX, sending).await.unwrap_or_else(|_| Err(format!("no answer within {REQUEST_MAX:?}")))
}
