//! MassTransit's JSON envelope as it is written and as it is read. What is read may lack whatever a sender need not give.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::WireError;

/// Bytes that an envelope commonly takes beside its message.
const ROOM: usize = 1_024;

/// The envelope as MassTransit 8 writes it; what we never have is written as null, as it does.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written<'a> {
    pub(super) message_id: Uuid,
    pub(super) request_id: Option<Uuid>,
    pub(super) correlation_id: Uuid,
    pub(super) conversation_id: Uuid,
    pub(super) initiator_id: Option<Uuid>,
    pub(super) source_address: &'a str,
    pub(super) destination_address: String,
    pub(super) response_address: Option<&'a str>,
    pub(super) fault_address: Option<&'a str>,
    pub(super) message_type: Vec<String>,
    pub(super) message: &'a RawValue,
    pub(super) expiration_time: Option<Timestamp>,
    pub(super) sent_time: Timestamp,
    pub(super) headers: BTreeMap<&'a str, Value>,
    pub(super) host: &'a RawValue,
}

impl Written<'_> {
    /// The envelope's bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ROOM + self.message.get().len());
        serde_json::to_writer(&mut bytes, self)
            .expect("an envelope is plain data, which always has a JSON form");
        bytes
    }
}

/// The envelope as anybody on MassTransit may write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Read<'a> {
    pub(super) message_id: Option<Uuid>,
    pub(super) correlation_id: Option<Uuid>,
    pub(super) conversation_id: Option<Uuid>,
    pub(super) initiator_id: Option<Uuid>,
    #[serde(default)]
    pub(super) message_type: Vec<String>,
    #[serde(borrow)]
    pub(super) message: &'a RawValue,
    #[serde(borrow)]
    sent_time: Option<Cow<'a, str>>,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
}

impl<'a> Read<'a> {
    /// Reads an envelope.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let format = "MassTransit envelope";
        serde_json::from_slice(body).map_err(|source| WireError::Malformed { format, source })
    }

    /// When it was sent, if that is said in a form with a time zone.
    pub(super) fn sent_at(&self) -> Option<Timestamp> {
        self.sent_time.as_ref()?.parse().ok()
    }

    /// A header that is a text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.as_ref()?.get(name)?.as_str()
    }

    /// How often handling it has failed so far, as this header says.
    pub(super) fn attempt(&self, header: &str) -> u32 {
        let count = self.headers.as_ref().and_then(|headers| headers.get(header));
        let count = count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
        count.map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX))
    }
}

/// A JSON text that need not be read further.
pub(super) fn raw(json: String, kind: &str) -> Result<Box<RawValue>, WireError> {
    RawValue::from_string(json).map_err(|source| WireError::BodyNotJson { kind: kind.to_owned(), source })
}
