//! The contract with other services, without a broker: what is written is what the documents show, what was written is read
//! back as it was, and what others write is understood or refused with a reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use application::messages::{
    Amount, Demand, InventoryReservationFailed, InventoryReservationRequested, InventoryReserved,
    MoneyMatter, NotificationDispatchRequested, OrderCancelledEvent, OrderCreatedEvent, OrderDeliveredEvent,
    OrderShippedEvent, OrderShippingRequested, OrderTimeoutEvent, ParcelReported, PaymentFailed,
    PaymentProcessed, PaymentProcessingRequested, PaymentRefundRequested, PaymentReported,
    ShipmentCancellationRequested, ShipmentTrackingRequested, ShippingCompleted,
};
use application::pipeline::topology;
use application::ports::{Notification, NotificationKind, ParcelTrouble};
use application::requests::{
    CancelOrder, CancelWish, GetOrderStatus, OrderCancellationAccepted, OrderCancellationRefused,
    OrderNotFound, OrderStatusAnswer,
};
use bus::{Answer, Asked, Asker, CorrelationId, DeadLetter, Envelope, Message, MessageId, TimerFired};
use bus_rabbitmq::wire::{Codec, Host, MASSTRANSIT_JSON, Parcel};
use domain::text::{Lines, clean};
use jiff::{SignedDuration, Timestamp};
use orderwright::config::RabbitMq;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

const ORDER: Uuid = Uuid::from_u128(0x0192_3f5e_8a40_7c11_9d2e_5b6a_7c8d_9e0f);
const CAUSE: Uuid = Uuid::from_u128(0x0192_3f5e_8a41_8f00_b1c2_d3e4_f506_1728);
const CONVERSATION: Uuid = Uuid::from_u128(0x0192_3f5e_8a3f_7000_8a9b_acbd_cedf_e0f1);
const PRODUCT: Uuid = Uuid::from_u128(0x0191_0000_0000_7abc_8def_0123_4567_89ab);
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const SENT_AT: Timestamp = Timestamp::constant(1_731_580_200, 250_000_000);
const RECEIVED_AT: Timestamp = Timestamp::constant(1_731_580_201, 0);

fn codec() -> Codec {
    let host = Host {
        machine_name: "worker-1".into(),
        process_name: "orderwright".into(),
        process_id: 1,
        assembly: "orderwright".into(),
        assembly_version: "0.1.0".into(),
        operating_system_version: "linux".into(),
    };
    Codec::new(RabbitMq::default().naming(), "rabbitmq://broker/shop".into(), &host, RabbitMq::reading())
}

/// One of each message.
fn messages() -> Vec<Envelope> {
    let order_id = ORDER;
    let lines = || vec![Demand { product_id: PRODUCT, quantity: 2 }];
    let amount = || Amount { minor: 4_990, currency: "EUR".into() };
    let payment_token = Some("tok_visa".to_owned());
    let idempotency_key = || format!("charge-{ORDER}");
    let tracking_number = || "TRK-000123".to_owned();
    let customer_id = "ALFKI".to_owned();
    let fired =
        TimerFired { saga: ORDER, name: "stage".into(), generation: 2, due_at_us: SENT_AT.as_microsecond() };
    vec![
        written(&OrderCreatedEvent { order_id, customer_id, total: amount(), lines: lines() }),
        written(&InventoryReservationRequested { order_id, lines: lines() }),
        written(&PaymentProcessingRequested {
            order_id,
            amount: amount(),
            idempotency_key: idempotency_key(),
            payment_token,
        }),
        written(&PaymentProcessed { order_id, amount: amount(), provider_reference: "ch_42".into() }),
        written(&PaymentFailed { order_id, code: "card_declined".into() }),
        written(&PaymentReported {
            order_id,
            matter: MoneyMatter::Disputed,
            detail: "payment.disputed (evt_1): dispute of ch_42: open".into(),
        }),
        written(&OrderShippingRequested { order_id, idempotency_key: idempotency_key() }),
        written(&ShippingCompleted { order_id, tracking_number: tracking_number() }),
        written(&ParcelReported {
            order_id,
            trouble: ParcelTrouble::Lost,
            detail: "shipment.lost (evt_2): TRK-000123: lost".into(),
        }),
        written(&ShipmentTrackingRequested { order_id, idempotency_key: idempotency_key() }),
        written(&ShipmentCancellationRequested { order_id, idempotency_key: idempotency_key() }),
        written(&PaymentRefundRequested { order_id, idempotency_key: idempotency_key(), part: None }),
        written(&InventoryReserved { order_id }),
        written(&InventoryReservationFailed { order_id, reason: "2 wanted, 1 available".into() }),
        written(&OrderShippedEvent { order_id, tracking_number: tracking_number(), carrier: "swift".into() }),
        written(&OrderDeliveredEvent { order_id }),
        written(&OrderCancelledEvent { order_id, reason: "card_declined".into() }),
        written(&NotificationDispatchRequested {
            order_id,
            channel: "smtp".into(),
            notification: notification(amount(), tracking_number()),
        }),
        written(&OrderTimeoutEvent(fired)),
    ]
}

