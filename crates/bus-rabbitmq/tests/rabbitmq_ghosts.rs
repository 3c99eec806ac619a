//! Consumers that nobody reads: a broker that answers late, played by this program, finds no channel of ours still open.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bus::{Clock, IdSource, RandomIds, SystemClock, Topology, Transport};
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};

/// How long anything may take that is to happen at once.
const SOON: Duration = Duration::from_secs(30);

/// What the false broker tells of.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Somebody wants to read a queue over this channel.
    Consume(u16),
    /// Somebody closes this channel.
    Close(u16),
}

/// A method as it travels: its channel, its class and number, and what follows.
struct Method {
    channel: u16,
    id: (u16, u16),
    rest: Vec<u8>,
}

fn read(stream: &mut TcpStream) -> Option<Method> {
    let mut head = [0; 7];
    stream.read_exact(&mut head).ok()?;
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let mut payload = vec![0; size as usize + 1];
    stream.read_exact(&mut payload).ok()?;
    payload.pop();
    let channel = u16::from_be_bytes([head[1], head[2]]);
    let number = |at: usize| payload.get(at..at + 2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
    let id = if head[0] == 1 { (number(0), number(2)) } else { (0, 0) };
    Some(Method { channel, id, rest: payload.get(4..).unwrap_or_default().to_vec() })
}

fn write(stream: &mut TcpStream, channel: u16, id: (u16, u16), rest: &[u8]) {
    let size = u32::try_from(rest.len() + 4).unwrap();
    let mut frame = vec![1];
    frame.extend(channel.to_be_bytes());
    frame.extend(size.to_be_bytes());
    frame.extend(id.0.to_be_bytes());
    frame.extend(id.1.to_be_bytes());
    frame.extend(rest);
    frame.push(0xCE);
    let _ = stream.write_all(&frame);
}

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

/// The short string that begins here.
fn short_at(bytes: &[u8], at: usize) -> &[u8] {
    &bytes[at + 1..at + 1 + usize::from(bytes[at])]
}

/// Serves one connection. The first who wants to read is answered only when he has given up.
fn serve(mut stream: TcpStream, seen: &Sender<Seen>) {
    let mut header = [0; 8];
    if stream.read_exact(&mut header).is_err() {
        return;
    }
    let start = [&[0, 9, 0, 0, 0, 0, 0, 0, 0, 5][..], b"PLAIN", &[0, 0, 0, 5], b"en_US"].concat();
    write(&mut stream, 0, (10, 10), &start);
    let mut late: Option<(u16, Vec<u8>)> = None;
    let mut is_first = true;
    while let Some(Method { channel, id, rest }) = read(&mut stream) {
        let mut answer = |id, rest: &[u8]| write(&mut stream, channel, id, rest);
        match id {
            (10, 11) => answer((10, 30), &[0, 100, 0, 2, 0, 0, 0, 0]),
            (10, 40) => answer((10, 41), &[0]),
            (10, 50) => answer((10, 51), &[]),
            (20, 10) => answer((20, 11), &[0, 0, 0, 0]),
            (20, 40) => {
                let _ = seen.send(Seen::Close(channel));
                if let Some((_, tag)) = late.take_if(|(late, _)| *late == channel) {
                    answer((60, 21), &short(&tag));
                }
                answer((20, 41), &[]);
            }
            (40, 10) => answer((40, 11), &[]),
            (40, 30) => answer((40, 31), &[]),
            (40, 40) => answer((40, 51), &[]),
            (50, 10) => answer((50, 11), &[short(short_at(&rest, 2)), vec![0; 7], vec![1]].concat()),
            (50, 20) => answer((50, 21), &[]),
            (60, 10) => answer((60, 11), &[]),
            (60, 20) => {
                let queue = short_at(&rest, 2);
                let tag = short_at(&rest, 3 + queue.len()).to_vec();
                if is_first {
                    late = Some((channel, tag));
                } else {
                    answer((60, 21), &short(&tag));
                }
                is_first = false;
                let _ = seen.send(Seen::Consume(channel));
            }
            (85, 10) => answer((85, 11), &[]),
            _ => {}
        }
    }
}

fn false_broker() -> (String, Receiver<Seen>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("amqp://127.0.0.1:{}/test", listener.local_addr().unwrap().port());
    let (seen, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = seen.clone();
            std::thread::spawn(move || serve(stream, &seen));
        }
    });
    (address, told)
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
