//! What lies in the queues beside the queues: that it is seen there, why it is there, and that looking at it does not lose it.

mod rabbitmq_stage;

use bus::{AsideCause, ErrorQueues, Transport};
use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use lapin::{BasicProperties, ExchangeKind};
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use rabbitmq_stage::{Eye, consume, envelope, node, settings, settled, soon, transport, transport_with};
use serde_json::{Value, json};

#[tokio::test]
async fn what_cannot_be_read_is_counted_beside_its_queue_until_somebody_takes_it_away() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    // Of a dead letter whose queue is not ready yet, RabbitMQ thinks again after three minutes.
    eye.send_through("q_error").await;
    eye.put("q", b"not a message").await;
    transport.send(&[envelope("K", 1)]).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    assert_eq!(consume(feed.as_mut(), 1).await.len(), 1);
    await_set_aside(&transport, [("q", 1), ("other", 0)]).await;
    let dead = eye.take("q_error").await;
    assert_eq!(
        (header(&dead, "MT-Reason"), dead.data.as_slice()),
        ("fault".to_owned(), &b"not a message"[..])
    );
    await_set_aside(&transport, [("q", 0), ("other", 0)]).await;
}

#[tokio::test]
async fn what_cannot_be_read_lies_there_whole_with_the_reason_and_is_gone_from_its_queue() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    let mut headers = FieldTable::default();
    headers.insert("tenant".into(), AMQPValue::LongString("a".into()));
    headers.insert("list".into(), AMQPValue::FieldArray(FieldArray::default()));
    let properties = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_message_id("their-id".into())
        .with_app_id("theirs".into())
        .with_expiration("600000".into())
        .with_headers(headers.clone());
    put(&eye, "q", properties, b"hello").await;
    let dead = dies(&transport, &eye).await;
    assert_eq!(dead.data, b"hello");
    let kept = &dead.properties;
    assert_eq!(kept.message_id().as_ref().unwrap().as_str(), "their-id");
    assert_eq!(kept.app_id().as_ref().unwrap().as_str(), "theirs");
    assert_eq!(kept.expiration(), &None, "it stays until a person takes it away");
    let all = kept.headers().as_ref().unwrap().inner();
    assert!(headers.inner().iter().all(|(name, value)| all.get(name) == Some(value)), "{all:?}");
    assert!(header(&dead, "MT-Fault-Message").contains("content type 'text/plain' is not read here"));
    assert_eq!(header(&dead, "MT-Fault-ExceptionType"), "Bus.MessageCannotBeRead");
    assert!(header(&dead, "MT-Fault-InputAddress").ends_with("/q"));
    assert!(header(&dead, "MT-Fault-Timestamp").parse::<bus::Timestamp>().is_ok());
    assert_eq!(header(&dead, "MT-Host-ProcessName"), "bus");
    // The feed is gone, so what was not acknowledged would be back by now.
    eye.await_ready("q", 0).await;
    await_set_aside(&transport, [("q", 0), ("other", 0)]).await;
}

/// Properties travel in one frame, so nothing is added to large ones: the broker moves such a message itself.
#[tokio::test]
async fn what_has_no_room_for_a_reason_is_set_aside_without() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    eye.send_through("q_error").await;
    let mut headers = FieldTable::default();
    headers.insert("long".into(), AMQPValue::LongString("x".repeat(6_000).into()));
    put(&eye, "q", BasicProperties::default().with_headers(headers), b"hello").await;
    let dead = dies(&transport, &eye).await;
    assert_eq!(death(&dead), ("rejected".to_owned(), "q".to_owned()));
}

