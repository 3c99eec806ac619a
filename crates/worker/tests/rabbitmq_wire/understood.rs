//! What others write, and what is read back of our own.

use std::collections::BTreeMap;
use std::sync::Arc;

use application::messages::ShippingCompleted;
use application::requests::GetOrderStatus;
use bus::{Asked, Asker, CorrelationId, DeadLetter, Envelope, Message, MessageId};
use bus_rabbitmq::wire::{MASSTRANSIT_JSON, Parcel};
use domain::text::{Lines, clean};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::one_of_each::{dead_letter, messages};
use super::*;

#[test]
fn only_the_envelope_says_who_waits_for_an_answer() {
    let mut envelope = foreign();
    envelope["messageType"] = json!(["urn:message:Orderwright.Contracts:GetOrderStatus"]);
    envelope["message"] = json!({ "externalReference": "A-1", "asker": { "answerTo": "elsewhere" } });
    let read = |envelope: &Value| {
        let parcel = envelope_parcel(envelope.to_string());
        let read = codec().decode(&parcel, &["GetOrderStatus"], RECEIVED_AT).unwrap();
        assert_eq!(read.correlation_id.0, read.id.0, "it names no order, so it belongs to itself");
        Asked::<GetOrderStatus>::decode(&read.kind, &read.body).unwrap()
    };
    let silent = read(&envelope);
    assert_eq!((silent.asker, silent.request.external_reference), (Asker::default(), Some("A-1".into())));
    for (address, exchange) in [
        ("rabbitmq://any.host/shop/web_bus?temporary=true", Some("web_bus")),
        ("exchange:web_bus", Some("web_bus")),
        ("rabbitmq://any.host/another/web_bus", None),
    ] {
        envelope["responseAddress"] = json!(address);
        assert_eq!(read(&envelope).asker.answer_to.as_deref(), exchange, "{address}");
    }
    let parcel = event("cloudEvents:", &[], &json!({ "externalReference": "A-1" }));
    let parcel = Parcel { headers: typed(parcel.headers, "GetOrderStatus"), ..parcel };
    let read = codec().decode(&parcel, &["GetOrderStatus"], RECEIVED_AT).unwrap();
    assert_eq!(Asked::<GetOrderStatus>::decode(&read.kind, &read.body).unwrap().asker, Asker::default());
}

fn typed(mut headers: BTreeMap<String, String>, kind: &str) -> BTreeMap<String, String> {
    headers.insert("cloudEvents:type".into(), kind.into());
    headers
}

#[test]
fn what_no_store_could_keep_is_replaced_and_what_has_no_end_is_cut() {
    let mut envelope = foreign();
    envelope["message"]["note"] = json!("a\u{0}b\u{1b}[2J\nc");
    envelope["message"]["code"] = json!("x".repeat(10_000));
    let text = serde_json::to_vec(&envelope).unwrap();
    let read = codec().decode(&envelope_parcel(text), &["ShippingCompleted"], RECEIVED_AT).unwrap();
    let body: Value = serde_json::from_slice(&read.body).unwrap();
    assert_eq!(body["note"], "a\u{fffd}b\u{fffd}[2J\nc");
    let code = body["code"].as_str().unwrap();
    assert!(code.chars().count() == 4_000 && code.ends_with('…'));
}

pub(super) fn envelope_parcel(body: impl Into<Vec<u8>>) -> Parcel {
    Parcel { content_type: MASSTRANSIT_JSON.into(), body: body.into(), ..Parcel::default() }
}

/// Any text that may be stored.
fn any_text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| clean(&text, Lines::Many, 4_000).into_owned())
}

fn any_envelope() -> impl Strategy<Value = Envelope> {
    let message = prop::sample::select(messages());
    let ids: (_, _, _, _) = (any::<u128>(), any::<u128>(), any::<u128>(), any::<Option<u128>>());
    let rest = (any::<bool>(), any::<u32>(), 0..253_402_207_200_000_000_i64);
    let fields = prop::collection::btree_map(
        "[a-z][a-z0-9_]{0,9}",
        (any::<i64>(), any_text(), any::<Option<f64>>()),
        0..5,
    );
    (message, ids, rest, prop::option::of(fields)).prop_map(|(message, ids, rest, fields)| {
        let body = fields.map_or(message.body, |fields| serde_json::to_vec(&fields).unwrap().into());
        // A message about an order belongs to that order, as every one of ours does.
        let correlation = named_order(&body).unwrap_or(Uuid::from_u128(ids.1));
        Envelope {
            id: MessageId(Uuid::from_u128(ids.0)),
            kind: message.kind,
            correlation_id: CorrelationId(correlation),
            causation_id: ids.3.map(|id| MessageId(Uuid::from_u128(id))),
            conversation_id: MessageId(Uuid::from_u128(ids.2)),
            traceparent: rest.0.then(|| Arc::from(TRACE)),
            sent_at: Timestamp::from_microsecond(rest.2).unwrap(),
            attempt: rest.1,
            body,
        }
    })
}

