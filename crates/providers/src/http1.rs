//! HTTP/1.1: one connection per call under way, kept for the next call. A connection has no task of its own: the call
//! that uses it also drives it, which spares two hand-overs between tasks per call.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::address::{Address, Stream};
use super::answer::{Answer, Failure, Stage};
use super::limits;

/// The connections to one provider. Callers bound how many are out at once, hence how many there are.
pub(super) struct Pool {
    address: Address,
    idle_max: Duration,
    /// Most recently used last: the others grow old and are dropped.
    idle: Mutex<Vec<Link>>,
}

/// One connection.
struct Link {
    sender: SendRequest<Full<Bytes>>,
    line: Line,
    idle_since: Instant,
}

/// The end of a connection that moves the bytes; gone once the connection has ended.
struct Line(Option<Box<Connection<TokioIo<Stream>, Full<Bytes>>>>);

impl Pool {
    pub(super) fn new(address: Address, idle_max: Duration) -> Self {
        Self { address, idle_max, idle: Mutex::default() }
    }

    /// Makes one call on an idle connection or a new one. A connection that turns out to be closed before anything was
    /// sent on it is no failure: the next one is taken.
    pub(super) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        stage: &mut Stage,
    ) -> Result<Answer, Failure> {
        let mut link = self.open_link().await?;
        *stage = Stage::Sent;
        let answer = link.carry(request).await?;
        self.keep(link);
        Ok(answer)
    }

    async fn open_link(&self) -> Result<Link, Failure> {
        while let Some(mut link) = self.take() {
            if link.ready().await.is_ok() {
                return Ok(link);
            }
        }
        let mut link = Link::connect(&self.address).await?;
        link.ready().await.map_err(Failure::unreachable)?;
        Ok(link)
    }

    fn take(&self) -> Option<Link> {
        let mut idle = self.lock();
        let link = idle.pop()?;
        if link.idle_since.elapsed() <= self.idle_max {
            return Some(link);
        }
        // The one used last is too old, so all are.
        idle.clear();
        None
    }

    fn keep(&self, mut link: Link) {
        if !link.sender.is_closed() {
            link.idle_since = Instant::now();
            self.lock().push(link);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Link>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    async fn connect(address: &Address) -> Result<Self, Failure> {
        let stream = address.connect().await.map_err(Failure::unreachable)?;
        let (sender, connection) =
            builder().handshake(TokioIo::new(stream)).await.map_err(Failure::unreachable)?;
        Ok(Self { sender, line: Line(Some(Box::new(connection))), idle_since: Instant::now() })
    }

    /// Ends when a request can be sent, or fails when the other side has hung up.
    async fn ready(&mut self) -> hyper::Result<()> {
        self.line.driving(pin!(self.sender.ready())).await
    }

    async fn carry(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let response = self.sender.send_request(request);
        let answer = pin!(async { Answer::read(response.await.map_err(Failure::lost)?).await });
        self.line.driving(answer).await
    }
}

impl Line {
    /// Runs the work while moving the bytes that it waits for.
    async fn driving<F: Future>(&mut self, mut work: Pin<&mut F>) -> F::Output {
        poll_fn(|context| {
            self.advance(context);
            work.as_mut().poll(context)
        })
        .await
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        let Some(connection) = &mut self.0 else { return };
        // A call learns through its own channel how the connection ended.
        if Pin::new(connection).poll(context).is_ready() {
            self.0 = None;
        }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.max_buf_size(limits::BUFFER_BYTES_MAX);
    builder
}
