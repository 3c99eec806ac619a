//! What a broker shares, loses and forgets, on a real one: two databases on one virtual host, queues that were made anew, bindings
//! that are gone.

mod rabbitmq_stage;

use bus::{Transport, Verdict};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use rabbitmq_stage::{Eye, consume, envelopes, ids, node, soon, transport};
use uuid::Uuid;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_and_made_anew_at_once_is_read_again() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    let all = envelopes("K", 20);
    let mut feed = transport.subscribe("q").await.unwrap();
    let eye = Eye::on(&address).await;
    for (round, sent) in all.chunks(5).enumerate() {
        transport.send(sent).await.unwrap();
        assert_eq!(consume(feed.as_mut(), sent.len()).await, ids(sent), "round {round}");
        eye.channel.queue_delete("q".into(), QueueDeleteOptions::default()).await.unwrap();
        let mut arguments = FieldTable::default();
        let text = |text: &str| AMQPValue::LongString(text.as_bytes().to_vec().into());
        arguments.insert("x-queue-type".into(), text("quorum"));
        arguments.insert("x-dead-letter-exchange".into(), text("q_error"));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(100));
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        eye.channel.queue_declare("q".into(), QueueDeclareOptions::durable(), arguments).await.unwrap();
    }
}
