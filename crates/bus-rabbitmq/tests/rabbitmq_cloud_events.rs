//! CloudEvents as the SDK for Python sends them, and as others do, over a real broker.

mod rabbitmq_stage;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use bus::{CorrelationId, Envelope, MessageId, Transport};
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use rabbitmq_stage::{Eye, node, receive, transport};
use serde_json::{Value, json};
use testkit::servers::python;
use uuid::Uuid;

const ORDER: Uuid = Uuid::from_u128(0x0192_3f5e_8a40_7c11_9d2e_5b6a_7c8d_9e0f);
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The SDK, a client of AMQP, and what they need.
const PACKAGES: [&str; 6] = [
    "cloudevents==2.2.0",
    "deprecation==2.1.0",
    "packaging==26.4",
    "pika==1.4.4",
    "python-dateutil==4.0.0",
    "tzdata==2026.6",
];

/// What of the SDK's is read.
const READ: [&str; 7] = [
    "rabbitmq-binary",
    "rabbitmq-binary-without-a-content-type",
    "rabbitmq-structured",
    "rabbitmq-structured-with-bytes",
    "amqp-binary",
    "amqp-structured",
    "structured-with-headers",
];

/// What is not, and what the reason says.
const REFUSED: [(&str, &str); 6] = [
    ("batch", "send each event as a message of its own"),
    ("avro", "application/cloudevents+avro"),
    ("xml", "the data of the CloudEvent is 'application/xml'"),
    ("xml-structured", "the data of the CloudEvent is 'application/xml'"),
    ("unknown", "it offers the types [com.example.Unknown]"),
    ("plain", "there is no specversion"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_way_in_which_the_python_sdk_sends_an_event_is_read_or_refused_with_the_real_reason() {
    let python = python::with(Path::new(env!("CARGO_TARGET_TMPDIR")), &PACKAGES).expect("Python packages");
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cloud_events/send.py");
    let sent =
        Command::new(python).arg(script).arg(&address).arg("q").arg(ORDER.to_string()).output().unwrap();
    let told = String::from_utf8(sent.stdout).unwrap();
    assert!(sent.status.success(), "{told}{}", String::from_utf8_lossy(&sent.stderr));
    let names: Vec<&str> = told.lines().filter_map(|line| Some(line.split_once(' ')?.0)).collect();
    assert_eq!(names, [&READ[..], &REFUSED.map(|(name, _)| name)].concat());
    let by_id: BTreeMap<MessageId, &str> = told
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, id)| (MessageId(id.parse().unwrap()), name))
        .take(READ.len())
        .collect();
    let mut feed = transport.subscribe("q").await.unwrap();
    let received = receive(feed.as_mut(), READ.len()).await;
    assert_eq!(received.iter().map(|it| by_id[&it.envelope.id]).collect::<Vec<_>>(), READ);
    for delivery in &received {
        assert_read(&delivery.envelope, by_id[&delivery.envelope.id]);
    }
    let reading = async {
        loop {
            assert_eq!(feed.receive(1).await.unwrap().len(), 0, "nothing else can be read");
        }
    };
    let eye = Eye::on(&address).await;
    let reasons = async {
        let mut reasons = Vec::new();
        for _ in REFUSED {
            reasons.push(reason(&eye.take("q_error").await));
        }
        reasons
    };
    let reasons = tokio::select! { reasons = reasons => reasons, () = reading => unreachable!() };
    for (name, wanted) in REFUSED {
        assert!(reasons.iter().any(|reason| reason.contains(wanted)), "{name}: {reasons:#?}");
    }
}

fn assert_read(read: &Envelope, name: &str) {
    assert_eq!((&*read.kind, read.correlation_id), ("K", CorrelationId(ORDER)), "{name}");
    assert_eq!(
        serde_json::from_slice::<Value>(&read.body).unwrap(),
        json!({ "reading_number": 7 }),
        "{name}"
    );
    assert_eq!(read.sent_at.to_string(), "2024-11-14T10:30:00.25Z", "{name}");
    assert_eq!(read.traceparent.as_deref(), Some(TRACE), "{name}");
}

