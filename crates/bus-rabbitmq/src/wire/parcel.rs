//! A message as the broker sees it, without the driver's types: a body and what is written on the outside.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Body and properties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    /// Media type of the body.
    pub content_type: String,
    /// The AMQP property of that name.
    pub message_id: Option<String>,
    /// The AMQP property of that name.
    pub correlation_id: Option<String>,
    /// The AMQP property of that name; whole seconds on the wire.
    pub timestamp: Option<Timestamp>,
    /// The AMQP property `type`.
    pub type_name: Option<String>,
    /// Application headers, scalars only, as text.
    pub headers: BTreeMap<String, String>,
    /// The message.
    pub body: Vec<u8>,
}

impl Parcel {
    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}
