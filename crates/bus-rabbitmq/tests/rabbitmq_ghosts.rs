//! Consumers that nobody reads, and such as nobody may lose: a broker that answers late, played by this program, finds no channel of
//! ours still open, and one that refuses a second consumer keeps the first.

mod rabbitmq_frames;

use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::{Clock, IdSource, RandomIds, SystemClock, Topology, Transport};
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use rabbitmq_frames::{answer, consumed, deliver, greet, listen, read, short, write};

/// How long anything may take that is to happen at once.
const SOON: Duration = Duration::from_secs(30);

/// What the false broker tells of.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Somebody wants to read a queue over this channel.
    Consume(u16),
    /// Somebody closes this channel.
    Close(u16),
    /// Somebody ends a consumer on this channel.
    Cancel(u16),
    /// Somebody rejects what was delivered on this channel.
    Reject(u16),
}

/// Serves one connection. The first who wants to read is answered only when he has given up.
fn serve(mut stream: TcpStream, seen: &Sender<Seen>) {
    if greet(&mut stream).is_none() {
        return;
    }
    let mut late: Option<(u16, Vec<u8>)> = None;
    let mut is_first = true;
    while let Some(method) = read(&mut stream) {
        let channel = method.channel;
        match method.id {
            (20, 40) => {
                let _ = seen.send(Seen::Close(channel));
                if let Some((_, tag)) = late.take_if(|(late, _)| *late == channel) {
                    write(&mut stream, channel, (60, 21), &short(&tag));
                }
            }
            (60, 20) => {
                let _ = seen.send(Seen::Consume(channel));
                if std::mem::take(&mut is_first) {
                    late = Some((channel, consumed(&method.rest).1));
                    continue;
                }
            }
            _ => {}
        }
        answer(&mut stream, &method);
    }
}

