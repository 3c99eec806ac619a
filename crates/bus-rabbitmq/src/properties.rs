//! A parcel in the driver's terms and back. Headers that are no scalars are passed over: they belong to the broker.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::limits::HEADERS_MAX;
use super::wire::Parcel;

/// How the headers begin in which MassTransit says why a message lies in an error queue. Of a message that lay in one before, those of
/// the earlier time go: they would be taken for the reason of this one, and have a stack trace in them.
const REASONS: [&str; 3] = ["MT-Reason", "MT-Fault-", "MT-Host-"];

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
    if let Some(name) = &parcel.type_name {
        properties = properties.with_type(short(name));
    }
    if let Some(at) = parcel.timestamp.and_then(|at| u64::try_from(at.as_second()).ok()) {
        properties = properties.with_timestamp(at);
    }
    properties
}

/// The outside of what was delivered with more headers, for another queue; none if that would be too much for a frame. Without what
/// would have it vanish there (`expiration`), and what only its sender may say (`user-id`).
pub(super) fn with_more(
    original: &BasicProperties,
    more: &BTreeMap<String, String>,
) -> Option<BasicProperties> {
    let mut headers = FieldTable::default();
    for (name, value) in original.headers().iter().flat_map(FieldTable::inner) {
        if !REASONS.iter().any(|reason| name.as_str().starts_with(reason)) {
            headers.insert(name.clone(), value.clone());
        }
    }
    // As text it is longer than on the wire.
    if format!("{:?}", original.clone().with_headers(headers.clone())).len() > HEADERS_MAX {
        return None;
    }
    for (name, value) in more {
        headers.insert(short(name), AMQPValue::LongString(value.as_bytes().to_vec().into()));
    }
    let mut copy = BasicProperties::default().with_headers(headers).with_delivery_mode(PERSISTENT);
    let mut set = |value: &Option<ShortString>, with: fn(BasicProperties, ShortString) -> BasicProperties| {
        if let Some(value) = value {
            copy = with(std::mem::take(&mut copy), value.clone());
        }
    };
    set(original.content_type(), BasicProperties::with_content_type);
    set(original.content_encoding(), BasicProperties::with_content_encoding);
    set(original.correlation_id(), BasicProperties::with_correlation_id);
    set(original.reply_to(), BasicProperties::with_reply_to);
    set(original.message_id(), BasicProperties::with_message_id);
    set(original.kind(), BasicProperties::with_type);
    set(original.app_id(), BasicProperties::with_app_id);
    if let Some(at) = original.timestamp() {
        copy = copy.with_timestamp(*at);
    }
    if let Some(priority) = original.priority() {
        copy = copy.with_priority(*priority);
    }
    Some(copy)
}

/// What was delivered.
pub(super) fn parcel(properties: &BasicProperties, body: Vec<u8>) -> Parcel {
    let text = |property: &Option<ShortString>| property.as_ref().map(|text| text.as_str().to_owned());
    let at = properties.timestamp().and_then(|at| i64::try_from(at).ok());
    let headers = properties.headers().iter().flat_map(FieldTable::inner);
    Parcel {
        content_type: text(properties.content_type()).unwrap_or_default(),
        message_id: text(properties.message_id()),
        correlation_id: text(properties.correlation_id()),
        timestamp: at.and_then(|at| Timestamp::from_second(at).ok()),
        type_name: text(properties.kind()),
        headers: headers
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), scalar(value)?)))
            .collect(),
        body,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_on_the_outside_is_read_back(
            ids: (Option<u32>, Option<u32>, Option<u32>),
            at in prop::option::of(0_i64..4_000_000_000),
            headers in prop::collection::btree_map("[a-zA-Z:-]{1,20}", any::<String>(), 0..5),
            body: Vec<u8>,
        ) {
            let parcel = Parcel {
                content_type: "application/json".to_owned(),
                message_id: ids.0.map(|id| id.to_string()),
                correlation_id: ids.1.map(|id| id.to_string()),
                timestamp: at.map(|at| Timestamp::from_second(at).unwrap()),
                type_name: ids.2.map(|name| name.to_string()),
                headers,
                body,
            };
            prop_assert_eq!(super::parcel(&of(&parcel), parcel.body.clone()), parcel);
        }
    }

    #[test]
    fn numbers_of_other_senders_are_read_as_text_and_tables_are_passed_over() {
        let mut headers = FieldTable::default();
        headers.insert("count".into(), AMQPValue::LongInt(3));
        headers.insert("x-death".into(), AMQPValue::FieldTable(FieldTable::default()));
        let properties = BasicProperties::default().with_headers(headers);
        let read = super::parcel(&properties, Vec::new());
        assert_eq!(read.headers, [("count".to_owned(), "3".to_owned())].into());
    }
}
