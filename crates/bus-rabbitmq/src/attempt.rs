//! One attempt to connect, which ends when it is given up; and what it makes, which ends when it is cut. The driver runs each
//! connection in a thread of its own, which waits for as long as its peer stays silent, and writes nothing, no goodbye either, to
//! one that takes nothing: without a second handle on the socket each of these would leave a thread and a socket behind.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::tcp::{AMQPUriTcpExt, AsyncTcpStream, TLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use tokio::time::timeout;

/// Connects within the limit, handshakes included; none when time was up. An address that begins with `amqps` is believed to be
/// the broker's only if the system, or these certificates in PEM, vouch for it.
pub(super) async fn connect(
    address: &AMQPUri,
    properties: ConnectionProperties,
    limit: Duration,
    more_roots: Option<Arc<str>>,
) -> Option<lapin::Result<Connected>> {
    let socket = Socket::default();
    let (handle, given_up) = (socket.clone(), GiveUp(Some(socket.clone())));
    let runtime = match lapin::runtime::default_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Some(Err(error)),
    };
    let own = runtime.clone();
    let open = async move |address: AMQPUri, _| {
        let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..address.clone() };
        let opening = timeout(limit, plain.connect_async(&own)).await;
        let stream = opening.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if let AsyncTcpStream::Plain(plain) = &stream {
            socket.keep(TcpStream::from(plain.get_ref().as_fd().try_clone_to_owned()?))?;
        }
        match address.scheme {
            AMQPScheme::AMQP => Ok(stream),
            AMQPScheme::AMQPS => {
                let config = TLSConfig { identity: None, cert_chain: more_roots.as_deref() };
                Ok(stream.into_tls(&address.authority.host, config).await?)
            }
        }
    };
    let connected = timeout(limit, Connection::connector(address.clone(), runtime, open, properties)).await;
    Some(connected.ok()?.map(|connection| {
        given_up.call_off();
        Connected { connection, socket: handle, spoilt: AtomicU16::new(0), is_spent: AtomicBool::new(false) }
    }))
}

/// A connection that stands. Dropped, it closes in good order, if the broker listens; see [`Self::cut`].
pub(super) struct Connected {
    pub(super) connection: Connection,
    socket: Socket,
    /// Numbers of channels that can no longer be used.
    spoilt: AtomicU16,
    /// Whether it gave no channel when it was asked for one.
    is_spent: AtomicBool,
}

impl Connected {
    /// Ends the connection at once, its channels and its thread with it, whatever the broker does or does not.
    pub(super) fn cut(self) {
        self.socket.give_up();
    }

    /// Opens a channel. When the broker closes a channel with an error, the driver keeps that error under the channel's number, and
    /// answers with it whoever is given the number later, however long the matter is mended by then. Such a number is passed over.
    /// The driver does not give it a second time, so this ends: with a channel, or with a connection that is spent.
    pub(super) async fn open_channel(&self) -> lapin::Result<Channel> {
        loop {
            let error = match self.connection.create_channel().await {
                Ok(channel) => return Ok(channel),
                Err(error) => error,
            };
            let numbers = self.connection.configuration().channel_max();
            let spoilt = self.spoilt.load(Ordering::Acquire);
            if error.is_amqp_soft_error() && spoilt < numbers {
                self.spoilt.fetch_add(1, Ordering::AcqRel);
                continue;
            }
            // Others may hold all the channels there are, and give some back.
            if spoilt > 0 || !matches!(error.kind(), ErrorKind::ChannelsLimitReached) {
                self.is_spent.store(true, Ordering::Release);
            }
            return Err(error);
        }
    }

    /// Whether it stands and still gives channels.
    pub(super) fn is_up(&self) -> bool {
        self.connection.status().connected() && !self.is_spent()
    }

    /// Whether it gave no channel when it was asked for one; another connection will.
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Acquire)
    }

    /// Whether the broker has said that it reads nothing from here, because it is short of memory or disk.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }
}

impl Drop for Connected {
    /// Nothing can be said to a broker that does not read, so the goodbye would wait as long as its alarm lasts.
    fn drop(&mut self) {
        if self.is_blocked() {
            self.socket.give_up();
        }
    }
}

/// A second handle on the socket of a connection.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    #[default]
    Unopened,
    Open(TcpStream),
    GivenUp,
}

impl Socket {
    /// Holds the socket, or says that nobody waits for it any more.
    fn keep(&self, stream: TcpStream) -> io::Result<()> {
        let mut state = self.state();
        match *state {
            State::GivenUp => Err(io::Error::from(io::ErrorKind::TimedOut)),
            State::Unopened | State::Open(_) => {
                *state = State::Open(stream);
                Ok(())
            }
        }
    }

    fn give_up(&self) {
        let given_up = std::mem::replace(&mut *self.state(), State::GivenUp);
        match given_up {
            State::Unopened | State::GivenUp => {}
            State::Open(stream) => {
                // Whoever waits on the other handle reads the end of the stream.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the attempt when it is dropped, unless it succeeded.
struct GiveUp(Option<Socket>);

impl GiveUp {
    fn call_off(mut self) {
        self.0 = None;
    }
}

impl Drop for GiveUp {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            socket.give_up();
        }
    }
}
