//! A line to the provider under test: its books, and what is to be wrong with it. Says nothing about orders.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// The provider of one run.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    authority: String,
}

impl Provider {
    pub(super) fn at(authority: &str) -> Self {
        Self { authority: authority.to_owned() }
    }

    /// Its books.
    pub(super) async fn stats(&self) -> Result<Value> {
        self.call(Method::GET, "/stats", &Value::Null).await
    }

    /// From now on exactly this is wrong with it; nothing for an empty object.
    pub(super) async fn set_faults(&self, faults: &Value) -> Result<()> {
        self.call(Method::PUT, "/faults", faults).await.map(drop)
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let stream = TcpStream::connect(&self.authority).await.context("the provider cannot be reached")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).header("host", &self.authority);
        let request = request.header("content-type", "application/json").body(Full::new(body))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let text = answer.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "the provider answered {status}: {}", String::from_utf8_lossy(&text));
        serde_json::from_slice(&text).context("the provider answers in JSON")
    }
}
