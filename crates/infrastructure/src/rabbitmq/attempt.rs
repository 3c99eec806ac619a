//! One attempt to connect, which ends when it is given up. The driver runs each connection in a thread of its own, which waits
//! for as long as a peer stays silent: without this, every attempt at a broker that hangs would leave a thread and a socket.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::tcp::{AMQPUriTcpExt, AsyncTcpStream, TLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties};
use tokio::time::timeout;

/// Connects within the limit, handshakes included; none when time was up. An address that begins with `amqps` is believed to be
/// the broker's only if the system, or these certificates in PEM, vouch for it.
pub(super) async fn connect(
    address: &AMQPUri,
    properties: ConnectionProperties,
    limit: Duration,
    more_roots: Option<Arc<str>>,
) -> Option<lapin::Result<Connection>> {
    let socket = Socket::default();
    let given_up = GiveUp(socket.clone());
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
    if matches!(connected, Ok(Ok(_))) {
        given_up.0.let_go();
    }
    connected.ok()
}

/// A second handle on the socket of a connection that is being made.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    #[default]
    Unopened,
    Open(TcpStream),
    /// The connection stands, and sees to its socket itself.
    LetGo,
    GivenUp,
}

impl Socket {
    /// Holds the socket, or says that nobody waits for it any more.
    fn keep(&self, stream: TcpStream) -> io::Result<()> {
        let mut state = self.state();
        match *state {
            State::GivenUp => Err(io::Error::from(io::ErrorKind::TimedOut)),
            State::Unopened | State::Open(_) | State::LetGo => {
                *state = State::Open(stream);
                Ok(())
            }
        }
    }

    fn let_go(&self) {
        *self.state() = State::LetGo;
    }

    fn give_up(&self) {
        let mut state = self.state();
        match &*state {
            State::LetGo | State::GivenUp => return,
            State::Unopened => {}
            State::Open(stream) => {
                // Whoever waits on the other handle reads the end of the stream.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        *state = State::GivenUp;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the attempt when it is dropped, unless it succeeded.
struct GiveUp(Socket);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.give_up();
    }
}