fn named_order(body: &[u8]) -> Option<Uuid> {
    let body: Value = serde_json::from_slice(body).unwrap();
    body.get("order_id")?.as_str()?.parse().ok()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_as_it_was(sent in any_envelope()) {
        let parcel = codec().encode(&sent).unwrap();
        prop_assert_eq!(parcel.message_id.as_deref(), Some(&*sent.id.to_string()));
        let read = codec().decode(&parcel, &["Other", &sent.kind], RECEIVED_AT).unwrap();
        let trace = sent.correlation_id.0.simple().to_string();
        let context = read.traceparent.clone().expect("each has one");
        prop_assert!(sent.traceparent.is_some() || context.contains(&trace), "{} for {}", context, trace);
        prop_assert_eq!(&read, &Envelope { traceparent: sent.traceparent.clone().or(Some(context)), ..sent });
    }

    #[test]
    fn an_order_that_the_message_names_goes_before_whatever_stands_around_it(
        order: u128, inside: Option<u128>, outside: Option<u128>, is_named: bool,
    ) {
        let [order, inside, outside] = [Some(order), inside, outside].map(|id| id.map(Uuid::from_u128));
        let mut envelope = foreign();
        envelope["correlationId"] = json!(inside);
        envelope["message"] = if is_named { json!({ "orderId": order }) } else { json!({ "orderId": "A-7" }) };
        let correlation_id = outside.map(|id| id.to_string());
        let parcel = Parcel { correlation_id, ..envelope_parcel(envelope.to_string()) };
        let read = codec().decode(&parcel, &["ShippingCompleted"], RECEIVED_AT).ok();
        let expected = order.filter(|_| is_named).or(inside).or(outside);
        prop_assert_eq!(read.map(|envelope| envelope.correlation_id.0), expected);
    }

    #[test]
    fn an_order_that_an_event_names_goes_before_its_attributes(
        order: u128, correlation: Option<u128>, subject: Option<u128>, is_named: bool,
    ) {
        let [order, correlation, subject] =
            [Some(order), correlation, subject].map(|id| id.map(|id| Uuid::from_u128(id).to_string()));
        let attributes = [("correlationid", &correlation), ("subject", &subject)];
        let attributes: Vec<(&str, &str)> =
            attributes.iter().filter_map(|(name, id)| Some((*name, id.as_deref()?))).collect();
        let body = if is_named { json!({ "orderId": order }) } else { json!({}) };
        let read = read_event(&event("cloudEvents:", &attributes, &body)).ok();
        let expected = order.filter(|_| is_named).or(correlation).or(subject);
        prop_assert_eq!(read.map(|envelope| envelope.correlation_id.to_string()), expected);
    }

    #[test]
    fn whatever_bytes_come_reading_ends_in_a_message_or_a_reason(
        body in prop_oneof![any::<Vec<u8>>(), "[{}\\[\\]\":,a-z0-9]{0,40}".prop_map(String::into_bytes)],
        names in prop::collection::btree_map("cloudEvents:(specversion|type|id|time)|traceparent", "[a-z0-9.]{0,8}", 0..4),
        content_type in prop_oneof![Just(MASSTRANSIT_JSON.to_owned()), Just("application/json".to_owned()), any::<String>()],
    ) {
        let parcel = Parcel { content_type, headers: names, body, ..Parcel::default() };
        if let Err(error) = codec().decode(&parcel, &["K"], RECEIVED_AT) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

/// As a .NET service on MassTransit 8 writes it whose contract has no correlation id, and with a field that we do not know.
fn foreign() -> Value {
    json!({
        "messageId": "3d2e0000-5d3f-0015-1f0b-08dc9c5b7a11",
        "requestId": null,
        "correlationId": null,
        "conversationId": "3d2e0000-5d3f-0015-2a67-08dc9c5b7a11",
        "initiatorId": null,
        "sourceAddress": "rabbitmq://broker/shop/STOREFRONT_bus_xyz?temporary=true",
        "destinationAddress": "rabbitmq://broker/shop/Orderwright.Contracts:ShippingCompleted",
        "messageType": ["urn:message:Carrier.Messages:ParcelNews", "urn:message:Orderwright.Contracts:ShippingCompleted"],
        "message": { "orderId": ORDER, "trackingNumber": "TRK-000123", "signedBy": "neighbour" },
        "expirationTime": null,
        "sentTime": "2024-11-14T10:30:00.1234567Z",
        "headers": { "MT-Activity-Id": TRACE, "tenant": { "id": 5 } },
        "host": { "machineName": "web-1", "processId": 1, "massTransitVersion": "8.2.5.0" }
    })
}

/// As above, of a service whose record has an `EventId`, which MassTransit takes for the correlation.
#[test]
fn an_event_id_that_dotnet_made_the_correlation_leads_no_message_astray() {
    let mut envelope = foreign();
    envelope["correlationId"] = json!(CAUSE);
    envelope["message"]["eventId"] = json!(CAUSE);
    assert_eq!(read_foreign(&envelope).unwrap().correlation_id, CorrelationId(ORDER));
}

#[test]
fn what_a_consumer_of_theirs_has_redelivered_spends_no_attempt_of_ours_and_ours_none_of_theirs() {
    const THEIRS: &str = "MT-Redelivery-Count";
    let mut envelope = foreign();
    envelope["headers"][THEIRS] = json!(3);
    let headers = [(THEIRS.to_owned(), "3".to_owned())].into();
    let parcel = Parcel { headers, ..envelope_parcel(envelope.to_string()) };
    let read = codec().decode(&parcel, &["ShippingCompleted"], RECEIVED_AT).unwrap();
    assert_eq!(read.attempt, 0);
    let dead = dead_letter();
    let again = codec().encode(&dead.envelope).unwrap();
    assert_eq!(again.headers["Orderwright-Attempt"], "6");
    for written in [again, codec().encode_fault(&dead).unwrap()] {
        assert!(!written.headers.contains_key(THEIRS));
        assert!(!String::from_utf8(written.body).unwrap().contains(THEIRS));
    }
}

#[test]
fn a_fault_bears_no_count_of_ours_and_a_second_death_has_a_fault_of_its_own() {
    let dead = dead_letter();
    let fault = |dead: &DeadLetter| codec().encode_fault(dead).unwrap();
    assert_eq!(fault(&dead).headers.into_keys().collect::<Vec<_>>(), ["MT-Activity-Id", "traceparent"]);
    assert_eq!(fault(&dead), fault(&DeadLetter::told_by(&dead.notice().unwrap()).unwrap()));
    // Put back, its attempts are counted afresh, so it dies with the same count.
    let again = DeadLetter { died_at: RECEIVED_AT + SignedDuration::from_secs(60), ..dead.clone() };
    assert_ne!(fault(&dead).message_id, fault(&again).message_id);
}

fn read_foreign(envelope: &Value) -> Result<Envelope, String> {
    let parcel = envelope_parcel(envelope.to_string());
    let read = codec().decode(&parcel, &["ShippingCompleted"], RECEIVED_AT);
    read.map_err(|error| error.to_string())
}

#[test]
fn an_envelope_of_a_dotnet_service_is_understood() {
    let read = read_foreign(&foreign()).unwrap();
    let expected = ShippingCompleted { order_id: ORDER, tracking_number: "TRK-000123".into() };
    assert_eq!(ShippingCompleted::decode(&read.kind, &read.body).unwrap(), expected);
    assert_eq!(read.correlation_id, CorrelationId(ORDER));
    assert_eq!(read.traceparent.as_deref(), Some(TRACE));
    assert_eq!(read.sent_at.to_string(), "2024-11-14T10:30:00.123456Z");
    assert_ne!(read.conversation_id, read.id);
    assert_eq!((read.attempt, read.causation_id), (0, None));
}

#[test]
fn what_a_sender_leaves_out_has_a_meaning_or_is_asked_for() {
    let mut envelope = foreign();
    for name in ["conversationId", "sentTime", "headers", "host", "initiatorId", "correlationId"] {
        envelope.as_object_mut().unwrap().remove(name);
    }
    let read = read_foreign(&envelope).unwrap();
    assert_eq!((read.conversation_id, read.sent_at), (read.id, RECEIVED_AT));
    envelope["message"] = json!({ "trackingNumber": "TRK" });
    assert!(read_foreign(&envelope).unwrap_err().contains("orderId"));
    envelope.as_object_mut().unwrap().remove("messageId");
    assert!(read_foreign(&envelope).unwrap_err().contains("messageId"));
    envelope["messageType"] = json!(["urn:message:Carrier.Messages:ParcelNews"]);
    let refused = read_foreign(&envelope).unwrap_err();
    assert!(refused.contains("ParcelNews") && refused.contains("ShippingCompleted"), "{refused}");
}

#[test]
fn the_names_of_pascal_case_are_understood_too() {
    let mut envelope = foreign();
    envelope["message"] = json!({ "OrderId": ORDER, "TrackingNumber": "TRK" });
    let read = read_foreign(&envelope).unwrap();
    assert_eq!(ShippingCompleted::decode(&read.kind, &read.body).unwrap().tracking_number, "TRK");
}

fn event(prefix: &str, attributes: &[(&str, &str)], body: &Value) -> Parcel {
    let usual = [
        ("specversion", "1.0"),
        ("source", "carrier/eu"),
        ("type", "com.carrier.ShippingCompleted.v1"),
        ("id", "evt-1"),
    ];
    let headers =
        usual.iter().chain(attributes).map(|(name, value)| (format!("{prefix}{name}"), (*value).to_owned()));
    Parcel {
        content_type: "application/json; charset=utf-8".into(),
        headers: headers.collect(),
        body: body.to_string().into_bytes(),
        ..Parcel::default()
    }
}

fn read_event(parcel: &Parcel) -> Result<Envelope, String> {
    codec().decode(parcel, &["ShippingCompleted"], RECEIVED_AT).map_err(|error| error.to_string())
}

#[test]
fn a_cloud_event_in_binary_mode_is_understood_with_either_prefix() {
    let body = json!({ "order_id": ORDER, "trackingNumber": "TRK" });
    for prefix in ["cloudEvents:", "cloudEvents_"] {
        let attributes =
            [("time", "2024-11-14T10:30:00Z"), ("traceparent", TRACE), ("causationid", &CAUSE.to_string())];
        let read = read_event(&event(prefix, &attributes, &body)).unwrap();
        assert_eq!(ShippingCompleted::decode(&read.kind, &read.body).unwrap().tracking_number, "TRK");
        assert_eq!(read.correlation_id, CorrelationId(ORDER));
        assert_eq!(read.causation_id, Some(MessageId(CAUSE)));
        assert_eq!(read.traceparent.as_deref(), Some(TRACE));
        assert_eq!(read.sent_at.to_string(), "2024-11-14T10:30:00Z");
    }
}

#[test]
fn a_cloud_event_is_known_by_source_and_id_together() {
    let body = json!({ "orderId": ORDER, "trackingNumber": "TRK" });
    let id = |attributes: &[(&str, &str)]| read_event(&event("cloudEvents:", attributes, &body)).unwrap().id;
    assert_eq!(id(&[]), id(&[("time", "2024-11-14T10:30:00Z")]));
    assert_ne!(id(&[]), id(&[("id", "evt-2")]));
    assert_ne!(id(&[]), id(&[("source", "carrier/us")]));
    assert_eq!(id(&[("id", &CAUSE.to_string())]), MessageId(CAUSE));
}

#[test]
fn a_cloud_event_that_cannot_be_read_says_why() {
    let body = json!({ "orderId": ORDER, "trackingNumber": "TRK" });
    let refused =
        |attributes: &[(&str, &str)]| read_event(&event("cloudEvents:", attributes, &body)).unwrap_err();
    assert!(refused(&[("specversion", "0.3")]).contains("send 1.0"));
    assert!(refused(&[("type", "com.carrier.Lost")]).contains("com.carrier.Lost"));
    let mut xml = event("cloudEvents:", &[], &body);
    xml.content_type = "application/xml".into();
    assert!(read_event(&xml).unwrap_err().contains("application/xml"));
    assert!(
        read_event(&Parcel { content_type: "text/plain".into(), ..Parcel::default() })
            .unwrap_err()
            .contains("CloudEvents")
    );
}