fn notification(total: Amount, tracking_number: String) -> Notification {
    Notification {
        id: CAUSE,
        kind: NotificationKind::OrderShipped,
        order_id: ORDER,
        customer_id: "ALFKI".into(),
        email: None,
        total,
        at: SENT_AT,
        carrier: Some("swift".into()),
        tracking_number: Some(tracking_number),
        reason: None,
    }
}

/// One of each request, from a service on MassTransit.
fn requests() -> Vec<Envelope> {
    let question = GetOrderStatus { order_id: Some(ORDER), external_reference: None };
    let reason = Some(CancelWish::Customer);
    let wish = CancelOrder { order_id: ORDER, reason, note: Some("ordered twice".into()) };
    vec![
        asked(written(&Asked { request: question, asker: asker() })),
        asked(written(&Asked { request: wish, asker: asker() })),
    ]
}

/// Such a request begins what it is about.
fn asked(envelope: Envelope) -> Envelope {
    Envelope { causation_id: None, conversation_id: envelope.id, ..envelope }
}

fn asker() -> Asker {
    let answer_to = Some("web1_shop_bus_x3oyyy8tu6imixbxdw5x".to_owned());
    Asker { request_id: Some(PRODUCT), answer_to, fault_to: None }
}

/// One of each answer.
fn answers() -> Vec<Answer> {
    let [question, wish] = requests().try_into().unwrap();
    let order_id = ORDER;
    let status = OrderStatusAnswer {
        order_id,
        status: "shipped".into(),
        saga_state: "shipped".into(),
        reason: None,
        created_at: SENT_AT,
        updated_at: SENT_AT,
    };
    let refused = OrderCancellationRefused {
        order_id,
        saga_state: "shipped".into(),
        reason: "the parcel is with the carrier".into(),
    };
    vec![
        answer(&question, &status),
        answer(&question, &OrderNotFound { order_id: Some(order_id), external_reference: None }),
        answer(&wish, &OrderCancellationAccepted { order_id, already: false }),
        answer(&wish, &refused),
    ]
}

fn answer(cause: &Envelope, answer: &impl Message) -> Answer {
    let asked = Asked { request: (), asker: asker() };
    Answer::told_by(&asked.answer(cause, answer, SENT_AT).unwrap()).unwrap()
}

fn written(message: &impl Message) -> Envelope {
    let kind = message.kind();
    Envelope {
        id: MessageId(CAUSE).child(kind, 0),
        kind: Arc::from(kind),
        correlation_id: CorrelationId(ORDER),
        causation_id: Some(MessageId(CAUSE)),
        conversation_id: MessageId(CONVERSATION),
        traceparent: Some(Arc::from(TRACE)),
        sent_at: SENT_AT,
        attempt: 0,
        body: message.encode(),
    }
}

fn dead_letter() -> DeadLetter {
    let failed = messages().into_iter().find(|envelope| &*envelope.kind == "PaymentFailed");
    let envelope = Envelope { attempt: 6, ..failed.unwrap() };
    let reason = "message.decode failed: missing field `code` at line 1 column 58".to_owned();
    DeadLetter {
        position: 7,
        queue: "payment-processed".into(),
        envelope,
        reason,
        died_at: RECEIVED_AT,
        archived: None,
    }
}

/// Every example: the name of its file, and what stands in it.
fn examples() -> BTreeMap<String, String> {
    let pretty = |parcel: Parcel| format!("{}\n", indented(std::str::from_utf8(&parcel.body).unwrap()));
    let mut examples: BTreeMap<String, String> = messages()
        .iter()
        .chain(&requests())
        .map(|envelope| (envelope.kind.to_string(), pretty(codec().encode(envelope).unwrap())))
        .collect();
    let answers = answers().into_iter();
    examples.extend(
        answers.map(|answer| {
            (answer.envelope.kind.to_string(), pretty(codec().encode_answer(&answer).unwrap()))
        }),
    );
    examples.insert("Fault-PaymentFailed".into(), pretty(codec().encode_fault(&dead_letter()).unwrap()));
    examples
}

