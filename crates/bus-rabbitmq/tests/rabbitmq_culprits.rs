//! A queue with a message that makes the broker close the connection: a broker played by this program does so as soon as somebody
//! reads that queue.

mod rabbitmq_frames;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bus::{Clock, IdSource, RandomIds, SystemClock, Topology, Transport};
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use rabbitmq_frames::{answer, consumed, greet, listen, read, short, write};

/// How long anything may take that is to happen at once.
const SOON: Duration = Duration::from_secs(60);

const QUEUES: [&str; 10] = ["q0", "q1", "the culprit", "q3", "q4", "q5", "q6", "q7", "q8", "q9"];

/// Who reads what, by connection; and when the culprit was read.
#[derive(Default)]
struct Seen {
    readers: BTreeMap<u64, BTreeSet<String>>,
    attempts: Vec<Instant>,
}

/// Serves one connection until somebody reads the culprit there.
fn serve(number: u64, mut stream: TcpStream, seen: &Mutex<Seen>) {
    if greet(&mut stream).is_none() {
        return;
    }
    while let Some(method) = read(&mut stream) {
        answer(&mut stream, &method);
        if method.id != (60, 20) {
            continue;
        }
        let (queue, _) = consumed(&method.rest);
        if queue == QUEUES[2] {
            seen.lock().unwrap().attempts.push(Instant::now());
            let close = [&541_u16.to_be_bytes()[..], &short(b"INTERNAL_ERROR"), &[0; 4]].concat();
            write(&mut stream, 0, (10, 50), &close);
            break;
        }
        seen.lock().unwrap().readers.entry(number).or_default().insert(queue);
    }
    seen.lock().unwrap().readers.remove(&number);
    // Reads the goodbye, so that the close arrives before the end of the stream.
    while read(&mut stream).is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_whose_consumer_makes_the_broker_close_the_connection_is_named_and_read_apart_from_the_others()
 {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let eye = Arc::clone(&seen);
    let address = listen(move |number, stream| serve(number, stream, &eye));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::seeded(1));
    let topology = QUEUES.iter().fold(Topology::default(), |all, queue| all.subscribe(queue, &["K"]));
    let settings = RabbitMqSettings::at(vec![address]);
    let transport = RabbitMqTransport::new(&settings, topology, clock, &ids).unwrap();
    let readers: Vec<_> = QUEUES
        .iter()
        .map(|queue| {
            let transport = transport.clone();
            tokio::spawn(async move {
                let mut feed = transport.subscribe(queue).await.unwrap();
                loop {
                    let _ = feed.receive(1).await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    // The others are read on one connection, and that one stays while the culprit is tried again.
    let others = QUEUES.into_iter().filter(|queue| *queue != QUEUES[2]).map(str::to_owned).collect();
    let is_calm = || {
        let seen = seen.lock().unwrap();
        let whole = seen.readers.iter().find(|(_, read)| **read == others);
        whole.map(|(connection, _)| (*connection, seen.attempts.len()))
    };
    let calm = async {
        let mut first = None;
        loop {
            match (first, is_calm()) {
                (Some((connection, attempts)), Some((now, later))) if connection == now => {
                    if later >= attempts + 3 {
                        return;
                    }
                }
                (_, now) => first = now,
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, calm).await.expect("the others are read in peace");
    let told = transport.unfit().join("; ");
    assert!(told.contains("'the culprit'") && told.contains("541") && !told.contains("'q"), "{told}");
    let attempts = seen.lock().unwrap().attempts.clone();
    let pauses: Vec<Duration> = attempts.windows(2).map(|two| two[1] - two[0]).rev().take(2).collect();
    assert!(pauses[0] > pauses[1], "its pause grows: {pauses:?}");
    readers.iter().for_each(tokio::task::JoinHandle::abort);
}
