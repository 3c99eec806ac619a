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
    if let Some(name) = &parcel.type_name {
        properties = properties.with_type(short(name));
    }
    if let Some(at) = parcel.timestamp.and_then(|at| u64::try_from(at.as_second()).ok()) {
        properties = properties.with_timestamp(at);
    }
    properties
}

/// What was delivered.
pub(super) fn parcel(delivery: Delivery) -> Parcel {
    read(&delivery.properties, delivery.data)
}

/// A body with what is written on its outside.
pub(super) fn read(properties: &BasicProperties, body: Vec<u8>) -> Parcel {
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

    fn delivered(properties: BasicProperties, body: Vec<u8>) -> Delivery {
        let mut delivery = Delivery::mock(1, "exchange".into(), "".into(), false, body);
        delivery.properties = properties;
        delivery
    }

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
            prop_assert_eq!(super::parcel(delivered(of(&parcel), parcel.body.clone())), parcel);
        }
    }

    #[test]
    fn numbers_of_other_senders_are_read_as_text_and_tables_are_passed_over() {
        let mut headers = FieldTable::default();
        headers.insert("count".into(), AMQPValue::LongInt(3));
        headers.insert("x-death".into(), AMQPValue::FieldTable(FieldTable::default()));
        let properties = BasicProperties::default().with_headers(headers);
        let read = super::parcel(delivered(properties, Vec::new()));
        assert_eq!(read.headers, [("count".to_owned(), "3".to_owned())].into());
    }
}
