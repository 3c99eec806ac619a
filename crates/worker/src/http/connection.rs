//! One connection from accept to close: TLS, both versions of HTTP, and closing a client that keeps us waiting too
//! long. Knows no routes.

use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bus::Stop;
use http::Response;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::conduct::{Conduct, Patience, Standing, Underway, Why};
use super::exchange::{Answered, Sent};
use super::limits::{DRAIN_MAX, FIRST_REQUEST_MAX, PARTING_MAX, ROOM_PAUSE, STREAMS_PER_CONNECTION_MAX};
use super::line::Line;
use super::seats::Seat;
use crate::metrics::{Metric, Registry};

/// What all connections of a listener share.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) http: Builder<TokioExecutor>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) patience: Patience,
    pub(super) stop: Stop,
    pub(super) registry: Arc<Registry>,
}

/// Both versions of HTTP. How long a head may take to arrive is part of how long a connection may be without a request.
pub(super) fn http() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(None);
    http.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_PER_CONNECTION_MAX);
    http
}

/// Serves a connection to its end.
pub(super) async fn connection(
    terms: Terms,
    stream: TcpStream,
    router: Router,
    conduct: Arc<Conduct>,
    seat: Seat,
) {
    // A connection whose options cannot be set is already gone, which serving it finds out.
    let _ = stream.set_nodelay(true);
    let line = Line::new(stream, Arc::clone(&conduct));
    let ended = match &terms.tls {
        None => speak(&terms, line, router, &conduct).await,
        Some(tls) => match shaken(&terms, tls, line, &conduct).await {
            Ok(stream) => speak(&terms, stream, router, &conduct).await,
            Err(ended) => ended,
        },
    };
    if let Some(why) = ended {
        tracing::debug!(why = why.as_str(), "a connection was ended");
        terms.registry.add(Metric::ConnectionsEnded, &[why.as_str()], 1);
    }
    drop(seat);
}

/// The connection once both sides agree on TLS; otherwise why this side ended it, if this side did.
async fn shaken(
    terms: &Terms,
    tls: &TlsAcceptor,
    line: Line,
    conduct: &Arc<Conduct>,
) -> Result<tokio_rustls::server::TlsStream<Line>, Option<Why>> {
    tokio::select! {
        shaken = tls.accept(line) => shaken.map_err(|error| {
            tracing::debug!(%error, "a connection speaks no TLS that is understood");
            None
        }),
        why = ends(conduct, &terms.patience) => Err(Some(why)),
        () = terms.stop.stopped() => Err(None),
    }
}

/// Speaks HTTP. Returns why this side ended it, if this side did.
async fn speak<S>(terms: &Terms, stream: S, router: Router, conduct: &Arc<Conduct>) -> Option<Why>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (routes, body_limit) = (TowerToHyperService::new(router), terms.patience.body);
    let watched = Arc::clone(conduct);
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let underway = Underway::begins(&watched);
        let request = request.map(|body| Sent::watched(body, &watched, body_limit));
        let answering = routes.call(request);
        async move {
            let answer: Response<Body> = answering.await?;
            Ok::<_, std::convert::Infallible>(Answered::watched(answer, underway))
        }
    });
    let mut serving = pin!(terms.http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // An error is the client's leaving, which is business as usual.
        _ = serving.as_mut() => None,
        why = ends(conduct, &terms.patience) => {
            match why {
                // What it has not taken by now it never will.
                Why::SlowReader => conduct.cut(),
                Why::Silent | Why::Idle => {
                    serving.as_mut().graceful_shutdown();
                    let _ = timeout(PARTING_MAX, serving).await;
                }
                // Another connection needs its slot.
                Why::GaveWay => {
                    serving.as_mut().graceful_shutdown();
                    let _ = timeout(ROOM_PAUSE, serving).await;
                }
                // Others may have requests under way on the same connection, which are answered.
                Why::SlowBody => {
                    serving.as_mut().graceful_shutdown();
                    let _ = timeout(DRAIN_MAX, serving).await;
                }
            }
            Some(why)
        }
        () = terms.stop.stopped() => {
            if !conduct.has_begun() {
                // Its first request is on its way.
                let _ = timeout(FIRST_REQUEST_MAX, serving.as_mut()).await;
            }
            serving.as_mut().graceful_shutdown();
            let _ = timeout(DRAIN_MAX, serving).await;
            None
        }
    }
}

/// Ends when the connection has to.
async fn ends(conduct: &Conduct, patience: &Patience) -> Why {
    loop {
        let now = Instant::now();
        match conduct.standing(patience, now) {
            Standing::Ends(why) => return why,
            Standing::Stays(until) => {
                // A limit that begins meanwhile may end sooner than the one that is waited for.
                let look = until.min(now + patience.shortest());
                tokio::select! {
                    () = sleep_until(look) => {}
                    () = conduct.told() => {}
                }
            }
        }
    }
}
