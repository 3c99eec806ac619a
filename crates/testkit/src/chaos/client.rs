//! The simplest HTTP client that works while the other side comes and goes: a connection for each request, JSON in and out.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// No answer within this is no answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// There was no answer in time.
#[derive(Debug)]
pub(super) struct NoAnswer;

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no answer in time")
    }
}

impl std::error::Error for NoAnswer {}

/// A client of one address.
#[derive(Clone)]
pub(super) struct Client {
    authority: String,
}

impl Client {
    pub(super) fn new(authority: &str) -> Self {
        Self { authority: authority.to_owned() }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        let (status, body) = self.call(Method::GET, path, &[], Bytes::new()).await?;
        ensure!(status.is_success(), "GET {path} answered {status}: {body}");
        Ok(body)
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        let (status, body) = self.call(Method::PUT, path, &[], Bytes::from(body.to_string())).await?;
        ensure!(status.is_success(), "PUT {path} answered {status}: {body}");
        Ok(body)
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let (status, body) = self.call(Method::POST, path, &[], Bytes::from(body.to_string())).await?;
        ensure!(status.is_success(), "POST {path} answered {status}: {body}");
        Ok(body)
    }

    /// Any call. An error means that nobody knows whether it was done.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<(StatusCode, Value)> {
        tokio::time::timeout(ANSWER_LIMIT, self.exchange(method, path, headers, body))
            .await
            .unwrap_or_else(|_| Err(NoAnswer.into()))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<(StatusCode, Value)> {
        let stream = TcpStream::connect(&self.authority).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.authority)
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = sender.send_request(request.body(Full::new(body))?).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        drop(sender);
        connection.abort();
        Ok((status, if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? }))
    }
}
