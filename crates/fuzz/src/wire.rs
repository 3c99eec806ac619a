//! A delivery from a broker. The first line has the properties, `name: value` with semicolons between; the rest is
//! the body.

use std::sync::OnceLock;

use application::messages::{
    InventoryReservationRequested, NotificationDispatchRequested, OrderCreatedEvent, OrderShippingRequested,
    OrderTimeoutEvent, PaymentAuthorised, PaymentCaptureRequested, PaymentFailed, PaymentProcessed,
    PaymentProcessingRequested, PaymentRefundRequested, PaymentResult, ShipmentCancellationRequested,
    ShipmentTrackingRequested, ShippingCompleted, StockArrived,
};
use application::pipeline::{Telling, topology_telling};
use application::requests::OrderRequest;
use bus::{Envelope, Message};
use bus_rabbitmq::wire::{Codec, Host, MASSTRANSIT_JSON, Parcel};
use jiff::Timestamp;
use worker::config::RabbitMq;

/// Reads a message in MassTransit's envelope.
pub(crate) fn masstransit(bytes: &[u8]) {
    read(&parcel(bytes, MASSTRANSIT_JSON));
}

/// Parses a CloudEvent; its properties need not mark it as one.
pub(crate) fn cloud_event(bytes: &[u8]) {
    let mut parcel = parcel(bytes, "application/json");
    parcel.headers.entry("cloudEvents:specversion".to_owned()).or_insert_with(|| "1.0".to_owned());
    read(&parcel);
}

/// Reads the same bytes as every kind of message.
pub(crate) fn messages(body: &[u8]) {
    let _ = OrderCreatedEvent::decode(OrderCreatedEvent::KIND, body);
    let _ = InventoryReservationRequested::decode(InventoryReservationRequested::KIND, body);
    let _ = PaymentProcessingRequested::decode(PaymentProcessingRequested::KIND, body);
    let _ = PaymentCaptureRequested::decode(PaymentCaptureRequested::KIND, body);
    let _ = PaymentResult::decode(PaymentAuthorised::KIND, body);
    let _ = PaymentResult::decode(PaymentProcessed::KIND, body);
    let _ = PaymentResult::decode(PaymentFailed::KIND, body);
    let _ = PaymentResult::decode("anything", body);
    let _ = OrderShippingRequested::decode(OrderShippingRequested::KIND, body);
    let _ = ShippingCompleted::decode(ShippingCompleted::KIND, body);
    let _ = StockArrived::decode(StockArrived::KIND, body);
    let _ = ShipmentTrackingRequested::decode(ShipmentTrackingRequested::KIND, body);
    let _ = ShipmentCancellationRequested::decode(ShipmentCancellationRequested::KIND, body);
    let _ = PaymentRefundRequested::decode(PaymentRefundRequested::KIND, body);
    let _ = NotificationDispatchRequested::decode(NotificationDispatchRequested::KIND, body);
    for kind in OrderRequest::KINDS {
        let _ = OrderRequest::decode(kind, body);
    }
    let _ = OrderTimeoutEvent::decode(OrderTimeoutEvent::KIND, body);
}

fn parcel(bytes: &[u8], content_type: &str) -> Parcel {
    let cut = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (outside, body) = bytes.split_at(cut);
    let outside = String::from_utf8_lossy(outside);
    let mut parcel = Parcel {
        content_type: content_type.to_owned(),
        body: body.strip_prefix(b"\n").unwrap_or(body).to_vec(),
        ..Parcel::default()
    };
    for (name, value) in outside.split(';').filter_map(|pair| pair.split_once('=')) {
        let value = value.to_owned();
        match name {
            "content-type" => parcel.content_type = value,
            "message-id" => parcel.message_id = Some(value),
            "correlation-id" => parcel.correlation_id = Some(value),
            _ => drop(parcel.headers.insert(name.to_owned(), value)),
        }
    }
    parcel
}

/// The codec, and every kind that one of our queues wants.
fn codec() -> &'static (Codec, Vec<&'static str>) {
    static CODEC: OnceLock<(Codec, Vec<&'static str>)> = OnceLock::new();
    CODEC.get_or_init(|| {
        let topology = topology_telling(Telling::Somebody);
        let queues = topology.all_queues();
        let kinds = queues.iter().flat_map(|queue| topology.kinds(queue)).collect();
        let (naming, host) = (RabbitMq::default().naming(), Host::current("fuzz", "0"));
        (Codec::new(naming, "rabbitmq://broker".to_owned(), &host, RabbitMq::reading()), kinds)
    })
}

/// What was read can be written, and then reads the same.
fn read(parcel: &Parcel) {
    let (codec, kinds) = codec();
    let Ok(envelope) = codec.decode(parcel, kinds, Timestamp::UNIX_EPOCH) else { return };
    messages(&envelope.body);
    assert!(kinds.contains(&&*envelope.kind), "a message of a kind that nobody asked for: {}", envelope.kind);
    let written = codec.encode(&envelope).expect("what was read can be written");
    let again = codec.decode(&written, kinds, Timestamp::UNIX_EPOCH).expect("what was written can be read");
    assert_eq!(identity(&again), identity(&envelope));
    // What nobody gave a trace is written with one.
    assert!(again.traceparent.is_some());
    assert!(envelope.traceparent.is_none() || envelope.traceparent == again.traceparent);
}

fn identity(envelope: &Envelope) -> (bus::MessageId, bus::CorrelationId, &str) {
    (envelope.id, envelope.correlation_id, &envelope.kind)
}
