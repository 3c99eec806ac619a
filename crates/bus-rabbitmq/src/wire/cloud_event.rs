//! CloudEvents 1.0 in binary mode: attributes in the headers, JSON data in the body. Only read, never written.

use std::sync::Arc;

use bus::{CorrelationId, Envelope, MessageId};
use jiff::Timestamp;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::parse::{id_of, media_type, micros, no_kind};
use super::{Parcel, Reading, WireError, field_names, trace};

/// Both prefixes that the AMQP binding allows.
const PREFIXES: [&str; 2] = ["cloudEvents:", "cloudEvents_"];

/// Whether a message is a CloudEvent in binary mode.
pub(super) fn is_one(parcel: &Parcel) -> bool {
    attribute(parcel, "specversion").is_some()
}

/// Reads one.
pub(super) fn read(
    parcel: &Parcel,
    kinds: &[&str],
    received_at: Timestamp,
    reading: Reading,
) -> Result<Envelope, WireError> {
    check_form(parcel)?;
    let offered = attribute(parcel, "type").unwrap_or_default();
    let kind = kind(offered, kinds).ok_or_else(|| no_kind(offered, kinds))?;
    let data: &RawValue = serde_json::from_slice(&parcel.body)
        .map_err(|source| WireError::Malformed { format: "JSON document", source })?;
    let body = reading.kept(field_names::from_wire(data.get()));
    let id = identity(parcel)?;
    let outside = || ["correlationid", "subject"].iter().find_map(|name| id_of(attribute(parcel, name)));
    let correlation = reading.correlation(&body).or_else(outside).ok_or_else(|| reading.no_correlation())?;
    let sent_at = attribute(parcel, "time").and_then(|time| time.parse().ok());
    Ok(Envelope {
        id: MessageId(id),
        kind: Arc::from(kind),
        correlation_id: CorrelationId(correlation),
        causation_id: id_of(attribute(parcel, "causationid")).map(MessageId),
        conversation_id: MessageId(id),
        traceparent: trace::context(parcel, |name| attribute(parcel, name)),
        sent_at: micros(sent_at.or(parcel.timestamp).unwrap_or(received_at)),
        // We write none, so none of them has failed here: what is put off leaves as an envelope.
        attempt: 0,
        body,
    })
}

fn check_form(parcel: &Parcel) -> Result<(), WireError> {
    let version = attribute(parcel, "specversion").unwrap_or_default();
    if version != "1.0" {
        return Err(WireError::CloudEventsVersion { found: version.to_owned() });
    }
    let media_type = media_type(&parcel.content_type);
    if media_type == "application/json" || media_type.ends_with("+json") {
        return Ok(());
    }
    Err(WireError::ContentType { found: parcel.content_type.clone() })
}

/// Source and id together are what is unique. An id that is a UUID serves as it is; of any other one is derived.
fn identity(parcel: &Parcel) -> Result<Uuid, WireError> {
    let id = attribute(parcel, "id").ok_or(WireError::Missing { name: "id", expected: "a text" })?;
    let source = attribute(parcel, "source").unwrap_or_default();
    let derive = |_| Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{source}\n{id}").as_bytes());
    Ok(id.parse().unwrap_or_else(derive))
}

/// The kind that a type such as `com.example.ReadingTaken.v1` has among its parts, the last one first.
fn kind<'k>(offered: &str, kinds: &[&'k str]) -> Option<&'k str> {
    let mut parts = offered.rsplit(['.', ':', '/']);
    parts.find_map(|part| kinds.iter().copied().find(|kind| *kind == part))
}

fn attribute<'p>(parcel: &'p Parcel, name: &str) -> Option<&'p str> {
    PREFIXES.iter().find_map(|prefix| parcel.header(&format!("{prefix}{name}")))
}
