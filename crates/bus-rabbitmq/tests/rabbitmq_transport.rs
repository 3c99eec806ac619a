//! The transport against a real broker that stays up: what is sent arrives once and as it was, and nothing is lost or
//! acknowledged by mistake.

mod rabbitmq_stage;

use std::collections::BTreeSet;

use bus::{DeadLetter, Envelope, Transport, Verdict, marked};
use lapin::BasicProperties;
use lapin::options::{
    BasicPublishOptions, ExchangeBindOptions, ExchangeUnbindOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use orderwright_bus_rabbitmq::{QueueKind, RabbitMqSettings};
use rabbitmq_stage::{
    Eye, SENT_AT, consume, envelope, envelopes, ids, node, receive, settings, settled, soon, transport,
    transport_with,
};
use testkit::proxy::Proxy;

#[tokio::test]
async fn what_is_sent_arrives_in_every_queue_that_wants_it_and_as_it_was() {
    let transport = transport(&node().vhost().unwrap());
    let mut sent = envelope("L", 1);
    sent.causation_id = Some(envelope("K", 7).id);
    sent.conversation_id = envelope("K", 8).id;
    sent.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".into());
    sent.attempt = 3;
    transport.send(std::slice::from_ref(&sent)).await.unwrap();
    for queue in ["q", "other"] {
        let mut feed = transport.subscribe(queue).await.unwrap();
        let delivered = receive(feed.as_mut(), 1).await;
        assert_eq!(*delivered[0].envelope, sent);
        assert_eq!(&*delivered[0].receipt.queue, queue);
    }
}

#[tokio::test]
async fn a_message_of_many_frames_arrives_whole() {
    let transport = transport(&node().vhost().unwrap());
    let text: String = (0..1_000).map(|number| char::from(b'a' + (number % 26) as u8)).collect();
    let mut sent = envelope("K", 1);
    sent.body = serde_json::to_vec(&serde_json::json!({ "texts": vec![text; 400] })).unwrap().into();
    transport.send(std::slice::from_ref(&sent)).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    assert_eq!(*receive(feed.as_mut(), 1).await[0].envelope, sent);
}

#[tokio::test]
async fn what_is_acknowledged_in_any_sequence_is_gone_and_the_rest_comes_again() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    let sent = envelopes("K", 8);
    transport.send(&sent).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    let delivered = receive(feed.as_mut(), 8).await;
    let (done, left): (Vec<_>, Vec<_>) =
        delivered.into_iter().enumerate().partition(|(at, _)| [0, 1, 2, 5].contains(at));
    let receipts: Vec<_> = done.into_iter().map(|(_, delivery)| delivery.receipt).collect();
    feed.acknowledge(&receipts).await.unwrap();
    // Twice is once.
    feed.acknowledge(&receipts).await.unwrap();
    drop(feed);
    let left: BTreeSet<_> = left.into_iter().map(|(_, delivery)| delivery.envelope.id).collect();
    let mut feed = transport.subscribe("q").await.unwrap();
    assert_eq!(consume(feed.as_mut(), 4).await, left);
    drop(feed);
    Eye::on(&address).await.await_ready("q", 0).await;
}

#[tokio::test]
async fn what_a_process_had_when_it_died_comes_to_another() {
    let address = node().vhost().unwrap();
    let sent = envelopes("K", 3);
    let died = tokio::task::spawn_blocking({
        let (address, sent) = (address.clone(), sent.clone());
        move || {
            // A runtime that is dropped takes everything with it, without a word to the broker: the way there, too, lives in it,
            // since the driver's own thread would hold its connection until the broker misses the heartbeats.
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let (way, address) = Proxy::before(&address).await.unwrap();
                std::mem::forget(way);
                let transport = transport(&address);
                transport.send(&sent).await.unwrap();
                let mut feed = transport.subscribe("q").await.unwrap();
                let delivered = receive(feed.as_mut(), 3).await;
                std::mem::forget(feed);
                delivered.len()
            })
        }
    });
    assert_eq!(died.await.unwrap(), 3);
    let mut feed = transport(&address).subscribe("q").await.unwrap();
    assert_eq!(consume(feed.as_mut(), 3).await, ids(&sent));
}

