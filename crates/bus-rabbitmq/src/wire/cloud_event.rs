//! CloudEvents 1.0, in binary mode (attributes in the headers, data in the body) and in structured mode (all of it in the body,
//! as JSON). Only read, never written.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bus::{Asker, CorrelationId, Envelope, MessageId};
use jiff::Timestamp;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::parse::{Legible, id_of, is_json, media_type, micros, no_kind};
use super::{CLOUD_EVENTS_JSON, Parcel, Reading, WireError, trace};

/// How the media types of all formats begin.
const FORMATS: &str = "application/cloudevents";

/// How the media types of batches begin.
const BATCHES: &str = "application/cloudevents-batch";

/// The prefix of the RabbitMQ binding, and both that the AMQP binding allows.
const PREFIXES: [&str; 3] = ["ce-", "cloudEvents:", "cloudEvents_"];

/// How a message carries an event, if it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The body is the data.
    Binary,
    /// The body is the whole event.
    Structured,
}

/// What the outside of a message says. The content type decides first: with an event in structured mode, some senders repeat its
/// attributes in the headers.
pub(super) fn mode(parcel: &Parcel) -> Result<Option<Mode>, WireError> {
    let media_type = media_type(&parcel.content_type);
    if media_type == CLOUD_EVENTS_JSON {
        return Ok(Some(Mode::Structured));
    }
    if media_type.starts_with(BATCHES) {
        return Err(WireError::CloudEventsBatch);
    }
    if media_type.starts_with(FORMATS) {
        return Err(WireError::CloudEventsFormat { found: media_type });
    }
    if ["specversion", "type"].iter().any(|name| header(parcel, name).is_some()) {
        return Ok(Some(Mode::Binary));
    }
    // Wolverine labels its events in structured mode as plain JSON.
    let is_labelled_json = media_type == "application/json";
    let is_event = || Structured::parse(&parcel.body).is_ok_and(|event| event.text("specversion").is_some());
    Ok((is_labelled_json && is_event()).then_some(Mode::Structured))
}

/// Reads one.
pub(super) fn read(
    parcel: &Parcel,
    mode: Mode,
    kinds: &[&str],
    received_at: Timestamp,
    reading: Reading,
) -> Result<Legible, WireError> {
    match mode {
        Mode::Binary => {
            let attribute = |name: &str| header(parcel, name).map(Cow::Borrowed);
            check_version(attribute("specversion").as_deref())?;
            check_data_type(&parcel.content_type)?;
            let data = serde_json::from_slice(&parcel.body).map_err(malformed)?;
            Event { parcel, attribute, data }.read(kinds, received_at, reading)
        }
        Mode::Structured => {
            let event = Structured::parse(&parcel.body).map_err(malformed)?;
            let attribute = |name: &str| event.text(name);
            check_version(attribute("specversion").as_deref())?;
            check_data_type(&attribute("datacontenttype").unwrap_or_default())?;
            let decoded = event.decoded_data()?;
            let data = match (&decoded, event.member("data")) {
                (_, Some(data)) => data,
                (Some(bytes), None) => serde_json::from_slice(bytes).map_err(malformed)?,
                (None, None) => return Err(WireError::Missing { name: "data", expected: "a JSON object" }),
            };
            Event { parcel, attribute, data }.read(kinds, received_at, reading)
        }
    }
}

fn malformed(source: serde_json::Error) -> WireError {
    WireError::Malformed { format: "JSON document", source }
}

fn check_version(version: Option<&str>) -> Result<(), WireError> {
    match version {
        Some("1.0") => Ok(()),
        found => Err(WireError::CloudEventsVersion { found: found.unwrap_or_default().to_owned() }),
    }
}

/// Data whose type is not given is JSON.
fn check_data_type(content_type: &str) -> Result<(), WireError> {
    if content_type.is_empty() || is_json(&media_type(content_type)) {
        return Ok(());
    }
    Err(WireError::CloudEventsData { found: content_type.to_owned() })
}

/// An event, however it is carried.
struct Event<'a, A> {
    parcel: &'a Parcel,
    attribute: A,
    data: &'a RawValue,
}

