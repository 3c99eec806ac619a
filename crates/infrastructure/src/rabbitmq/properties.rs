//! A parcel in the driver's terms and back. Headers that are no scalars are passed over: they belong to the broker.

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::wire::Parcel;

/// Survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// What is written on the outside of a message.
pub(super) fn of(parcel: &Parcel) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in &parcel.headers {
        headers.insert(short(name), AMQPValue::LongString(value.as_bytes().to_vec().into()));
    }
    let mut properties = BasicProperties::default()
        .with_content_type(short(&parcel.content_type))
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    if let Some(id) = &parcel.message_id {
        properties = properties.with_message_id(short(id));
    }
    if let Some(id) = &parcel.correlation_id {
        properties = properties.with_correlation_id(short(id));
    }
    if let Some(at) = parcel.timestamp.and_then(|at| u64::try_from(at.as_second()).ok()) {
        properties = properties.with_timestamp(at);
    }
    properties
}

/// What was delivered.
pub(super) fn parcel(delivery: Delivery) -> Parcel {
    let properties = &delivery.properties;
    let text = |property: &Option<ShortString>| property.as_ref().map(|text| text.as_str().to_owned());
    let at = properties.timestamp().and_then(|at| i64::try_from(at).ok());
    let headers = properties.headers().iter().flat_map(FieldTable::inner);
    Parcel {
        content_type: text(properties.content_type()).unwrap_or_default(),
        message_id: text(properties.message_id()),
        correlation_id: text(properties.correlation_id()),
        timestamp: at.and_then(|at| Timestamp::from_second(at).ok()),
        headers: headers
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), scalar(value)?)))
            .collect(),
        body: delivery.data,
    }
}

fn scalar(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::Boolean(value) => Some(value.to_string()),
        AMQPValue::ShortShortInt(value) => Some(value.to_string()),
        AMQPValue::ShortShortUInt(value) => Some(value.to_string()),
        AMQPValue::ShortInt(value) => Some(value.to_string()),
        AMQPValue::ShortUInt(value) => Some(value.to_string()),
        AMQPValue::LongInt(value) => Some(value.to_string()),
        AMQPValue::LongUInt(value) => Some(value.to_string()),
        AMQPValue::LongLongInt(value) => Some(value.to_string()),
        AMQPValue::Timestamp(at) => Some(Timestamp::from_second(i64::try_from(*at).ok()?).ok()?.to_string()),
        AMQPValue::Float(_)
        | AMQPValue::Double(_)
        | AMQPValue::DecimalValue(_)
        | AMQPValue::FieldArray(_)
        | AMQPValue::FieldTable(_)
        | AMQPValue::ByteArray(_)
        | AMQPValue::Void => None,
    }
}

/// A name, whose length was checked where it was made.
fn short(text: &str) -> ShortString {
    ShortString::from(text)
}