#[tokio::test]
async fn a_receipt_of_a_channel_that_is_gone_acknowledges_nothing() {
    let transport = transport(&node().vhost().unwrap());
    transport.send(&envelopes("K", 2)).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    let old = receive(feed.as_mut(), 2).await;
    drop(feed);
    let mut feed = transport.subscribe("q").await.unwrap();
    let new = receive(feed.as_mut(), 2).await;
    let receipts: Vec<_> = old.into_iter().map(|delivery| delivery.receipt).collect();
    let fault = feed.acknowledge(&receipts).await.unwrap_err();
    assert_eq!(fault.verdict, Verdict::Retry);
    drop(feed);
    let mut feed = transport.subscribe("q").await.unwrap();
    assert_eq!(consume(feed.as_mut(), new.len()).await.len(), 2);
}

#[tokio::test]
async fn bytes_that_are_no_message_go_to_the_error_queue_and_hold_up_nobody() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    // Of a dead letter whose queue is not ready yet, RabbitMQ thinks again after three minutes.
    eye.send_through("q_error").await;
    let publish = eye.channel.basic_publish(
        "q".into(),
        "".into(),
        BasicPublishOptions::default(),
        b"\xFF not a message",
        BasicProperties::default().with_content_type("application/vnd.masstransit+json".into()),
    );
    publish.await.unwrap().await.unwrap();
    transport.send(&[envelope("K", 1)]).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    assert_eq!(consume(feed.as_mut(), 1).await.len(), 1);
    let poison = eye.take("q_error").await;
    assert_eq!(poison.data, b"\xFF not a message");
    assert!(poison.properties.headers().as_ref().unwrap().contains_key("MT-Fault-Message"));
    settled(&transport, feed.as_mut()).await;
    drop(feed);
    eye.await_ready("q", 0).await;
}

#[tokio::test]
async fn a_message_that_no_queue_would_get_is_sent_again_once_its_binding_is_made_anew() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    let exchange = "Contracts:K";
    let options = ExchangeUnbindOptions::default();
    let (inbox, none) = ("q_inbox".into(), FieldTable::default());
    eye.channel.exchange_unbind(inbox, exchange.into(), "".into(), options, none).await.unwrap();
    let lost = envelope("K", 2);
    transport.send(&[envelope("L", 1), lost.clone(), envelope("L", 3)]).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    let received = receive(feed.as_mut(), 3).await;
    assert!(received.iter().any(|delivery| *delivery.envelope == lost), "{received:?}");
}

#[tokio::test]
async fn news_that_nobody_wants_is_no_error_and_a_service_that_binds_the_exchange_gets_it() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.send(&[envelope("News", 1)]).await.unwrap();
    let eye = Eye::on(&address).await;
    bind(&eye, "theirs", "Contracts:News").await;
    transport.send(&[envelope("News", 2)]).await.unwrap();
    let news = eye.take("theirs").await;
    assert_eq!(news.properties.message_id().as_ref().unwrap().as_str(), envelope("News", 2).id.to_string());
}

#[tokio::test]
async fn a_full_queue_of_somebody_elses_holds_up_nothing_but_what_it_refuses() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.send(&[envelope("News", 1)]).await.unwrap();
    let eye = Eye::on(&address).await;
    let mut full = FieldTable::default();
    full.insert("x-max-length".into(), AMQPValue::LongInt(0));
    full.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let options = QueueDeclareOptions::durable();
    eye.channel.queue_declare("theirs".into(), options, full).await.unwrap();
    let (exchange, none) = ("Contracts:News".into(), FieldTable::default());
    eye.channel
        .queue_bind("theirs".into(), exchange, "".into(), QueueBindOptions::default(), none)
        .await
        .unwrap();
    let unsent =
        transport.send(&[envelope("K", 1), envelope("News", 2), envelope("K", 3)]).await.unwrap_err();
    assert_eq!((unsent.confirmed, unsent.refused), (vec![0, 2], vec![1]));
    assert_eq!(unsent.fault.verdict, Verdict::Retry);
    eye.await_ready("q", 2).await;
}

