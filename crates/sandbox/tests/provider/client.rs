//! A plain HTTP client and a sandbox to point it at. It never retries: tests want to see what happened.

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use orderwright_sandbox::{FaultSettings, Faults, Running, Sandbox, Settings};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    http: HyperClient<HttpConnector, Full<Bytes>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: HeaderMap,
}

/// The connection ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoAnswer;

pub(crate) async fn sandbox(settings: Settings) -> (Running, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let running = Sandbox::start(listener, settings).expect("a sandbox");
    let client = Client::http1(&format!("http://{}", running.addr));
    (running, client)
}

pub(crate) async fn perfect() -> (Running, Client) {
    sandbox(Settings { delivery_delay_ms: (600_000, 600_000), ..Settings::default() }).await
}

pub(crate) fn payment_faults(payments: Faults) -> Settings {
    Settings { faults: FaultSettings { payments, ..FaultSettings::default() }, ..Settings::default() }
}

pub(crate) fn charge_of(reference: &str) -> Value {
    json!({"reference": reference, "amount_minor": 1250, "currency": "USD", "capture": true})
}

pub(crate) fn charge_with(reference: &str, token: &str) -> Value {
    let mut body = charge_of(reference);
    body["payment_token"] = token.into();
    body
}

impl Client {
    pub(crate) fn http1(base: &str) -> Self {
        let http = HyperClient::builder(TokioExecutor::new())
            .retry_canceled_requests(false)
            .build(HttpConnector::new());
        Self { base: base.to_owned(), http }
    }

    pub(crate) fn http2(base: &str) -> Self {
        let http = HyperClient::builder(TokioExecutor::new())
            .http2_only(true)
            .retry_canceled_requests(false)
            .build(HttpConnector::new());
        Self { base: base.to_owned(), http }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: String,
    ) -> Result<Answer, NoAnswer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::from(body)).expect("a request");
        let (head, body) = self.http.request(request).await.map_err(|_| NoAnswer)?.into_parts();
        let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
        let body = serde_json::from_slice(&body).expect("a JSON body");
        Ok(Answer { status: head.status.as_u16(), body, headers: head.headers })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, String::new()).await.expect("an answer")
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(key), body.to_string()).await.expect("an answer")
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, None, body.to_string()).await.expect("an answer")
    }

    pub(crate) async fn charge(&self, key: &str, body: Value) -> Answer {
        self.post("/payments/charges", key, body).await
    }

    pub(crate) async fn try_charge(&self, key: &str, body: Value) -> Result<Answer, NoAnswer> {
        self.send(Method::POST, "/payments/charges", Some(key), body.to_string()).await
    }

    pub(crate) async fn charge_by_key(&self, key: &str) -> Answer {
        self.get(&format!("/payments/charges/by-key/{key}")).await
    }

    pub(crate) async fn cancel_charge(&self, key: &str) -> Answer {
        self.post(&format!("/payments/charges/by-key/{key}/cancel"), key, Value::Null).await
    }

    pub(crate) async fn book(&self, key: &str, reference: &str) -> Answer {
        self.post("/shipments", key, json!({"reference": reference, "address": {"line1": "Main Street 1"}}))
            .await
    }

    pub(crate) async fn cancel_shipment(&self, key: &str) -> Answer {
        self.post(&format!("/shipments/by-key/{key}/cancel"), key, Value::Null).await
    }
}

impl Answer {
    pub(crate) fn brief(&self) -> (u16, &str) {
        let word = ["code", "outcome", "status"].iter().find_map(|name| self.body[name].as_str());
        (self.status, word.unwrap_or(""))
    }
}