/// Its sender gave it so long (`expiration`), and it was not read by then. The reason tells it from what could not be read.
#[tokio::test]
async fn what_expires_in_a_queue_lies_there_with_a_reason_of_its_own() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    eye.send_through("q_error").await;
    put(&eye, "q", BasicProperties::default().with_expiration("1".into()), b"too late").await;
    eye.await_ready("q_error", 1).await;
    let [seen] = transport.look_at_errors("q_error", 10).await.unwrap().try_into().unwrap();
    assert_eq!((seen.cause, seen.cause.as_str()), (AsideCause::Expired, "expired"), "{}", seen.reason);
    let dead = eye.take("q_error").await;
    assert_eq!(death(&dead), ("expired".to_owned(), "q".to_owned()));
    assert!(!dead.properties.headers().as_ref().unwrap().contains_key("MT-Reason"));
}

/// Its envelope says until when it counts, and it comes out of its queue after that. A person may have it handled all the same.
#[tokio::test]
async fn what_is_late_by_its_envelope_is_set_aside_without_a_fault_and_handled_if_it_is_put_back() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    eye.endpoint("answers").await;
    let late = json!({
        "messageType": ["urn:message:Bus:K"],
        "correlationId": "aa0c0000-119f-aaba-b61d-08df4dc0433c",
        "responseAddress": "exchange:answers",
        "expirationTime": "2020-01-01T00:00:00.1234567Z",
    });
    put_envelope(&eye, &request(&late)).await;
    put_envelope(&eye, &request(&json!({ "messageType": ["urn:message:Other:Asked"] }))).await;
    let mut feed = transport.subscribe("q").await.unwrap();
    let reading = async {
        loop {
            let received = feed.receive(1).await.unwrap();
            assert!(received.is_empty(), "{received:?}");
        }
    };
    tokio::select! {
        () = eye.await_ready("q_error", 2) => {}
        () = reading => unreachable!(),
    }
    settled(&transport, feed.as_mut()).await;
    let seen = transport.look_at_errors("q_error", 10).await.unwrap();
    let mut causes: Vec<_> = seen.iter().map(|message| message.cause).collect();
    causes.sort_unstable();
    assert_eq!(causes, [AsideCause::UnknownType, AsideCause::Expired], "{seen:?}");
    let expired = seen.iter().find(|message| message.cause == AsideCause::Expired).unwrap();
    assert_eq!(expired.headers["MT-Reason"], "expired");
    assert_eq!(expired.headers["MT-Fault-ExceptionType"], "Bus.MessageExpired");
    assert_eq!(expired.kind.as_deref(), Some("K"));
    assert_eq!(expired.reason, "its time had passed: it was to be handled by 2020-01-01T00:00:00.1234567Z");
    assert_eq!(eye.ready("answers").await, 0, "its sender does not wait any more");
    let all = transport.take_errors("q_error", 2, seen[1].mark).await.unwrap().unwrap();
    all.put_back().await.unwrap();
    assert_eq!(consume(feed.as_mut(), 1).await.len(), 1, "the one that can be read");
}

fn request(more: &Value) -> Value {
    let mut envelope = json!({
        "messageId": "aa0c0000-119f-aaba-99a9-08df4dc0439c",
        "requestId": "aa0c0000-119f-aaba-b61d-08df4dc0433c",
        "conversationId": "aa0c0000-119f-aaba-5b9d-08df4dc043c7",
        "messageType": ["urn:message:Other:Asked"],
        "message": { "question": 7 },
    });
    let members = more.as_object().unwrap().clone();
    envelope.as_object_mut().unwrap().extend(members);
    envelope
}

async fn put_envelope(eye: &Eye, envelope: &Value) {
    let properties = BasicProperties::default().with_content_type("application/vnd.masstransit+json".into());
    put(eye, "q", properties, envelope.to_string().as_bytes()).await;
}

async fn fault_at(eye: &Eye, queue: &str) -> Value {
    serde_json::from_slice(&eye.take(queue).await.data).unwrap()
}

