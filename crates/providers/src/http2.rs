//! HTTP/2 without TLS: all calls share one connection, which is opened when first needed and again when it is lost.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Mutex;

use super::address::Address;
use super::answer::{Answer, Failure, Stage};
use super::limits;

/// The one connection to a provider.
pub(super) struct Trunk {
    address: Address,
    sender: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Trunk {
    pub(super) fn new(address: Address) -> Self {
        Self { address, sender: Mutex::default() }
    }

    /// Makes one call beside the others.
    pub(super) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        stage: &mut Stage,
    ) -> Result<Answer, Failure> {
        let mut sender = self.sender().await?;
        sender.ready().await.map_err(Failure::unreachable)?;
        *stage = Stage::Sent;
        let response = sender.send_request(request).await.map_err(Failure::lost)?;
        Answer::read(response).await
    }

    /// The first call that finds the connection closed opens the next; the others wait for it.
    async fn sender(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let mut current = self.sender.lock().await;
        if let Some(sender) = current.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let stream = self.address.connect().await.map_err(Failure::unreachable)?;
        let (sender, connection) =
            builder().handshake(TokioIo::new(stream)).await.map_err(Failure::unreachable)?;
        // It ends with the last sender or with the connection; every open call learns the reason through its own
        // channel.
        tokio::spawn(connection);
        *current = Some(sender.clone());
        Ok(sender)
    }
}

/// A connection whose other end has vanished without a word would otherwise let every call time out for ever.
fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(limits::KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEP_ALIVE_TIMEOUT);
    builder
}
