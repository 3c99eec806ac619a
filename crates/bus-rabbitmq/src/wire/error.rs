//! What can be wrong with bytes. Each text says what is wrong and what would be right; none is ever retried.

use thiserror::Error;

/// A message that cannot be written, or read.
#[derive(Debug, Error)]
pub enum WireError {
    /// The body of an outgoing message.
    #[error("the body of a {kind} is not JSON, which is what the envelope carries: {source}")]
    BodyNotJson {
        /// The message's kind.
        kind: String,
        /// Where it stops being JSON.
        source: serde_json::Error,
    },
    /// A field of an outgoing message.
    #[error(
        "the field '{field}' has a capital letter; name fields in snake_case, which the wire turns into camelCase and back"
    )]
    FieldName {
        /// The field.
        field: String,
    },
    /// AMQP 1.0, and not bytes.
    #[error("its body is an AMQP 1.0 value or sequence, which is not read here; send a data section")]
    NoDataSection,
    /// Neither of the formats that are read.
    #[error(
        "content type '{found}' is not read here; send '{}', or CloudEvents with JSON data",
        super::MASSTRANSIT_JSON
    )]
    ContentType {
        /// What the message says that it is.
        found: String,
    },
    /// JSON of which nothing says what it is.
    #[error(
        "it is plain JSON ('{found}'), and neither its headers nor its body say that it is a CloudEvent (there is no specversion); send it as one, or in an envelope as '{}'",
        super::MASSTRANSIT_JSON
    )]
    PlainJson {
        /// What the message says that it is.
        found: String,
    },
    /// A message of MassTransit without its envelope.
    #[error(
        "it is MassTransit's raw JSON, without an envelope (UseRawJsonSerializer), which is not read here; send it with the usual serializer, as '{}'",
        super::MASSTRANSIT_JSON
    )]
    RawJson,
    /// Several events in one message.
    #[error("it is a batch of CloudEvents, which is not read here; send each event as a message of its own")]
    CloudEventsBatch,
    /// An event in a format that is not JSON.
    #[error("CloudEvents as '{found}' are not read here; send '{}'", super::CLOUD_EVENTS_JSON)]
    CloudEventsFormat {
        /// What the message says that it is.
        found: String,
    },
    /// An event whose data is not JSON.
    #[error("the data of the CloudEvent is '{found}'; send JSON data, as 'application/json'")]
    CloudEventsData {
        /// What the event says that its data is.
        found: String,
    },
    /// Not what the content type says.
    #[error("the body is not a {format}: {source}")]
    Malformed {
        /// What it should be.
        format: &'static str,
        /// Where it goes wrong.
        source: serde_json::Error,
    },
    /// Nothing that this queue takes.
    #[error("it offers the types [{offered}], of which this queue takes none; it takes [{wanted}]")]
    NoKind {
        /// What the message says that it is.
        offered: String,
        /// What the queue takes.
        wanted: String,
    },
    /// Its sender did not want it handled any more.
    #[error("it was to be handled by {at}")]
    Expired {
        /// Until when it counted.
        at: jiff::Timestamp,
    },
    /// No identity, so a repeat could not be told from a new message.
    #[error("it has no usable {name}; give it {expected}")]
    Missing {
        /// What is missing.
        name: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// Nothing says what it belongs to.
    #[error(
        "it has no usable correlation; give it a UUID as {}correlationId (correlationid in a CloudEvent)",
        in_the_message(member.as_deref())
    )]
    NoCorrelation {
        /// The member of the message that would say so, as the wire names it.
        member: Option<String>,
    },
    /// Not a version that is read.
    #[error("CloudEvents version '{found}' is not read here; send 1.0")]
    CloudEventsVersion {
        /// The version found.
        found: String,
    },
}

fn in_the_message(member: Option<&str>) -> String {
    member.map_or_else(String::new, |member| format!("{member} of the message itself, or as "))
}