#[tokio::test]
async fn who_sent_what_cannot_be_read_is_told_at_the_address_for_faults_or_else_for_answers() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    let vhost = address.rsplit('/').next().unwrap();
    for endpoint in ["answers", "faults"] {
        eye.endpoint(endpoint).await;
    }
    let at = |name: &str| format!("rabbitmq://elsewhere/{vhost}/{name}?temporary=true");
    for (addresses, endpoint) in [
        (json!({ "responseAddress": at("answers") }), "answers"),
        (json!({ "responseAddress": at("answers"), "faultAddress": at("faults") }), "faults"),
        (json!({ "responseAddress": "exchange:answers", "faultAddress": null }), "answers"),
    ] {
        put_envelope(&eye, &request(&addresses)).await;
        dies(&transport, &eye).await;
        let fault = fault_at(&eye, endpoint).await;
        assert_eq!(fault["requestId"], "aa0c0000-119f-aaba-b61d-08df4dc0433c");
        assert_eq!(fault["conversationId"], "aa0c0000-119f-aaba-5b9d-08df4dc043c7");
        assert_eq!(fault["messageType"][0], "urn:message:MassTransit:Fault[[Other:Asked]]");
        assert_eq!(fault["message"]["faultMessageTypes"], json!(["urn:message:Other:Asked"]));
        assert_eq!(fault["message"]["faultedMessageId"], "aa0c0000-119f-aaba-99a9-08df4dc0439c");
        assert_eq!(fault["message"]["message"], json!({ "question": 7 }));
        let why = fault["message"]["exceptions"][0]["message"].as_str().unwrap();
        assert!(why.contains("it offers the types [urn:message:Other:Asked]"), "{why}");
    }
    for endpoint in ["answers", "faults"] {
        eye.await_ready(endpoint, 0).await;
    }
}

#[tokio::test]
async fn who_listens_to_faults_hears_of_what_has_no_address_here_and_no_fault_is_told_of_a_fault() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    eye.channel
        .exchange_declare("MassTransit:Fault".into(), ExchangeKind::Fanout, durable(), FieldTable::default())
        .await
        .unwrap();
    eye.bind("all", "MassTransit:Fault").await;
    let gone = format!("rabbitmq://h/{}/gone", address.rsplit('/').next().unwrap());
    for addresses in [
        json!({}),
        json!({ "responseAddress": "rabbitmq://h/another-virtual-host/q" }),
        json!({ "faultAddress": gone }),
        json!({ "faultAddress": "nonsense" }),
    ] {
        put_envelope(&eye, &request(&addresses)).await;
        dies(&transport, &eye).await;
        let fault = fault_at(&eye, "all").await;
        assert_eq!(fault["messageType"][0], "urn:message:MassTransit:Fault[[Other:Asked]]", "{addresses}");
    }
    put(&eye, "q", BasicProperties::default().with_content_type("text/plain".into()), b"{nope").await;
    dies(&transport, &eye).await;
    let fault = fault_at(&eye, "all").await;
    assert_eq!(
        fault["messageType"],
        json!(["urn:message:MassTransit:ReceiveFault", "urn:message:MassTransit:Fault"])
    );
    assert_eq!(fault["message"]["contentType"], "text/plain");
    assert_eq!(fault["message"]["faultMessageTypes"], Value::Null);
    // A contract of ours that lacks what it needs has its own exchange of faults, which leads to that of all.
    let ours = json!({ "messageType": ["urn:message:Contracts:K"], "messageId": null });
    put_envelope(&eye, &request(&ours)).await;
    dies(&transport, &eye).await;
    let fault = fault_at(&eye, "all").await;
    assert_eq!(fault["messageType"][0], "urn:message:MassTransit:Fault[[Contracts:K]]");
    assert!(fault["destinationAddress"].as_str().unwrap().ends_with("/MassTransit:Fault--Contracts:K--"));
    // The fault is told of before its cause lies in the error queue.
    put_envelope(&eye, &fault).await;
    dies(&transport, &eye).await;
    eye.await_ready("all", 0).await;
}

