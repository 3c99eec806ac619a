//! A TCP proxy that can hold everything back, swallow it, or break its connections: the network between two processes on a
//! bad day. Never changes a byte that it passes on, and passes them on in order or not at all.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes in hand per direction of a connection.
const IN_HAND_BYTES: usize = 16 * 1024;

/// What becomes of what comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// It is passed on.
    Fair,
    /// It waits, and so does whoever connects; nothing is lost.
    Stalled,
    /// It is lost without a word, as by a firewall that has forgotten the connection. A connection that has lost anything
    /// is broken when the weather changes.
    Swallowing,
}

/// One way to one server. Its connections break with this value.
#[derive(Debug)]
pub struct Proxy {
    weather: watch::Sender<Weather>,
    resets: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy before the server that an address `scheme://…@host:port/…` names, and the same address through the proxy.
    ///
    /// # Errors
    /// For an address without host and port, or when there is no free port.
    pub async fn before(address: &str) -> Result<(Self, String)> {
        let after_scheme = address.find("://").context("an address has a scheme")? + 3;
        let begin = address.rfind('@').map_or(after_scheme, |at| at + 1);
        let end = address[begin..].find('/').map_or(address.len(), |length| begin + length);
        let server = address[begin..end].to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let own: SocketAddr = listener.local_addr()?;
        let (weather, seen) = watch::channel(Weather::Fair);
        let (resets, cut) = watch::channel(0);
        let accepting = tokio::spawn(accept(listener, server, seen, cut));
        let through = format!("{}{own}{}", &address[..begin], &address[end..]);
        Ok((Self { weather, resets, accepting }, through))
    }

    /// Changes the weather for good.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Changes the weather for a while; then it is fair.
    pub fn set_for(&self, weather: Weather, time: Duration) {
        self.set(weather);
        let sender = self.weather.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            sender.send_replace(Weather::Fair);
        });
    }

    /// Breaks every connection at once, in both directions, with a reset.
    pub fn reset(&self) {
        self.resets.send_modify(|count| *count += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.reset();
    }
}

async fn accept(
    listener: TcpListener,
    server: String,
    weather: watch::Receiver<Weather>,
    cut: watch::Receiver<u64>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let (server, weather, mut cut) = (server.clone(), weather.clone(), cut.clone());
        cut.mark_unchanged();
        tokio::spawn(async move { carry(client, &server, weather, cut).await });
    }
}

/// One connection from its beginning to its end.
async fn carry(
    mut client: TcpStream,
    server: &str,
    mut weather: watch::Receiver<Weather>,
    mut cut: watch::Receiver<u64>,
) {
    let reached = async {
        weather.wait_for(|weather| *weather == Weather::Fair).await.ok()?;
        TcpStream::connect(server).await.ok()
    };
    let mut server = tokio::select! {
        reached = reached => match reached {
            Some(server) => server,
            None => return break_off(&client),
        },
        _ = cut.changed() => return break_off(&client),
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ended = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let up = pump(from_client, to_server, weather.clone());
        let down = pump(from_server, to_client, weather.clone());
        let both = async { tokio::try_join!(up, down) };
        tokio::select! {
            ended = both => ended.is_ok(),
            _ = cut.changed() => false,
        }
    };
    if !ended {
        break_off(&client);
        break_off(&server);
    }
}

/// Closes with a reset, as soon as the stream is dropped.
fn break_off(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// The connection cannot go on.
struct Broken;

/// Passes one direction on until its end.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut weather: watch::Receiver<Weather>,
) -> Result<(), Broken> {
    let mut bytes = vec![0; IN_HAND_BYTES];
    loop {
        let read = from.read(&mut bytes).await.map_err(|_| Broken)?;
        let seen = *weather.wait_for(|weather| *weather != Weather::Stalled).await.map_err(|_| Broken)?;
        if seen == Weather::Swallowing {
            let _ = weather.wait_for(|weather| *weather != Weather::Swallowing).await;
            return Err(Broken);
        }
        if read == 0 {
            return to.shutdown().await.map_err(|_| Broken);
        }
        to.write_all(&bytes[..read]).await.map_err(|_| Broken)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every byte with the same byte.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        format!("echo://somebody:a@b@{address}/all")
    }

    async fn connected() -> (Proxy, TcpStream) {
        let (proxy, address) = Proxy::before(&echo().await).await.unwrap();
        let through = address.strip_prefix("echo://somebody:a@b@").unwrap().strip_suffix("/all").unwrap();
        let stream = TcpStream::connect(through).await.unwrap();
        (proxy, stream)
    }

    async fn say(stream: &mut TcpStream, word: &[u8]) -> std::io::Result<Vec<u8>> {
        stream.write_all(word).await?;
        let mut answer = vec![0; word.len()];
        stream.read_exact(&mut answer).await.map(|_| answer)
    }

    #[tokio::test]
    async fn in_fair_weather_every_byte_passes() {
        let (_proxy, mut stream) = connected().await;
        let word: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        let (mut from, mut to) = stream.split();
        let mut answer = vec![0; word.len()];
        let (written, read) = tokio::join!(to.write_all(&word), from.read_exact(&mut answer));
        assert!(written.is_ok() && read.is_ok() && answer == word);
    }

    #[tokio::test]
    async fn what_is_held_back_passes_when_the_weather_clears() {
        let (proxy, mut stream) = connected().await;
        assert_eq!(say(&mut stream, b"one").await.unwrap(), b"one");
        proxy.set(Weather::Stalled);
        let mut answer = [0; 3];
        stream.write_all(b"two").await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(50), stream.read_exact(&mut answer)).await;
        assert!(waited.is_err(), "nothing passes");
        proxy.set(Weather::Fair);
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"two");
    }

    #[tokio::test]
    async fn a_connection_that_lost_something_is_broken_afterwards() {
        let (proxy, mut stream) = connected().await;
        assert_eq!(say(&mut stream, b"one").await.unwrap(), b"one");
        proxy.set(Weather::Swallowing);
        stream.write_all(b"two").await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
        assert!(waited.is_err(), "there is no answer and no word of the end");
        proxy.set(Weather::Fair);
        assert!(stream.read_u8().await.is_err());
    }

    #[tokio::test]
    async fn a_reset_breaks_what_is_there_and_nothing_that_comes_later() {
        let (proxy, mut stream) = connected().await;
        assert_eq!(say(&mut stream, b"one").await.unwrap(), b"one");
        let authority = stream.peer_addr().unwrap();
        proxy.reset();
        let told = stream.read_u8().await.unwrap_err();
        assert_eq!(told.kind(), std::io::ErrorKind::ConnectionReset);
        let mut later = TcpStream::connect(authority).await.unwrap();
        assert_eq!(say(&mut later, b"two").await.unwrap(), b"two");
    }
}
