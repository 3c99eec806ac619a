//! Accepts connections, up to a bound, and speaks HTTP/1.1 and cleartext HTTP/2 on the same port, over TLS if there
//! is a certificate. After a stop it answers the requests it has begun and takes no new ones. Knows no routes.

use std::io;
use std::sync::Arc;

use axum::{Extension, Router};
use bus::Stop;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::metrics::Registry;
use crate::security::Peer;

use super::conduct::{Conduct, Patience};
use super::connection::{Terms, connection, http};
use super::limits::{ACCEPT_PAUSE, ACCEPT_TOLD, CONNECTIONS_MAX};
use super::seats::{Seat, Seats};

/// The layers between a connection and the routes.
#[derive(Clone)]
pub struct Door {
    /// Speaks TLS; without it everything is sent in the clear.
    pub tls: Option<TlsAcceptor>,
    /// Whether requests carry their client's address.
    pub names: Names,
    /// Connections at the same time.
    pub connections_max: usize,
    /// How long they may take over what.
    pub patience: Patience,
    /// Where it is counted which of them were ended from this side.
    pub registry: Arc<Registry>,
}

impl Default for Door {
    fn default() -> Self {
        Self {
            tls: None,
            names: Names::default(),
            connections_max: CONNECTIONS_MAX,
            patience: Patience::default(),
            registry: Arc::default(),
        }
    }
}

/// Whether requests carry their client's address.
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

/// Serves until stopped; returns once every open answer is sent, or has taken too long.
pub async fn serve_behind(door: Door, listener: TcpListener, router: Router, stop: Stop) {
    let mut hall = Hall::new(door, router, stop.clone());
    let mut trouble = Trouble::default();
    loop {
        tokio::select! {
            biased;
            () = stop.stopped() => break,
            Some(_) = hall.connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => hall.receive(stream).await,
                Err(error) if is_about_one(&error) => {}
                Err(error) => {
                    let asked = hall.seats.make_room();
                    trouble.tell(&error, asked);
                    stop.sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // Clients that have connected by now get an answer: a broken connection would leave them in doubt.
    for stream in last_in_line(listener) {
        let conduct = Conduct::begins(Instant::now());
        if let Some(seat) = hall.seats.try_take(&conduct, None) {
            hall.seat(stream, conduct, seat);
        }
    }
    while hall.connections.join_next().await.is_some() {}
}

/// Where connections are served.
struct Hall {
    terms: Terms,
    names: Names,
    router: Router,
    seats: Arc<Seats>,
    connections: JoinSet<()>,
}

impl Hall {
    fn new(door: Door, router: Router, stop: Stop) -> Self {
        let Door { tls, names, connections_max, patience, registry } = door;
        let terms = Terms { http: http(), tls, patience, stop, registry };
        Self { terms, names, router, seats: Seats::new(connections_max), connections: JoinSet::new() }
    }

    /// Gives a connection its seat, for which others leave if they have to.
    async fn receive(&mut self, stream: TcpStream) {
        let conduct = Conduct::begins(Instant::now());
        let peer = stream.peer_addr().ok().map(|peer| peer.ip());
        let seat = tokio::select! {
            seat = self.seats.take(&conduct, peer) => Some(seat),
            () = self.terms.stop.stopped() => self.seats.try_take(&conduct, peer),
        };
        if let Some(seat) = seat {
            self.seat(stream, conduct, seat);
        }
    }

    fn seat(&mut self, stream: TcpStream, conduct: Arc<Conduct>, seat: Seat) {
        let router = self.named(&stream);
        self.connections.spawn(connection(self.terms.clone(), stream, router, conduct, seat));
    }

    /// The routes, told where this connection comes from.
    fn named(&self, stream: &TcpStream) -> Router {
        match (self.names, stream.peer_addr()) {
            (Names::Told, Ok(peer)) => self.router.clone().layer(Extension(Peer(peer.ip()))),
            (Names::Told, Err(_)) | (Names::Untold, _) => self.router.clone(),
        }
    }
}

/// Whether an error of accepting is about the connection that was to be accepted, which has gone already.
fn is_about_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// Connections that cannot be accepted, most likely for want of file descriptors. Told now and then, not each.
#[derive(Default)]
struct Trouble {
    told_at: Option<Instant>,
    untold: u64,
}

impl Trouble {
    fn tell(&mut self, error: &io::Error, gave_way: usize) {
        self.untold += 1;
        if self.told_at.is_some_and(|told_at| told_at.elapsed() < ACCEPT_TOLD) {
            return;
        }
        let times = std::mem::take(&mut self.untold);
        self.told_at = Some(Instant::now());
        tracing::warn!(%error, times, gave_way, "cannot accept a connection; the oldest idle ones give way");
    }
}

/// Closes the listening socket and returns the connections of its backlog. It asks the system, because the runtime's
/// view of the backlog is a moment old.
fn last_in_line(listener: TcpListener) -> Vec<TcpStream> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let waiting = std::iter::from_fn(|| listener.accept().ok()).take(CONNECTIONS_MAX);
    let ready = waiting.filter_map(|(stream, _)| {
        stream.set_nonblocking(true).ok()?;
        TcpStream::from_std(stream).ok()
    });
    ready.collect()
}