fn reason(dead: &lapin::message::Delivery) -> String {
    let headers = dead.properties.headers().as_ref().unwrap().inner();
    match headers.get("MT-Fault-Message") {
        Some(AMQPValue::LongString(text)) => String::from_utf8(text.as_bytes().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn put(eye: &Eye, properties: BasicProperties, body: &Value) {
    let (options, body) = (BasicPublishOptions::default(), body.to_string().into_bytes());
    eye.channel.basic_publish("q".into(), "".into(), options, &body, properties).await.unwrap();
}

/// Its events in structured mode are labelled as plain JSON, have null members, and name the .NET type.
#[tokio::test]
async fn an_event_of_wolverine_is_read() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    for kind in ["Contracts.K", "Other.Shop+K", "Contracts.K, Contracts.Assembly"] {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, kind.as_bytes());
        let event = json!({
            "data": { "readingNumber": 7 }, "subject": null, "datacontenttype": "application/json", "specversion": "1.0",
            "id": id, "source": "shop", "type": kind, "time": "2024-11-14T10:30:00.25Z", "dataschema": null,
            "correlationid": ORDER, "traceparent": TRACE, "tracestate": null, "data_base64": null,
        });
        put(&eye, BasicProperties::default().with_content_type("application/json".into()), &event).await;
        let mut feed = transport.subscribe("q").await.unwrap();
        let [delivery] = receive(feed.as_mut(), 1).await.try_into().unwrap();
        assert_eq!(delivery.envelope.id, MessageId(id));
        assert_read(&delivery.envelope, kind);
        feed.acknowledge(&[delivery.receipt]).await.unwrap();
    }
}

/// As RabbitMQ 4 hands on what an AMQP 1.0 client publishes: ids as URNs, data sections as the body, a time in the headers; and of a
/// value the encoded section, with a type of its own.
#[tokio::test]
async fn what_an_amqp_1_0_client_publishes_is_read_if_it_is_data() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    let (message, text) = (Uuid::from_u128(7), |text: &str| AMQPValue::LongString(text.into()));
    let urn = |id: Uuid| id.urn().to_string().into();
    let envelope = json!({ "messageType": ["urn:message:Contracts:K"], "message": { "readingNumber": 7 }, "sentTime": "2024-11-14T10:30:00.25Z" });
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), text(TRACE));
    let ids = BasicProperties::default().with_message_id(urn(message)).with_correlation_id(urn(ORDER));
    let outside = ids.with_delivery_mode(2).with_headers(headers);
    let enveloped = outside.clone().with_content_type("application/vnd.masstransit+json".into());
    put(&eye, enveloped.clone(), &envelope).await;
    let mut headers = FieldTable::default();
    for (name, value) in
        [("specversion", "1.0"), ("id", &*message.to_string()), ("source", "s"), ("type", "a.K")]
    {
        headers.insert(format!("cloudEvents:{name}").into(), text(value));
    }
    headers.insert("cloudEvents:time".into(), AMQPValue::LongLongInt(1_731_580_200_250));
    headers.insert("cloudEvents:correlationid".into(), text(&urn(ORDER).to_string()));
    headers.insert("cloudEvents:traceparent".into(), text(TRACE));
    put(&eye, BasicProperties::default().with_headers(headers), &json!({ "readingNumber": 7 })).await;
    let mut feed = transport.subscribe("q").await.unwrap();
    let received = receive(feed.as_mut(), 2).await;
    for delivery in &received {
        assert_eq!(delivery.envelope.id, MessageId(message));
        assert_read(&delivery.envelope, "AMQP 1.0");
    }
    put(&eye, enveloped.with_type("amqp-1.0".into()), &envelope).await;
    let reading = async {
        loop {
            assert_eq!(feed.receive(1).await.unwrap().len(), 0, "it cannot be read");
        }
    };
    let dead = tokio::select! { dead = eye.take("q_error") => dead, () = reading => unreachable!() };
    assert!(reason(&dead).contains("send a data section"));
}