/// JSON over several lines, its fields in their order; a value read and written again would sort them.
fn indented(json: &str) -> String {
    let (mut out, mut depth, mut in_text, mut is_escaped) = (String::new(), 0, false, false);
    let mut letters = json.chars().peekable();
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    while let Some(letter) = letters.next() {
        let is_empty = matches!(letters.peek(), Some('}' | ']'));
        if in_text || letter == '"' {
            in_text ^= letter == '"' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            out.push(letter);
            continue;
        }
        match letter {
            '{' | '[' if is_empty => {
                out.push(letter);
                out.extend(letters.next());
            }
            '{' | '[' => {
                out.push(letter);
                depth += 1;
                new_line(&mut out, depth);
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => out.push(letter),
        }
    }
    out
}

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// How the examples are written anew after a change that was meant: run these tests with this variable set.
const REWRITE: &str = "ORDERWRIGHT_REWRITE_EXAMPLES";

#[test]
fn the_golden_files_show_each_message_as_it_is_written() {
    let expected = examples();
    let folder = docs().join("interop");
    if std::env::var_os(REWRITE).is_some() {
        for (name, text) in &expected {
            fs::write(folder.join(format!("{name}.json")), text).unwrap();
        }
    }
    let found: BTreeMap<String, String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>(),
        "set {REWRITE}=1 if this is meant"
    );
    for (name, text) in &expected {
        assert_eq!(&found[name], text, "{name}: set {REWRITE}=1 if this is meant");
    }
}

#[test]
fn the_document_shows_the_golden_files() {
    const MARK: &str = "<!-- examples: written by a test -->\n";
    let path = docs().join("interop.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once(MARK).expect("the document has its mark");
    let sections = examples().into_iter().map(|(name, json)| format!("\n### {name}\n\n```json\n{json}```\n"));
    let expected: String = sections.collect();
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&path, format!("{before}{MARK}{expected}")).unwrap();
        return;
    }
    assert!(after == expected, "docs/interop.md is behind; set {REWRITE}=1 if this is meant");
}

#[test]
fn the_contracts_for_dotnet_have_each_message_with_each_of_its_members() {
    let path = docs().join("masstransit.md");
    let text = fs::read_to_string(&path).unwrap();
    for (kind, example) in examples().iter().filter(|(kind, _)| !kind.starts_with("Fault")) {
        let begin = format!("public record {kind}(");
        let (_, rest) =
            text.split_once(&begin).unwrap_or_else(|| panic!("{begin} is not in {}", path.display()));
        let (parameters, _) = rest.split_once(");").unwrap();
        let named: Vec<&str> =
            parameters.split(',').map(|parameter| parameter.rsplit(' ').next().unwrap()).collect();
        let envelope: Value = serde_json::from_str(example).unwrap();
        for member in envelope["message"].as_object().unwrap().keys() {
            let name = format!("{}{}", member[..1].to_uppercase(), &member[1..]);
            assert!(named.contains(&name.as_str()), "{kind} has {name}, and the record has {named:?}");
        }
    }
}

#[test]
fn no_message_of_the_pipeline_is_without_an_example() {
    let declared = include_str!("../../application/src/messages.rs").matches("\n#[message(kind").count();
    assert_eq!(messages().len(), declared, "one of each, the timer among them");
    let names = examples();
    for queue in topology().all_queues() {
        for kind in topology().kinds(&queue) {
            assert!(names.contains_key(kind), "{kind} of queue {queue}");
        }
    }
}

#[test]
fn every_golden_file_is_read_back_as_the_message_that_it_shows() {
    for sent in messages().into_iter().chain(requests()) {
        let text = fs::read(docs().join(format!("interop/{}.json", sent.kind))).unwrap();
        let read = codec().decode(&envelope_parcel(text), &[&sent.kind], RECEIVED_AT).unwrap();
        let body = |envelope: &Envelope| serde_json::from_slice::<Value>(&envelope.body).unwrap();
        assert_eq!(body(&read), body(&sent));
        assert_eq!(Envelope { body: sent.body.clone(), ..read }, sent);
    }
}

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

fn envelope_parcel(body: impl Into<Vec<u8>>) -> Parcel {
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