/// Publishes to a queue of ours by way of its exchange.
async fn put(eye: &Eye, queue: &str, properties: BasicProperties, body: &[u8]) {
    let options = BasicPublishOptions::default();
    eye.channel.basic_publish(queue.into(), "".into(), options, body, properties).await.unwrap();
}

/// Reads until a message lies in the error queue, takes it there, and reads on until its original is acknowledged.
async fn dies(transport: &RabbitMqTransport, eye: &Eye) -> lapin::message::Delivery {
    let mut feed = transport.subscribe("q").await.unwrap();
    let reading = async {
        loop {
            assert_eq!(feed.receive(1).await.unwrap().len(), 0, "nothing here can be read");
        }
    };
    let dead = tokio::select! { dead = eye.take("q_error") => dead, () = reading => unreachable!() };
    settled(transport, feed.as_mut()).await;
    dead
}

fn durable() -> ExchangeDeclareOptions {
    ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() }
}

fn header(message: &lapin::message::Delivery, name: &str) -> String {
    match message.properties.headers().as_ref().and_then(|headers| headers.inner().get(name)) {
        Some(AMQPValue::LongString(text)) => String::from_utf8(text.as_bytes().to_vec()).unwrap(),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn what_was_delivered_too_often_lies_in_the_error_queue_and_is_counted_beside_its_queue() {
    let address = node().vhost().unwrap();
    let transport = transport_with(&RabbitMqSettings { delivery_limit: 2, ..settings(&[&address]) });
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    eye.send_through("other_error").await;
    transport.send(&[envelope("L", 1)]).await.unwrap();
    for _ in 0..3 {
        eye.look("other").await;
    }
    await_set_aside(&transport, [("q", 0), ("other", 1)]).await;
    let dead = eye.take("other_error").await;
    assert_eq!(death(&dead), ("delivery_limit".to_owned(), "other".to_owned()));
}

#[tokio::test]
async fn a_message_in_an_error_queue_may_be_looked_at_without_end() {
    let address = node().vhost().unwrap();
    transport(&address).declare().await.unwrap();
    // RabbitMQ 3.10 has no limit of its own, so that looking often shows nothing there: what counts is that one is stated.
    let stated = |limit: i64| {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(limit));
        arguments
    };
    for queue in ["q_error", "other_error"] {
        for (limit, is_it) in [(i64::from(i32::MAX), true), (20, false)] {
            let eye = Eye::on(&address).await;
            let options = QueueDeclareOptions::durable();
            let declared = eye.channel.queue_declare(queue.into(), options, stated(limit)).await;
            assert_eq!(declared.is_ok(), is_it, "{queue} {limit}: {declared:?}");
        }
    }
    let eye = Eye::on(&address).await;
    eye.put("q_error", b"kept").await;
    for _ in 0..30 {
        eye.look("q_error").await;
    }
    assert_eq!(eye.take("q_error").await.data, b"kept");
}

/// Waits until so many messages lie in the error queue of each of these.
async fn await_set_aside<const N: usize>(transport: &RabbitMqTransport, wanted: [(&str, u32); N]) {
    let counting = async {
        loop {
            let depths = transport.queue_depths().await.unwrap();
            let is_so = |(queue, count): &(&str, u32)| {
                let error_queue = format!("{queue}_error");
                let of = depths.iter().find(|depth| depth.queue == *queue).unwrap();
                of.error_queue == error_queue && of.set_aside == *count
            };
            if wanted.iter().all(is_so) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    soon("the error queues' counts", counting).await;
}

/// Why the broker set a message aside, and from which queue.
fn death(message: &lapin::message::Delivery) -> (String, String) {
    let headers = message.properties.headers().clone().unwrap();
    let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else {
        panic!("no x-death in {headers:?}");
    };
    let Some(AMQPValue::FieldTable(last)) = deaths.as_slice().first() else {
        panic!("no death in {deaths:?}");
    };
    let text = |name: &str| match last.inner().get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => panic!("{name} is {other:?}"),
    };
    (text("reason"), text("queue"))
}