#[tokio::test]
async fn news_of_what_a_queue_has_handled_reaches_everybody_but_that_queue() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    bind(&eye, "theirs", "Contracts:K").await;
    let (handled, fresh) = (envelope("K", 1), envelope("K", 2));
    let news = Envelope { kind: marked("q", "K").into(), ..handled.clone() };
    transport.send(&[news, fresh.clone()]).await.unwrap();
    for message in [handled, fresh.clone()] {
        let heard = eye.take("theirs").await;
        let properties = heard.properties;
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), message.id.to_string());
        let body: serde_json::Value = serde_json::from_slice(&heard.data).unwrap();
        assert_eq!(body["messageType"][0], "urn:message:Contracts:K");
    }
    let mut feed = transport.subscribe("q").await.unwrap();
    let received = consume(feed.as_mut(), 1).await;
    assert_eq!(received, BTreeSet::from([fresh.id]));
    eye.await_ready("q", 0).await;
}

#[tokio::test]
async fn a_binding_of_earlier_versions_gives_way_and_other_routing_keys_arrive_as_ever() {
    let address = node().vhost().unwrap();
    let first = transport(&address);
    first.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    let exchange = "Contracts:K";
    let (options, none) = (ExchangeBindOptions::default(), FieldTable::default());
    eye.channel.exchange_bind("q".into(), exchange.into(), "".into(), options, none).await.unwrap();
    let second = transport(&address);
    second.declare().await.unwrap();
    second.send(&[Envelope { kind: marked("q", "K").into(), ..envelope("K", 1) }]).await.unwrap();
    let with_a_key = eye.channel.basic_publish(
        exchange.into(),
        "some.key.of.theirs".into(),
        BasicPublishOptions::default(),
        br#"{"messageId":"01923f5e-8a41-8f00-b1c2-d3e4f5061728","correlationId":"01923f5e-8a41-8f00-b1c2-d3e4f5061728","messageType":["urn:message:Contracts:K"],"message":{"number":7}}"#,
        BasicProperties::default().with_content_type("application/vnd.masstransit+json".into()),
    );
    with_a_key.await.unwrap().await.unwrap();
    let mut feed = second.subscribe("q").await.unwrap();
    let received = consume(feed.as_mut(), 1).await;
    assert_eq!(received.first().unwrap().to_string(), "01923f5e-8a41-8f00-b1c2-d3e4f5061728");
    eye.await_ready("q", 0).await;
}

#[tokio::test]
async fn a_fault_reaches_who_listens_for_faults_of_its_kind_and_who_listens_for_all() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    let dead = DeadLetter {
        position: 1,
        queue: "q".into(),
        envelope: envelope("K", 1),
        reason: "no such household".into(),
        died_at: SENT_AT,
        archived: None,
    };
    transport.publish_faults(std::slice::from_ref(&dead)).await.unwrap();
    let eye = Eye::on(&address).await;
    bind(&eye, "special", "MassTransit:Fault--Contracts:K--").await;
    bind(&eye, "general", "MassTransit:Fault").await;
    // As it leaves the outbox, as long as it takes.
    transport.send(&[dead.notice().expect("its body is JSON")]).await.unwrap();
    for queue in ["special", "general"] {
        let fault: serde_json::Value = serde_json::from_slice(&eye.take(queue).await.data).unwrap();
        assert_eq!(fault["messageType"][0], "urn:message:MassTransit:Fault[[Contracts:K]]");
        assert_eq!(fault["message"]["exceptions"][0]["message"], "no such household");
        assert_eq!(fault["message"]["message"]["number"], 1);
    }
}

#[tokio::test]
async fn no_more_is_fetched_ahead_than_two_batches() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.send(&envelopes("K", 30)).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    let held = receive(feed.as_mut(), 10).await;
    assert_eq!(held.len(), 10);
    let more = feed.receive(100);
    assert!(futures_util::FutureExt::now_or_never(more).is_none());
    let eye = Eye::on(&address).await;
    eye.await_ready("q", 20).await;
    let receipts: Vec<_> = held.into_iter().take(4).map(|delivery| delivery.receipt).collect();
    feed.acknowledge(&receipts).await.unwrap();
    assert_eq!(receive(feed.as_mut(), 4).await.len(), 4);
    eye.await_ready("q", 16).await;
}

#[tokio::test]
async fn a_batch_is_never_larger_than_asked_for_and_none_is_lost_between_two() {
    let transport = transport(&node().vhost().unwrap());
    let sent = envelopes("K", 9);
    transport.send(&sent).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 9 {
        let batch = soon("a batch", feed.receive(2)).await.unwrap();
        assert!((1..=2).contains(&batch.len()));
        seen.extend(batch.into_iter().map(|delivery| delivery.envelope.id));
    }
    assert_eq!(seen, ids(&sent));
}