impl<'a, A: Fn(&str) -> Option<Cow<'a, str>>> Event<'a, A> {
    fn read(self, kinds: &[&str], received_at: Timestamp, reading: Reading) -> Result<Legible, WireError> {
        let Self { parcel, attribute, data } = self;
        let offered = attribute("type").unwrap_or_default();
        let kind = kind(&offered, kinds).ok_or_else(|| no_kind(&offered, kinds))?;
        let body = reading.kept(data.get());
        let id = identity(&attribute)?;
        let outside =
            || ["correlationid", "subject"].iter().find_map(|name| id_of(attribute(name).as_deref()));
        let own = || reading.is_request(kind).then_some(id);
        let correlation = reading.correlation(&body).or_else(outside).or_else(own);
        let correlation = correlation.ok_or_else(|| reading.no_correlation())?;
        let body = reading.with_asker(kind, body, Asker::default())?;
        let sent_at = attribute("time").and_then(|time| moment(&time));
        let expires_at = attribute("expirytime").and_then(|time| moment(&time));
        let inside = |name: &str| attribute(&name.to_ascii_lowercase()).map(Cow::into_owned);
        let envelope = Envelope {
            id: MessageId(id),
            kind: Arc::from(kind),
            correlation_id: CorrelationId(correlation),
            causation_id: id_of(attribute("causationid").as_deref()).map(MessageId),
            conversation_id: MessageId(id),
            traceparent: trace::context(parcel, inside),
            sent_at: micros(sent_at.or(parcel.timestamp).unwrap_or(received_at)),
            // We write none, so none of them has failed here: what is put off leaves as an envelope.
            attempt: 0,
            body,
        };
        Ok(Legible { envelope, expires_at })
    }
}

/// Source and id together are what is unique. An id that is a UUID serves as it is; of any other one is derived.
fn identity<'a>(attribute: &impl Fn(&str) -> Option<Cow<'a, str>>) -> Result<Uuid, WireError> {
    let id = attribute("id").ok_or(WireError::Missing { name: "id", expected: "a text" })?;
    let source = attribute("source").unwrap_or_default();
    let derive = |_| Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{source}\n{id}").as_bytes());
    Ok(id.parse().unwrap_or_else(derive))
}

/// The kind that a type such as `com.example.ReadingTaken.v1` has among its parts, the last one first. Of a .NET type it is the
/// name, which may be nested (`Shop.Meters+ReadingTaken`) or have its assembly behind a comma.
fn kind<'k>(offered: &str, kinds: &[&'k str]) -> Option<&'k str> {
    let named = offered.split(',').next().unwrap_or_default().trim();
    let mut parts = named.rsplit(['.', ':', '/', '+']);
    parts.find_map(|part| kinds.iter().copied().find(|kind| *kind == part))
}

/// A time as text, or in milliseconds since 1970, as AMQP has it.
fn moment(time: &str) -> Option<Timestamp> {
    time.parse().ok().or_else(|| Timestamp::from_millisecond(time.parse().ok()?).ok())
}

fn header<'p>(parcel: &'p Parcel, name: &str) -> Option<&'p str> {
    PREFIXES.iter().find_map(|prefix| parcel.header(&format!("{prefix}{name}")))
}

/// An event in structured mode: its members, without those that are null.
struct Structured<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Structured<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let event = json.deserialize_map(Members)?;
        json.end()?;
        Ok(event)
    }

    fn member(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// An attribute that is a text, or a number or truth value as text.
    fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        let value = self.member(name)?.get();
        match value.as_bytes().first()? {
            b'"' => serde_json::from_str::<String>(value).ok().map(Cow::Owned),
            b'{' | b'[' => None,
            _ => Some(Cow::Borrowed(value)),
        }
    }

    fn decoded_data(&self) -> Result<Option<Vec<u8>>, WireError> {
        let Some(text) = self.text("data_base64") else { return Ok(None) };
        let expected = "base64 text";
        let decoded = STANDARD.decode(text.as_bytes());
        decoded.map(Some).map_err(|_| WireError::Missing { name: "data_base64", expected })
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Structured<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a CloudEvent, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format_args!("'{name}' is there twice")));
            }
            if members.len() >= MEMBERS_MAX {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            members.push((name, map.next_value()?));
        }
        members.retain(|(_, value)| value.get() != "null");
        Ok(Structured(members))
    }
}

/// Members of an event that are looked at. An event has about a dozen.
const MEMBERS_MAX: usize = 256;
