//! What becomes of a message at the broker that fails: it comes again to its own queue alone, and what cannot be read does not come
//! again at all. Rows are on SQLite; a relay takes what leaves the outbox to the broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use application::ports::AnyUnit;
use bus::{
    CorrelationId, DeadLetter, DeadLetterFilter, DeadLetters, EndpointPolicy, Envelope, Fault, Feed, Host,
    Message, MessageId, Registry, RetryPolicy, Routing, Stop, Supervisor, Timestamp, Topology, Transport,
    Work,
};
use bus_rabbitmq::RabbitMqTransport;
use bytes::Bytes;
use infrastructure::sqlite::{SqliteOptions, SqliteStore};
use orderwright_testkit::servers::rabbitmq::RabbitMq;
use tokio::sync::Notify;
use uuid::Uuid;

/// How long anything may take that is to happen at once.
const SOON: Duration = Duration::from_secs(60);

/// A number, which is refused as often as it says.
struct Sum {
    refused: u32,
}

impl Message for Sum {
    const KINDS: &'static [&'static str] = &["Sum"];

    fn kind(&self) -> &'static str {
        "Sum"
    }

    fn encode(&self) -> Bytes {
        Bytes::from(format!("{{\"refused\":{}}}", self.refused))
    }

    fn decode(_kind: &str, body: &[u8]) -> Result<Self, Fault> {
        let body: serde_json::Value = bus::from_json(body)?;
        let refused =
            body["refused"].as_u64().ok_or_else(|| Fault::give_up("message.decode", "no number"))?;
        Ok(Self { refused: u32::try_from(refused).expect("a small number") })
    }
}

/// How often a handler was called, and when it succeeded.
#[derive(Default)]
struct Seen {
    calls: AtomicU32,
    handled: Notify,
}

/// A worker with one consumer, whose transport is `transport`.
fn start(store: &SqliteStore, registry: &Registry<AnyUnit>, transport: &RabbitMqTransport) -> Supervisor {
    let mut host = Host::<AnyUnit>::new(Arc::new(store.clone()), Arc::new(transport.clone()));
    host.policy = EndpointPolicy { redelivery: RetryPolicy::immediate(5), ..EndpointPolicy::default() };
    let mut supervisor = Supervisor::new(Stop::new());
    registry.start(&(), &host, &mut supervisor);
    host.relay(Arc::new(store.clone())).start("relay", &mut supervisor);
    supervisor
}

fn message(number: u128, body: &str) -> Envelope {
    let id = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | number);
    let body = Bytes::from(body.to_owned());
    Envelope::first(MessageId(id), CorrelationId(id), "Sum", body, Timestamp::UNIX_EPOCH)
}

/// Everything that comes until this message does.
async fn heard_until(feed: &mut dyn Feed, last: MessageId) -> Vec<MessageId> {
    let mut heard = Vec::new();
    while heard.last() != Some(&last) {
        let received = tokio::time::timeout(SOON, feed.receive(1)).await.expect("it comes").unwrap();
        heard.extend(received.into_iter().map(|delivery| delivery.envelope.id));
    }
    heard
}

async fn dead_letters(store: &SqliteStore, count: usize) -> Vec<DeadLetter> {
    let looking = async {
        loop {
            let dead = store.list_dead_letters(&DeadLetterFilter::default(), 9).await.unwrap();
            if dead.len() == count {
                return dead;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, looking).await.expect("it dies")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_comes_again_to_its_own_queue_alone_and_what_cannot_be_read_never_does() {
    let node = RabbitMq::start().unwrap();
    let address = node.vhost().unwrap();
    let seen = Arc::new(Seen::default());
    let eye = Arc::clone(&seen);
    let registry =
        Registry::<AnyUnit>::new().handler("sums", move |_: &mut AnyUnit, work: &mut Work<Sum>| {
            let is_refused = work.envelope().attempt < work.message.refused;
            eye.calls.fetch_add(1, Ordering::AcqRel);
            if !is_refused {
                eye.handled.notify_one();
            }
            std::future::ready(if is_refused { Err(Fault::give_up("sum", "refused")) } else { Ok(()) })
        });
    let store = SqliteStore::in_memory(SqliteOptions::new(registry.topology(), Routing::Outbox)).unwrap();
    let ours = RabbitMqTransport::connect(&address, registry.topology()).await.unwrap();
    let theirs = Topology::default().subscribe("theirs", &["Sum"]);
    let theirs = RabbitMqTransport::connect(&address, theirs).await.unwrap();
    let mut feed = theirs.subscribe("theirs").await.unwrap();
    let _supervisor = start(&store, &registry, &ours);

    let (failing, unreadable, last) =
        (message(1, "{\"refused\":2}"), message(2, "{\"amount\":2}"), message(3, "{\"refused\":0}"));
    theirs.send(std::slice::from_ref(&failing)).await.unwrap();
    tokio::time::timeout(SOON, seen.handled.notified()).await.expect("the third attempt succeeds");
    assert_eq!(seen.calls.load(Ordering::Acquire), 3);
    theirs.send(std::slice::from_ref(&unreadable)).await.unwrap();
    let [dead] = dead_letters(&store, 1).await.try_into().unwrap();
    assert_eq!((dead.envelope.id, dead.envelope.attempt), (unreadable.id, 1), "it was tried once");
    assert!(dead.reason.contains("no number"), "{}", dead.reason);
    theirs.send(std::slice::from_ref(&last)).await.unwrap();
    let heard = heard_until(feed.as_mut(), last.id).await;
    assert_eq!(heard, [failing.id, unreadable.id, last.id], "each came to the other listener once");
}