#[tokio::test]
async fn asking_may_be_given_up_at_any_moment_without_losing_a_delivery() {
    let transport = transport(&node().vhost().unwrap());
    let sent = envelopes("K", 10);
    transport.send(&sent).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    let mut seen = BTreeSet::new();
    let asking = async {
        while seen.len() < 10 {
            match futures_util::FutureExt::now_or_never(feed.receive(3)) {
                Some(batch) => seen.extend(batch.unwrap().into_iter().map(|delivery| delivery.envelope.id)),
                None => tokio::task::yield_now().await,
            }
        }
    };
    soon("the deliveries", asking).await;
    assert_eq!(seen, ids(&sent));
}

#[tokio::test]
async fn the_topology_may_be_declared_twice_but_not_otherwise() {
    let address = node().vhost().unwrap();
    transport(&address).declare().await.unwrap();
    transport(&address).declare().await.unwrap();
    let changed = [
        RabbitMqSettings { queue_kind: QueueKind::Classic, ..settings(&[&address]) },
        RabbitMqSettings { delivery_limit: 7, ..settings(&[&address]) },
    ];
    for settings in changed {
        let fault = transport_with(&settings).declare().await.unwrap_err();
        assert_eq!(fault.verdict, Verdict::GiveUp);
        let text = fault.to_string();
        assert!(text.contains("the queue 'q") && text.contains("other arguments"), "{text}");
    }
}

#[tokio::test]
async fn classic_queues_carry_messages_too() {
    let address = node().vhost().unwrap();
    let settings = RabbitMqSettings { queue_kind: QueueKind::Classic, ..settings(&[&address]) };
    let transport = transport_with(&settings);
    let sent = envelopes("K", 20);
    transport.send(&sent).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    assert_eq!(consume(feed.as_mut(), 20).await, ids(&sent));
}

#[tokio::test]
async fn a_queue_that_is_deleted_under_its_consumer_is_there_again() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    let mut feed = transport.subscribe("q").await.unwrap();
    transport.send(&[envelope("K", 1)]).await.unwrap();
    assert_eq!(consume(feed.as_mut(), 1).await.len(), 1);
    let eye = Eye::on(&address).await;
    eye.channel.queue_delete("q".into(), QueueDeleteOptions::default()).await.unwrap();
    let fault = soon("the end of the consumer", feed.receive(10)).await.unwrap_err();
    assert_eq!(fault.verdict, Verdict::Retry);
    // Opens, and with that declares again.
    let opening = feed.receive(10);
    assert!(tokio::time::timeout(std::time::Duration::from_secs(2), opening).await.is_err());
    transport.send(&[envelope("K", 2)]).await.unwrap();
    assert_eq!(consume(feed.as_mut(), 1).await.len(), 1);
}

#[tokio::test]
async fn an_unknown_queue_and_a_body_that_is_no_json_are_given_up() {
    let transport = transport(&node().vhost().unwrap());
    let fault = transport.subscribe("nowhere").await.err().unwrap();
    assert_eq!(fault.verdict, Verdict::GiveUp);
    let mut bad = envelope("K", 1);
    bad.body = bytes::Bytes::from_static(b"{");
    let fault = transport.send(&[bad]).await.unwrap_err().fault;
    assert_eq!(fault.verdict, Verdict::GiveUp);
    assert!(fault.to_string().contains("not JSON"), "{fault}");
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_virtual_host_are_told_from_a_broker_that_is_away() {
    let address = node().vhost().unwrap();
    let wrong = [address.replace("orderwright@", "wrong@"), address.replace("test_", "absent_")];
    for address in wrong {
        let fault = transport(&address).declare().await.unwrap_err();
        assert_eq!(fault.verdict, Verdict::GiveUp, "{fault}");
        assert!(
            fault.to_string().contains("does not let us in") && !fault.to_string().contains("wrong@"),
            "{fault}"
        );
    }
    let fault = transport("amqp://127.0.0.1:1/test_0").declare().await.unwrap_err();
    assert_eq!(fault.verdict, Verdict::Retry, "{fault}");
}

async fn bind(eye: &Eye, queue: &str, exchange: &str) {
    let options = QueueDeclareOptions::durable();
    eye.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
    let bind = QueueBindOptions::default();
    eye.channel
        .queue_bind(queue.into(), exchange.into(), "".into(), bind, FieldTable::default())
        .await
        .unwrap();
}
