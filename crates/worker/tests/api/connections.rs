//! Connections that keep the service waiting: each is ended, and when there are too many of them the oldest give way, so that
//! whoever asks is answered.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bus::Stop;
use orderwright::http::{Door, Patience, serve_behind};
use orderwright::metrics::{Metric, Registry};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::harness::Service;

/// Longer than any limit here, by far.
const LONG: Duration = Duration::from_secs(30);

const PATIENCE: Patience = Patience {
    first_request: Duration::from_millis(400),
    idle: Duration::from_millis(600),
    body: Duration::from_millis(400),
    answer: Duration::from_millis(500),
};

/// The first words of HTTP/2, with settings that say nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

struct Listening {
    addr: SocketAddr,
    registry: Arc<Registry>,
    stop: Stop,
}

async fn listening(patience: Patience, connections_max: usize) -> Listening {
    let service = Service::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let registry = Arc::new(Registry::default());
    let door = Door { connections_max, patience, registry: Arc::clone(&registry), ..Door::default() };
    tokio::spawn(serve_behind(door, listener, service.router.clone(), service.stop.clone()));
    Listening { addr, registry, stop: service.stop.clone() }
}

impl Listening {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.expect("a connection")
    }

    /// Connections that were ended for this reason, once there is one.
    async fn ended(&self, reason: &str) -> f64 {
        let begin = Instant::now();
        let mut looks = interval(Duration::from_millis(5));
        loop {
            let count = self.registry.value(Metric::ConnectionsEnded, &[reason]).unwrap_or(0.0);
            if count > 0.0 || begin.elapsed() > LONG {
                return count;
            }
            looks.tick().await;
        }
    }

    /// What a connection of its own is answered.
    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.expect("it is taken");
        let mut answer = String::new();
        let reading = stream.read_to_string(&mut answer);
        timeout(LONG, reading).await.expect("in time").expect("an answer to its end");
        answer
    }

    async fn serves(&self) {
        let live = "GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        assert!(self.ask(live).await.starts_with("HTTP/1.1 200 "));
        let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 1}]}).to_string();
        let head = "POST /orders HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nidempotency-key: served";
        let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{order}", order.len());
        assert!(self.ask(&request).await.starts_with("HTTP/1.1 201 "));
    }
}

/// Everything that comes until the other side ends the connection, in whatever way, within some time.
async fn heard_to_the_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    match timeout(LONG, stream.read_to_end(&mut heard)).await.expect("it is ended") {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    heard
}

