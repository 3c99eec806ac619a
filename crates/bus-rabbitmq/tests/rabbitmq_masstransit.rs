//! Messages as MassTransit 8.5.12 wrote them, over a real broker: each is read as what it says, or lies in the error queue with the
//! reason.

mod rabbitmq_stage;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bus::{
    Clock, CorrelationId, Envelope, IdSource, MessageId, RandomIds, Timestamp, Topology, Transport,
    VirtualClock,
};
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use orderwright_bus_rabbitmq::wire::Reading;
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use rabbitmq_stage::{Eye, node, receive, settings};
use serde_json::Value;
use uuid::Uuid;

/// What each of the messages belongs to.
const ORDER: Uuid = Uuid::from_u128(0x0192_3f5e_8a40_7c11_9d2e_5b6a_7c8d_9e0f);

/// When they were sent: early on the 29th of November 2026.
const CAPTURED_AT: Timestamp = Timestamp::constant(1_795_919_160, 0);

fn fixture(name: &str) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/masstransit_envelopes");
    serde_json::from_slice(&fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap()
}

/// The contract that the envelopes carry, as the first of them has it: its namespace, its kind, and the member that says what a
/// message belongs to.
struct Contract {
    namespace: String,
    kind: &'static str,
    member: &'static str,
}

fn contract() -> Contract {
    let first = fixture("publish");
    let (namespace, kind) = first["exchange"].as_str().unwrap().split_once(':').unwrap();
    let envelope: Value = serde_json::from_str(first["body"].as_str().unwrap()).unwrap();
    let message = envelope["message"].as_object().unwrap();
    let (member, _) = message.iter().find(|(_, value)| **value == ORDER.to_string()).unwrap();
    let member = member.replace("Id", "_id");
    Contract { namespace: namespace.to_owned(), kind: kind.to_owned().leak(), member: member.leak() }
}

/// A worker whose queue takes that contract.
fn transport(address: &str) -> RabbitMqTransport {
    let Contract { namespace, kind, member } = contract();
    let reading = Reading { correlation_member: Some(member), ..Reading::default() };
    let settings = RabbitMqSettings { namespace, reading, ..settings(&[address]) };
    let topology = Topology::default().subscribe("carrier", &[kind]);
    // Some of the envelopes say until when they count.
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(CAPTURED_AT));
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::seeded(1));
    RabbitMqTransport::new(&settings, topology, clock, &ids).unwrap()
}

/// Publishes it to the exchange of our queue, as it was captured.
async fn replay(eye: &Eye, fixture: &Value) {
    let text = |name: &str| fixture["properties"][name].as_str().map(str::to_owned);
    let mut headers = FieldTable::default();
    for (name, value) in fixture["headers"].as_object().unwrap() {
        let number = value.as_i64().map(AMQPValue::LongLongInt);
        let text = || AMQPValue::LongString(value.as_str().unwrap().into());
        headers.insert(name.as_str().into(), number.unwrap_or_else(text));
    }
    let mut properties = BasicProperties::default().with_headers(headers).with_delivery_mode(2);
    properties = properties.with_content_type(text("content_type").unwrap().into());
    if let Some(id) = text("message_id") {
        properties = properties.with_message_id(id.into());
    }
    if let Some(id) = text("correlation_id") {
        properties = properties.with_correlation_id(id.into());
    }
    let body = fixture["body"].as_str().unwrap().as_bytes();
    let options = BasicPublishOptions::default();
    eye.channel.basic_publish("carrier".into(), "".into(), options, body, properties).await.unwrap();
}

fn id(text: &str) -> MessageId {
    MessageId(text.parse().unwrap())
}

