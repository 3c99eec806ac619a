//! Accepts connections and speaks HTTP/1.1 and cleartext HTTP/2 on the same port, so many at a time and no more; when told
//! to stop, answers what it has begun and takes nothing new. With a certificate, over TLS. Knows no routes.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::{Extension, Router};
use bus::Stop;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::security::Peer;

use super::limits::{
    ACCEPT_PAUSE, CONNECTIONS_MAX, DRAIN_MAX, FIRST_REQUEST_MAX, HEAD_TIME_MAX, STREAMS_PER_CONNECTION_MAX,
};

/// What stands between a connection and the routes.
#[derive(Clone, Default)]
pub struct Door {
    /// Speaks TLS; without it everything is sent in the clear.
    pub tls: Option<TlsAcceptor>,
    /// Whether requests are told where they come from.
    pub names: Names,
}

/// Whether requests are told where they come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// It makes no difference, and costs nothing.
    #[default]
    Untold,
    /// They are.
    Told,
}

/// Serves in the clear until it is stopped; returns once every answer under way was given, or has taken too long.
pub async fn serve(listener: TcpListener, router: Router, stop: Stop) {
    serve_behind(Door::default(), listener, router, stop).await;
}

/// Serves behind this door until it is stopped; returns once every answer under way was given, or has taken too long.
pub async fn serve_behind(door: Door, listener: TcpListener, router: Router, stop: Stop) {
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
                    let router = named(&door, &stream, &router);
                    let (http, tls, stop) = (http.clone(), door.tls.clone(), stop.clone());
                    connections.spawn(connection(http, tls, stream, router, stop, seat));
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
            let router = named(&door, &stream, &router);
            connections.spawn(connection(http.clone(), door.tls.clone(), stream, router, stop.clone(), seat));
        }
    }
    while connections.join_next().await.is_some() {}
}

/// The routes, told where this connection comes from.
fn named(door: &Door, stream: &TcpStream, router: &Router) -> Router {
    match (door.names, stream.peer_addr()) {
        (Names::Told, Ok(peer)) => router.clone().layer(Extension(Peer(peer.ip()))),
        (Names::Told, Err(_)) | (Names::Untold, _) => router.clone(),
    }
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
    tls: Option<TlsAcceptor>,
    stream: TcpStream,
    router: Router,
    stop: Stop,
    _seat: OwnedSemaphorePermit,
) {
    // A connection whose options cannot be set is already gone, which serving it finds out.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return speak(http, stream, router, stop).await };
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(HEAD_TIME_MAX, tls.accept(stream)) => shaken,
        () = stop.stopped() => return,
    };
    match shaken {
        Ok(Ok(stream)) => speak(http, stream, router, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection speaks no TLS that is understood"),
        Err(_) => tracing::debug!("a connection was too slow to agree on TLS"),
    }
}

async fn speak<S>(http: Builder<TokioExecutor>, stream: S, router: Router, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
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