/// Says something again and again until the other side ends the connection.
async fn talks_until_the_end(stream: &mut TcpStream, mut words: impl FnMut(u32) -> Vec<u8>) {
    let (mut reader, mut writer) = stream.split();
    let mut ticks = interval(Duration::from_millis(20));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let talking = async {
        for number in 0.. {
            ticks.tick().await;
            if writer.write_all(&words(number)).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut heard = Vec::new();
    let hearing = async {
        let _ = reader.read_to_end(&mut heard).await;
    };
    let over = async {
        tokio::select! {
            () = hearing => {}
            () = talking => {}
        }
    };
    timeout(LONG, over).await.expect("it is ended, whatever is said");
}

#[tokio::test]
async fn who_connects_and_says_nothing_or_half_a_head_is_ended() {
    let service = listening(PATIENCE, 100).await;
    let mut silent = service.connect().await;
    assert!(heard_to_the_end(&mut silent).await.is_empty());
    let mut slow = service.connect().await;
    slow.write_all(b"GET /orders HTTP/1.1\r\n").await.expect("it is taken");
    talks_until_the_end(&mut slow, |number| format!("x-{number}: y\r\n").into_bytes()).await;
    let mut half = service.connect().await;
    half.write_all(&PREFACE[..10]).await.expect("it is taken");
    heard_to_the_end(&mut half).await;
    assert!(service.ended("silent").await >= 3.0);
    service.serves().await;
    service.stop.stop();
}

#[tokio::test]
async fn who_was_answered_and_asks_nothing_more_is_ended() {
    let service = listening(PATIENCE, 100).await;
    let mut kept = service.connect().await;
    kept.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("it is taken");
    assert!(heard_to_the_end(&mut kept).await.starts_with(b"HTTP/1.1 200 "));
    assert!(service.ended("idle").await >= 1.0);
    let mut begun = service.connect().await;
    begun.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\nGET").await.expect("it is taken");
    assert!(heard_to_the_end(&mut begun).await.starts_with(b"HTTP/1.1 200 "), "half a second head");
    service.stop.stop();
}

#[tokio::test]
async fn pings_alone_keep_no_connection_of_the_second_version() {
    let service = listening(PATIENCE, 100).await;
    let mut stream = service.connect().await;
    stream.write_all(PREFACE).await.expect("it is taken");
    talks_until_the_end(&mut stream, |_| b"\x00\x00\x08\x06\x00\x00\x00\x00\x00pingpong".to_vec()).await;
    assert!(service.ended("silent").await >= 1.0);
    service.stop.stop();
}

/// The head of an order without its body, on the stream of this number.
fn head_of_an_order(number: u32) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    for (index, name, value) in [
        (0x04, "", "/orders"),
        (0x01, "", "localhost"),
        (0x00, "idempotency-key", "k"),
        (0x00, "content-type", "application/json"),
    ] {
        block.push(index);
        for text in [name, value].into_iter().filter(|text| !text.is_empty()) {
            block.push(u8::try_from(text.len()).expect("short"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    let length = u32::try_from(block.len()).expect("short").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], 0x01, 0x04];
    frame.extend_from_slice(&(number * 2 + 1).to_be_bytes());
    frame.extend_from_slice(&block);
    frame
}

#[tokio::test]
async fn streams_without_their_bodies_keep_no_connection_either() {
    let service = listening(PATIENCE, 100).await;
    let mut stream = service.connect().await;
    stream.write_all(PREFACE).await.expect("it is taken");
    talks_until_the_end(&mut stream, head_of_an_order).await;
    assert!(service.ended("slow_body").await >= 1.0);
    service.serves().await;
    service.stop.stop();
}

#[tokio::test]
async fn a_body_that_drips_is_refused_and_its_connection_ended() {
    let service = listening(PATIENCE, 100).await;
    let mut stream = service.connect().await;
    let head =
        "POST /orders HTTP/1.1\r\nhost: localhost\r\nidempotency-key: k\r\ncontent-length: 10000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("it is taken");
    talks_until_the_end(&mut stream, |_| b" ".to_vec()).await;
    let mut again = service.connect().await;
    again.write_all(head.as_bytes()).await.expect("it is taken");
    let answer = heard_to_the_end(&mut again).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_too_slow"), "{answer}");
    service.stop.stop();
}

#[tokio::test]
async fn who_does_not_take_the_answers_is_ended() {
    let service = listening(PATIENCE, 100).await;
    let mut stream = service.connect().await;
    let ask = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(50);
    let asking = async { while stream.write_all(&ask).await.is_ok() {} };
    timeout(LONG, asking).await.expect("it is ended");
    assert!(service.ended("slow_reader").await >= 1.0);
    service.serves().await;
    service.stop.stop();
}

#[tokio::test]
async fn a_slow_reader_of_the_second_version_is_ended() {
    let service = listening(PATIENCE, 100).await;
    let mut stream = service.connect().await;
    // A window of nothing for every stream, and one request.
    let mut words = PREFACE[..24].to_vec();
    words.extend_from_slice(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00");
    words.extend_from_slice(b"\x00\x00\x0e\x01\x05\x00\x00\x00\x01\x82\x86\x84\x01\x09localhost");
    stream.write_all(&words).await.expect("it is taken");
    talks_until_the_end(&mut stream, |_| b"\x00\x00\x08\x06\x00\x00\x00\x00\x00pingpong".to_vec()).await;
    assert!(service.ended("slow_reader").await >= 1.0);
    service.stop.stop();
}

#[tokio::test]
async fn the_oldest_that_keep_us_waiting_give_way_whoever_they_are() {
    let patient = Patience { first_request: LONG, idle: LONG, body: LONG, answer: LONG };
    let service = listening(patient, 20).await;
    let mut held = Vec::new();
    for number in 0..90 {
        let mut stream = service.connect().await;
        let slow = format!("POST /orders HTTP/1.1\r\nhost: localhost\r\nidempotency-key: slow-{number}\r\n");
        let words = match number % 3 {
            0 => String::new(),
            1 => "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
            _ => format!("{slow}content-length: 9\r\n\r\n{{"),
        };
        // It may have given way already.
        let _ = stream.write_all(words.as_bytes()).await;
        held.push(stream);
        if number % 30 == 29 {
            service.serves().await;
        }
    }
    assert!(service.ended("gave_way").await >= 70.0);
    heard_to_the_end(&mut held[0]).await;
    service.stop.stop();
}