#[tokio::test]
async fn every_envelope_of_masstransit_is_read_as_what_it_says() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    let mut feed = transport.subscribe("carrier").await.unwrap();
    let Contract { kind, member, .. } = contract();
    for (name, message, conversation) in [
        ("publish", "120b0000-119f-aaba-2653-08df4dc03e56", "120b0000-119f-aaba-4d30-08df4dc03e58"),
        (
            "publish-with-activity",
            "350b0000-119f-aaba-bde0-08df4dc03ed2",
            "350b0000-119f-aaba-9f8b-08df4dc03ed5",
        ),
        (
            "publish-pascal-case-envelope",
            "9b0b0000-119f-aaba-b5ef-08df4dc04102",
            "9b0b0000-119f-aaba-eac8-08df4dc04104",
        ),
        (
            "publish-three-message-types",
            "680b0000-119f-aaba-887e-08df4dc04028",
            "680b0000-119f-aaba-f31d-08df4dc0402a",
        ),
        (
            "publish-with-event-id",
            "890b0000-119f-aaba-9ffa-08df4dc0409c",
            "890b0000-119f-aaba-9649-08df4dc0409f",
        ),
        (
            "send-with-headers-and-ttl",
            "4f0b0000-119f-aaba-06ba-08df4dc03f98",
            "4f0b0000-119f-aaba-d70a-08df4dc03f9c",
        ),
        ("request", "aa0c0000-119f-aaba-99a9-08df4dc0439c", "aa0c0000-119f-aaba-5b9d-08df4dc043c7"),
    ] {
        let captured = fixture(name);
        replay(&eye, &captured).await;
        let [delivery] = receive(feed.as_mut(), 1).await.try_into().unwrap();
        let read: &Envelope = &delivery.envelope;
        assert_eq!((read.id, read.conversation_id), (id(message), id(conversation)), "{name}");
        assert_eq!((&*read.kind, read.correlation_id), (kind, CorrelationId(ORDER)), "{name}");
        let body: Value = serde_json::from_slice(&read.body).unwrap();
        assert_eq!(body[member], ORDER.to_string(), "{name}");
        let tracking = if name == "request" { Value::Null } else { "TRK-1".into() };
        assert_eq!(body["tracking_number"], tracking, "{name}");
        assert_eq!(read.traceparent.as_deref(), captured["headers"]["MT-Activity-Id"].as_str(), "{name}");
        assert_eq!((read.attempt, read.causation_id), (0, None), "{name}");
        feed.acknowledge(&[delivery.receipt]).await.unwrap();
    }
}

#[tokio::test]
async fn what_masstransit_sends_and_we_do_not_take_lies_in_the_error_queue_with_the_real_reason() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    let mut feed = transport.subscribe("carrier").await.unwrap();
    let raw = "raw JSON, without an envelope (UseRawJsonSerializer)";
    for (name, reason) in [
        ("publish-raw-json", raw),
        ("publish-raw-json-three-message-types", raw),
        ("scheduled", "urn:message:MassTransit.Scheduling:ScheduleMessage"),
        ("fault", "urn:message:MassTransit:Fault[[Orderwright.Contracts:"),
        ("receive-fault", "urn:message:MassTransit:ReceiveFault"),
        ("unreadable-moved-to-error-queue", "not a MassTransit envelope"),
    ] {
        let captured = fixture(name);
        replay(&eye, &captured).await;
        let reading = async {
            loop {
                let received = feed.receive(1).await.unwrap();
                assert!(received.is_empty(), "{name}: {received:?}");
            }
        };
        let dead = tokio::select! {
            dead = eye.take("carrier_error") => dead,
            () = reading => unreachable!(),
        };
        assert_eq!(dead.data, captured["body"].as_str().unwrap().as_bytes(), "{name}");
        let headers = dead.properties.headers().clone().unwrap();
        let text = |name: &str| match headers.inner().get(name) {
            Some(AMQPValue::LongString(text)) => String::from_utf8(text.as_bytes().to_vec()).unwrap(),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(text("MT-Reason"), "fault");
        assert!(text("MT-Fault-Message").contains(reason), "{name}: {}", text("MT-Fault-Message"));
        assert!(text("MT-Fault-InputAddress").ends_with("/carrier"));
    }
}
