//! Accepts connections and speaks HTTP/1.1 and cleartext HTTP/2 on the same port. Knows nothing of payments.

use std::pin::pin;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits;
use crate::provider::Provider;
use crate::routes;

/// Runs until the sandbox stops; connections are tasks of their own and are given a moment to end.
pub(crate) async fn run(listener: TcpListener, provider: Arc<Provider>) {
    let stop = provider.stop.clone();
    stop.run_until_cancelled_owned(accept(listener, provider)).await;
}

async fn accept(listener: TcpListener, provider: Arc<Provider>) {
    let http = http();
    let seats = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                provider.tasks.spawn(connection(http.clone(), stream, Arc::clone(&provider), seat));
            }
            Err(error) => {
                tracing::warn!(%error, "the sandbox cannot accept a connection");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

fn http() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new());
    http.http2().timer(TokioTimer::new()).max_concurrent_streams(limits::STREAMS_PER_CONNECTION_MAX);
    http
}

async fn connection(
    http: Builder<TokioExecutor>,
    stream: TcpStream,
    provider: Arc<Provider>,
    _seat: OwnedSemaphorePermit,
) {
    let stop = provider.stop.clone();
    // A connection whose options cannot be set is already gone, which serving it finds out.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| routes::answer(Arc::clone(&provider), request));
    let mut serving = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // An error is the client's leaving or a response lost on purpose: both are business as usual.
        _ = serving.as_mut() => {}
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(limits::DRAIN_TIMEOUT, serving).await;
        }
    }
}
