//! What a broker shares, loses, forgets and allows, on a real one: two databases on one virtual host, bindings and consumers that are
//! gone, limits on channels and frames.

mod rabbitmq_stage;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bus::{Envelope, MessageId, Transport, Verdict};
use lapin::options::QueueDeleteOptions;
use lapin::types::FieldTable;
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use rabbitmq_stage::{
    Eye, SOON, consume, envelopes, ids, node, receive, settings, soon, transport, transport_with,
};
use testkit::servers::rabbitmq::RabbitMq;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A consumer may hear nothing for longer than this before it is opened anew for that alone.
const SILENCE_MIN: Duration = Duration::from_secs(12);

/// How long opening a consumer may take where nothing is the matter.
const OPENING: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_host_belongs_to_one_database_and_another_is_refused_by_name() {
    let address = node().vhost().unwrap();
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    for worker in [transport(&address), transport(&address)] {
        worker.claim(one).await.unwrap();
    }
    let stranger = transport(&address);
    let fault = stranger.claim(other).await.unwrap_err();
    assert_eq!(fault.verdict, Verdict::GiveUp, "{fault}");
    let text = fault.to_string();
    assert!(text.contains("belongs to another database") && text.contains(&other.to_string()), "{text}");
    assert!(text.contains(&one.to_string()), "the broker names the other: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_back_is_sent_again_as_soon_as_its_binding_is_there() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    let all = envelopes("K", 2);
    transport.send(&all[..1]).await.unwrap();
    let eye = Eye::on(&address).await;
    let unbinding = eye.channel.queue_unbind("q".into(), "q".into(), "".into(), FieldTable::default());
    unbinding.await.unwrap();
    soon("the second sending", transport.send(&all[1..])).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    assert_eq!(consume(feed.as_mut(), 2).await, ids(&all));
}

/// A transport that reads, and whose queue was deleted and declared anew at once after the first message: RabbitMQ 3.10.8 then keeps
/// the consumer, counts it, and sends it nothing.
async fn forgotten(
    address: &str,
    first: &[Envelope],
) -> (RabbitMqTransport, Eye, JoinHandle<BTreeSet<MessageId>>) {
    let (reader, other) = (transport(address), transport(address));
    let mut feed = reader.subscribe("q").await.unwrap();
    reader.send(first).await.unwrap();
    assert_eq!(consume(feed.as_mut(), 1).await, ids(first));
    other.declare().await.unwrap();
    let reading = tokio::spawn(async move { consume(feed.as_mut(), 1).await });
    let eye = Eye::on(address).await;
    eye.channel.queue_delete("q".into(), QueueDeleteOptions::default()).await.unwrap();
    other.claim(Uuid::from_u128(1)).await.unwrap();
    (reader, eye, reading)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_and_declared_anew_at_once_is_read_again() {
    let address = node().vhost().unwrap();
    let all = envelopes("K", 2);
    let (reader, _, reading) = forgotten(&address, &all[..1]).await;
    reader.send(&all[1..]).await.unwrap();
    assert_eq!(reading.await.unwrap(), ids(&all[1..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_back_has_its_reader_looked_after_at_once() {
    let address = node().vhost().unwrap();
    let all = envelopes("K", 2);
    let (reader, eye, reading) = forgotten(&address, &all[..1]).await;
    let unbinding = eye.channel.queue_unbind("q".into(), "q".into(), "".into(), FieldTable::default());
    unbinding.await.unwrap();
    let began_at = Instant::now();
    reader.send(&all[1..]).await.unwrap();
    assert_eq!(reading.await.unwrap(), ids(&all[1..]));
    // A consumer that is only silent would wait longer.
    assert!(began_at.elapsed() < SILENCE_MIN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_too_many_is_refused_alone() {
    let broker = RabbitMq::start_with("channel_max = 5").unwrap();
    let transport = transport(&broker.vhost().unwrap());
    let all = envelopes("K", 1);
    transport.send(&all).await.unwrap();
    let mut first = transport.subscribe("q").await.unwrap();
    let held = receive(first.as_mut(), 1).await;
    let mut refusals = Vec::new();
    let mut others = Vec::new();
    while refusals.is_empty() {
        let mut feed = transport.subscribe("other").await.unwrap();
        let waiting = tokio::time::timeout(OPENING, feed.receive(1)).await;
        refusals.extend(waiting.ok().map(|received| received.unwrap_err().to_string()));
        others.push(feed);
    }
    assert!(refusals[0].contains("allows 5 channels"), "{refusals:?}");
    // Another channel would not know the delivery.
    let receipts: Vec<_> = held.into_iter().map(|delivery| delivery.receipt).collect();
    first.acknowledge(&receipts).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_with_too_few_channels_or_too_small_frames_is_refused_with_what_to_change() {
    for (line, verdict, said) in [
        ("channel_max = 4", Verdict::GiveUp, "allows 4 channels on a connection, and this service needs 5"),
        ("frame_max = 4096", Verdict::Retry, "frame_max must be at least 8192"),
    ] {
        let broker = RabbitMq::start_with(line).unwrap();
        let address = broker.vhost().unwrap();
        // It hangs up only after three seconds.
        let patient = RabbitMqSettings { connect_limit: SOON, ..settings(&[&address]) };
        let fault = transport_with(&patient).declare().await.unwrap_err();
        assert_eq!(fault.verdict, verdict, "{fault}");
        assert!(fault.to_string().contains(said), "{fault}");
    }
}
