//! MassTransit's JSON envelope as it is written and as it is read. What is read may lack whatever a sender need not give.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
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
    pub(super) correlation_id: Option<Uuid>,
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

/// The envelope as a service on MassTransit may write it. Its names may be in any case: who sets another naming policy there changes
/// them too.
pub(super) struct Read<'a> {
    pub(super) message_id: Option<Uuid>,
    pub(super) request_id: Option<Uuid>,
    pub(super) correlation_id: Option<Uuid>,
    pub(super) conversation_id: Option<Uuid>,
    pub(super) initiator_id: Option<Uuid>,
    pub(super) response_address: Option<Cow<'a, str>>,
    pub(super) fault_address: Option<Cow<'a, str>>,
    pub(super) message_type: Vec<String>,
    pub(super) message: &'a RawValue,
    sent_time: Option<Cow<'a, str>>,
    expiration_time: Option<Cow<'a, str>>,
    headers: Option<BTreeMap<String, Value>>,
}

/// The members of an envelope that are read, in lower case.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
struct Members<'a> {
    messageid: Option<Uuid>,
    requestid: Option<Uuid>,
    correlationid: Option<Uuid>,
    conversationid: Option<Uuid>,
    initiatorid: Option<Uuid>,
    #[serde(borrow)]
    responseaddress: Option<Cow<'a, str>>,
    #[serde(borrow)]
    faultaddress: Option<Cow<'a, str>>,
    messagetype: Option<Vec<String>>,
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(borrow)]
    senttime: Option<Cow<'a, str>>,
    #[serde(borrow)]
    expirationtime: Option<Cow<'a, str>>,
    headers: Option<BTreeMap<String, Value>>,
}

impl<'a> Read<'a> {
    /// Reads an envelope.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let malformed = |source| WireError::Malformed { format: "MassTransit envelope", source };
        let mut json = serde_json::Deserializer::from_slice(body);
        let members = json.deserialize_map(AnyCase).map_err(malformed)?;
        json.end().map_err(malformed)?;
        Ok(Self {
            message_id: members.messageid,
            request_id: members.requestid,
            correlation_id: members.correlationid,
            conversation_id: members.conversationid,
            initiator_id: members.initiatorid,
            response_address: members.responseaddress,
            fault_address: members.faultaddress,
            message_type: members.messagetype.unwrap_or_default(),
            message: members.message,
            sent_time: members.senttime,
            expiration_time: members.expirationtime,
            headers: members.headers,
        })
    }

    /// When it was sent, if that is said in a form with a time zone.
    pub(super) fn sent_at(&self) -> Option<Timestamp> {
        self.sent_time.as_ref()?.parse().ok()
    }

    /// Until when it is to be handled, if that is said in a form with a time zone.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        self.expiration_time.as_ref()?.parse().ok()
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

/// Reads the members of an object by their names in lower case.
struct AnyCase;

impl<'de> Visitor<'de> for AnyCase {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        Members::deserialize(MapAccessDeserializer::new(Lowered(members)))
    }
}

/// The same members with names in lower case.
struct Lowered<A>(A);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Lowered<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(name) = self.0.next_key::<Cow<'de, str>>()? else { return Ok(None) };
        seed.deserialize(name.to_ascii_lowercase().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}

/// A JSON text that need not be read further.
pub(super) fn raw(json: String, kind: &str) -> Result<Box<RawValue>, WireError> {
    RawValue::from_string(json).map_err(|source| WireError::BodyNotJson { kind: kind.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_envelope_are_read_in_any_case_and_a_name_that_is_there_twice_is_refused() {
        let body = r#"{"MessageId":"9b0b0000-119f-aaba-b5ef-08df4dc04102","MESSAGETYPE":["urn:message:A:B"],"message":{"MessageId":1},"Headers":{"MT-Activity-Id":"x"}}"#;
        let read = Read::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            read.message_id.map(|id| id.to_string()).as_deref(),
            Some("9b0b0000-119f-aaba-b5ef-08df4dc04102")
        );
        assert_eq!(read.message_type, ["urn:message:A:B"]);
        assert_eq!((read.message.get(), read.header("MT-Activity-Id")), (r#"{"MessageId":1}"#, Some("x")));
        for twice in [r#"{"message":1,"Message":2}"#, r#"{"message":1,"message":2}"#] {
            let error = Read::parse(twice.as_bytes()).err().expect("it is ambiguous").to_string();
            assert!(error.contains("duplicate field"), "{error}");
        }
    }
}