fn false_broker() -> (String, Receiver<Seen>) {
    let (seen, told) = channel();
    (listen(move |_, stream| serve(stream, &seen)), told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_on_which_reading_was_given_up_is_closed_so_that_no_late_answer_makes_a_consumer_that_nobody_reads()
 {
    let (address, told) = false_broker();
    let limit = Duration::from_millis(300);
    let settings = RabbitMqSettings { confirm_limit: limit, ..RabbitMqSettings::at(vec![address]) };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::seeded(1));
    let topology = Topology::default().subscribe("q", &["K"]);
    let transport = RabbitMqTransport::new(&settings, topology, clock, &ids).unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    let reading = tokio::spawn(async move {
        let fault = feed.receive(1).await.unwrap_err();
        let again = tokio::spawn(async move { drop(feed.receive(1).await) });
        (fault.to_string(), again)
    });
    let (fault, again) = tokio::time::timeout(SOON, reading).await.expect("it gives up").unwrap();
    assert!(fault.contains("the channel is closed"), "{fault}");
    let next = || told.recv_timeout(SOON).expect("the broker sees it");
    let given_up = loop {
        if let Seen::Consume(channel) = next() {
            break channel;
        }
    };
    // The broker is waited for in vain if the channel stays open, or if nobody reads any more.
    let is_another = |seen: &Seen| matches!(seen, Seen::Consume(channel) if *channel != given_up);
    let mut others = Vec::new();
    while !(others.contains(&Seen::Close(given_up)) && others.iter().any(is_another)) {
        others.push(next());
    }
    again.abort();
}

/// Serves one connection, and lets a queue be read once. A second reader is refused, and the first is sent a message. Tells what
/// happens on connections that read; what is sent over others is never confirmed.
fn serve_one_reader(mut stream: TcpStream, seen: &Sender<Seen>) {
    if greet(&mut stream).is_none() {
        return;
    }
    let mut first: Option<(u16, Vec<u8>)> = None;
    while let Some(method) = read(&mut stream) {
        let channel = method.channel;
        let heard = match method.id {
            (60, 20) => Some(Seen::Consume(channel)),
            (20, 40) => Some(Seen::Close(channel)),
            (60, 30) => Some(Seen::Cancel(channel)),
            (60, 90) => Some(Seen::Reject(channel)),
            _ => None,
        };
        if first.is_some() || method.id == (60, 20) {
            heard.map(|heard| seen.send(heard));
        }
        match (&first, method.id) {
            (None, (60, 20)) => first = Some((channel, consumed(&method.rest).1)),
            (Some((reader, tag)), (60, 20)) => {
                let close =
                    [&405_u16.to_be_bytes()[..], &short(b"RESOURCE_LOCKED"), &[0, 60, 0, 20]].concat();
                write(&mut stream, channel, (20, 40), &close);
                deliver(&mut stream, *reader, tag);
                continue;
            }
            _ => {}
        }
        answer(&mut stream, &method);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_hears_nothing_stays_until_another_one_takes_its_place() {
    let (seen, told) = channel();
    let address = listen(move |_, stream| serve_one_reader(stream, &seen));
    let (clock, ids): (Arc<dyn Clock>, Arc<dyn IdSource>) =
        (Arc::new(SystemClock), Arc::new(RandomIds::seeded(1)));
    let topology = Topology::default().subscribe("q", &["K"]);
    let confirm_limit = Duration::from_secs(1);
    let settings = RabbitMqSettings { confirm_limit, ..RabbitMqSettings::at(vec![address]) };
    let transport = RabbitMqTransport::new(&settings, topology, clock, &ids).unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    let reading = tokio::spawn(async move { feed.receive(1).await.map(|all| all.len()) });
    let next = || told.recv_timeout(SOON).expect("the broker sees it");
    let first = loop {
        if let Seen::Consume(channel) = next() {
            break channel;
        }
    };
    let rejected_on = loop {
        match next() {
            Seen::Close(channel) | Seen::Cancel(channel) => assert_ne!(channel, first, "the reader is gone"),
            Seen::Consume(_) => {}
            Seen::Reject(channel) => break channel,
        }
    };
    assert_eq!(rejected_on, first, "what came could not be read, but was heard");
    let amiss = transport.unfit().join("; ");
    assert!(amiss.contains("no consumer of the queue 'q' could be opened here"), "{amiss}");
    reading.abort();
}

/// Serves one connection, and answers whoever wants to read only when it is told to.
fn serve_in_time(mut stream: TcpStream, seen: &Sender<Seen>, go: &Mutex<Receiver<()>>) {
    if greet(&mut stream).is_none() {
        return;
    }
    while let Some(method) = read(&mut stream) {
        let heard = match method.id {
            (60, 20) => Some(Seen::Consume(method.channel)),
            (20, 40) => Some(Seen::Close(method.channel)),
            (60, 30) => Some(Seen::Cancel(method.channel)),
            _ => None,
        };
        heard.map(|heard| seen.send(heard));
        if method.id == (60, 20) {
            let _ = go.lock().unwrap().recv();
        }
        answer(&mut stream, &method);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_dropped_while_it_opens_leaves_no_consumer_behind() {
    let ((seen, told), (go, waiting)) = (channel(), channel());
    let waiting = Arc::new(Mutex::new(waiting));
    let address = listen(move |_, stream| serve_in_time(stream, &seen, &waiting));
    let (clock, ids): (Arc<dyn Clock>, Arc<dyn IdSource>) =
        (Arc::new(SystemClock), Arc::new(RandomIds::seeded(1)));
    let topology = Topology::default().subscribe("q", &["K"]);
    let settings = RabbitMqSettings::at(vec![address]);
    let transport = RabbitMqTransport::new(&settings, topology, clock, &ids).unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    let reading = tokio::spawn(async move { feed.receive(1).await.map(|all| all.len()) });
    let next = || told.recv_timeout(SOON).expect("the broker sees it");
    let asked = loop {
        if let Seen::Consume(channel) = next() {
            break channel;
        }
    };
    reading.abort();
    assert!(reading.await.unwrap_err().is_cancelled());
    go.send(()).unwrap();
    while !matches!(next(), Seen::Cancel(channel) | Seen::Close(channel) if channel == asked) {}
}
