//! What the tests on RabbitMQ stand on: one node for each test program, one virtual host for each test, and an eye on the
//! broker that does not go through the adapter.

#![allow(dead_code, reason = "each test program uses its own part of the stage")]

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bus::{
    Clock, CorrelationId, Delivery, Envelope, Feed, IdSource, MessageId, RandomIds, SystemClock, Topology,
};
use bytes::Bytes;
use futures_util::FutureExt;
use jiff::Timestamp;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, BasicRejectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use testkit::servers::rabbitmq::RabbitMq;
use uuid::Uuid;

/// How long anything may take that is to happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The time of every message here.
pub(crate) const SENT_AT: Timestamp = Timestamp::constant(1_700_000_000, 123_456_000);

/// The node that all tests of a program share.
pub(crate) fn node() -> &'static RabbitMq {
    static NODE: OnceLock<RabbitMq> = OnceLock::new();
    NODE.get_or_init(|| RabbitMq::start().unwrap())
}

/// Queue `q` wants `K` and `L`, queue `other` wants `L` too.
pub(crate) fn topology() -> Topology {
    Topology::default().subscribe("q", &["K", "L"]).subscribe("other", &["L"])
}

pub(crate) fn settings(addresses: &[&str]) -> RabbitMqSettings {
    let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
    RabbitMqSettings {
        batch_max: 5,
        connect_limit: Duration::from_secs(3),
        confirm_limit: Duration::from_secs(5),
        ..RabbitMqSettings::at(addresses)
    }
}

pub(crate) fn transport_with(settings: &RabbitMqSettings) -> RabbitMqTransport {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::seeded(1));
    RabbitMqTransport::new(settings, topology(), clock, &ids).unwrap()
}

pub(crate) fn transport(address: &str) -> RabbitMqTransport {
    transport_with(&settings(&[address]))
}

pub(crate) fn envelope(kind: &str, number: u32) -> Envelope {
    let id = MessageId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(number)));
    let body = Bytes::from(format!("{{\"meter_id\":\"{}\",\"number\":{number}}}", id.0));
    // One without a trace gets one on its way.
    let traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    Envelope { traceparent, ..Envelope::first(id, CorrelationId(id.0), kind, body, SENT_AT) }
}

pub(crate) fn envelopes(kind: &str, count: u32) -> Vec<Envelope> {
    (0..count).map(|number| envelope(kind, number)).collect()
}

pub(crate) fn ids(envelopes: &[Envelope]) -> BTreeSet<MessageId> {
    envelopes.iter().map(|envelope| envelope.id).collect()
}

/// Whatever happens, a test that waits for nothing ends.
pub(crate) async fn soon<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, waiting)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen within {SOON:?}"))
}

/// Deliveries, at least so many.
pub(crate) async fn receive(feed: &mut dyn Feed, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    let receiving = async {
        while all.len() < count {
            // A loss is told once; the next asking opens anew.
            all.extend(feed.receive(100).await.unwrap_or_default());
        }
    };
    soon("the deliveries", receiving).await;
    all
}

/// The same, each acknowledged.
pub(crate) async fn consume(feed: &mut dyn Feed, count: usize) -> BTreeSet<MessageId> {
    let mut seen = BTreeSet::new();
    let consuming = async {
        while seen.len() < count {
            let Ok(deliveries) = feed.receive(100).await else { continue };
            seen.extend(deliveries.iter().map(|delivery| delivery.envelope.id));
            let receipts: Vec<_> = deliveries.into_iter().map(|delivery| delivery.receipt).collect();
            let _ = feed.acknowledge(&receipts).await;
        }
    };
    soon("the deliveries", consuming).await;
    seen
}

/// Reads on, without anything to come, until every delivery has had its last word.
pub(crate) async fn settled(transport: &RabbitMqTransport, feed: &mut dyn Feed) {
    let settling = async {
        while transport.queue_depths().await.unwrap().iter().any(|depth| depth.held > 0) {
            assert!(feed.receive(1).now_or_never().is_none_or(|received| received.unwrap().is_empty()));
        }
    };
    soon("the last word about each delivery", settling).await;
}

/// A channel of the test's own.
pub(crate) struct Eye {
    pub(crate) channel: Channel,
    connection: Connection,
}

impl Eye {
    pub(crate) async fn on(address: &str) -> Self {
        let connection = Connection::connect(address, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self { channel, connection }
    }

    /// Messages that wait in a queue and that nobody has.
    pub(crate) async fn ready(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap();
        queue.message_count()
    }

    /// Waits until so many messages wait in a queue; a queue counts behind what it does.
    pub(crate) async fn await_ready(&self, queue: &str, count: u32) {
        let counting = async {
            while self.ready(queue).await != count {
                tokio::task::yield_now().await;
            }
        };
        soon("the queue's count", counting).await;
    }

    /// A queue of another program that hears of what comes to an exchange.
    pub(crate) async fn bind(&self, queue: &str, exchange: &str) {
        let options = QueueDeclareOptions::durable();
        self.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        self.channel.queue_bind(queue.into(), exchange.into(), "".into(), options, none).await.unwrap();
    }

    /// An endpoint as MassTransit makes one for answers: an exchange that goes with its queue.
    pub(crate) async fn endpoint(&self, name: &str) {
        let options = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
        let (fanout, none) = (ExchangeKind::Fanout, FieldTable::default());
        self.channel.exchange_declare(name.into(), fanout, options, none).await.unwrap();
        self.bind(name, name).await;
    }

    /// Puts bytes into a queue that are no message of ours.
    pub(crate) async fn put(&self, queue: &str, bytes: &[u8]) {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        self.channel.basic_publish("".into(), queue.into(), options, bytes, properties).await.unwrap();
    }

    /// Sends a message to a queue and takes it out again: from then on the queue is ready.
    pub(crate) async fn send_through(&self, queue: &str) {
        self.put(queue, b"").await;
        self.take(queue).await;
    }

    /// Looks at a message of a queue, once there is one, and gives it back as one that failed.
    pub(crate) async fn look(&self, queue: &str) {
        let looking = async {
            loop {
                let options = BasicGetOptions { no_ack: false };
                if let Some(message) = self.channel.basic_get(queue.into(), options).await.unwrap() {
                    return message.delivery.delivery_tag;
                }
            }
        };
        let tag = soon("the message", looking).await;
        self.channel.basic_reject(tag, BasicRejectOptions { requeue: true }).await.unwrap();
    }

    /// Takes a message out of a queue, once there is one.
    pub(crate) async fn take(&self, queue: &str) -> lapin::message::Delivery {
        let taking = async {
            loop {
                let options = BasicGetOptions { no_ack: true };
                if let Some(message) = self.channel.basic_get(queue.into(), options).await.unwrap() {
                    return message.delivery;
                }
            }
        };
        soon("the message", taking).await
    }
}
