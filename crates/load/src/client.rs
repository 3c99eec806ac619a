//! The HTTP client of clients and provider: one request at a time, on a connection of its own or on one that is kept.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::header::RETRY_AFTER;
use hyper::http::request::Builder;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Longest wait for an answer on a connection of its own.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Entries of the provider's listings asked for at once.
const PAGE: usize = 10_000;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// Whether it says when to come again.
    pub(crate) has_retry_after: bool,
    pub(crate) body: Bytes,
}

impl Reply {
    /// Reads an answer to its end, so that its connection stays usable.
    pub(crate) async fn read(response: Response<Incoming>) -> Result<Self> {
        let (status, has_retry_after) = (response.status(), response.headers().contains_key(RETRY_AFTER));
        Ok(Self { status, has_retry_after, body: response.into_body().collect().await?.to_bytes() })
    }

    /// Its JSON; null for an empty body.
    pub(crate) fn json(&self) -> Result<Value> {
        if self.body.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&self.body)?) }
    }
}

/// The head of a request that sends JSON.
pub(crate) fn request(method: Method, target: &str) -> Builder {
    Request::builder().method(method).uri(target).header("content-type", "application/json")
}

#[derive(Clone, Debug)]
pub(crate) struct Client {
    authority: String,
}

/// A connection for one request after the other.
pub(crate) struct Connection {
    authority: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(crate) fn new(authority: &str) -> Self {
        Self { authority: authority.to_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.succeed(Method::GET, path, Bytes::new()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.succeed(Method::PUT, path, Bytes::from(body.to_string())).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.succeed(Method::POST, path, Bytes::from(body.to_string())).await
    }

    /// Every entry of a listing of the provider.
    pub(crate) async fn listing(&self, path: &str) -> Result<Vec<Value>> {
        let (mut items, mut after) = (Vec::new(), 0);
        loop {
            let page = self.get(&format!("{path}?after={after}&limit={PAGE}")).await?;
            items.extend(page["items"].as_array().cloned().context("a listing has items")?);
            match page["next"].as_u64() {
                Some(next) => after = next,
                None => return Ok(items),
            }
        }
    }

    /// One request on a connection of its own. An error means that the caller cannot know whether it was carried out.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<Reply> {
        let exchange = async { self.connect().await?.call(method, path, key, body).await };
        tokio::time::timeout(ANSWER_LIMIT, exchange).await?
    }

    pub(crate) async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(&self.authority)
            .await
            .with_context(|| format!("cannot reach {}", self.authority))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection { authority: self.authority.clone(), sender })
    }

    async fn succeed(&self, method: Method, path: &str, body: Bytes) -> Result<Value> {
        let reply = self.call(method.clone(), path, None, body).await?;
        let text = String::from_utf8_lossy(&reply.body);
        ensure!(reply.status.is_success(), "{method} {path} answered {}: {text}", reply.status);
        reply.json()
    }
}

impl Connection {
    /// The body of an answer that goes on for as long as somebody reads it.
    pub(crate) async fn open(&mut self, path: &str) -> Result<Incoming> {
        let request = request(Method::GET, path).header("host", &self.authority).body(Full::default())?;
        let response = self.sender.send_request(request).await?;
        ensure!(response.status().is_success(), "{path} answered {}", response.status());
        Ok(response.into_body())
    }

    /// One request; `key` is its idempotency key.
    pub(crate) async fn call(
        &mut self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<Reply> {
        let mut request = request(method, path).header("host", &self.authority);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.sender.ready().await.context("the connection was closed")?;
        Reply::read(self.sender.send_request(request.body(Full::new(body))?).await?).await
    }
}
