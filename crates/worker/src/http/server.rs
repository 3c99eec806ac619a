//! Accepts connections and speaks HTTP/1.1 and cleartext HTTP/2 on the same port, so many at a time and no more; when told
//! to stop, answers what it has begun and takes nothing new. Knows no routes.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use bus::Stop;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::limits::{
    ACCEPT_PAUSE, CONNECTIONS_MAX, DRAIN_MAX, FIRST_REQUEST_MAX, HEAD_TIME_MAX, STREAMS_PER_CONNECTION_MAX,
};

/// Serves until it is stopped; returns once every answer under way was given, or has taken too long.
pub async fn serve(listener: TcpListener, router: Router, stop: Stop) {
    let mut connections = JoinSet::new();
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let http = http();
    loop {
        tokio::select! {
            biased;
            () = stop.stopped() => break,
            Some(_) = connections.join_next() => {}
            accepted = next(&listener, &seats) => match accepted {
                Ok((stream, seat)) => {
                    connections.spawn(connection(http.clone(), stream, router.clone(), stop.clone(), seat));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    stop.sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // Whoever has connected by now gets an answer: a connection that just breaks would leave a client in doubt.
    for stream in last_in_line(listener) {
        if let Ok(seat) = Arc::clone(&seats).try_acquire_owned() {
            connections.spawn(connection(http.clone(), stream, router.clone(), stop.clone(), seat));
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Closes the listening socket and returns who waited there. The system is asked itself, because what the runtime knows of the
/// line is a moment old.
fn last_in_line(listener: TcpListener) -> Vec<TcpStream> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let waiting = std::iter::from_fn(|| listener.accept().ok()).take(CONNECTIONS_MAX);
    let ready = waiting.filter_map(|(stream, _)| {
        stream.set_nonblocking(true).ok()?;
        TcpStream::from_std(stream).ok()
    });
    ready.collect()
}

/// The next connection, once there is a seat for it.
async fn next(
    listener: &TcpListener,
    seats: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let seat = Arc::clone(seats).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, seat))
}

fn http() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX);
    http.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_PER_CONNECTION_MAX);
    http
}

async fn connection(
    http: Builder<TokioExecutor>,
    stream: TcpStream,
    router: Router,
    stop: Stop,
    _seat: OwnedSemaphorePermit,
) {
    // A connection whose options cannot be set is already gone, which serving it finds out.
    let _ = stream.set_nodelay(true);
    let begun = Arc::new(AtomicBool::new(false));
    let (noted, routes) = (Arc::clone(&begun), TowerToHyperService::new(router));
    let service = service_fn(move |request| {
        noted.store(true, Ordering::Relaxed);
        routes.call(request)
    });
    let mut serving = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // An error is the client's leaving, which is business as usual.
        _ = serving.as_mut() => {}
        () = stop.stopped() => {
            if !begun.load(Ordering::Relaxed) {
                // Its first request is on its way.
                let _ = tokio::time::timeout(FIRST_REQUEST_MAX, serving.as_mut()).await;
            }
            serving.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(DRAIN_MAX, serving).await;
        }
    }
}
