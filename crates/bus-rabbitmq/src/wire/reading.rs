//! How a program reads what others send: which part of a message says what it belongs to, and what is done to its body before
//! it is kept.

use std::borrow::Cow;
use std::fmt;

use bus::Asker;
use bytes::Bytes;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use uuid::Uuid;

use super::{WireError, field_names};

/// What a program knows of its own messages.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The member of a body, in snake_case, whose UUID is the correlation. It goes before whatever stands around the message,
    /// because MassTransit takes for its correlation any property named `CorrelationId`, `CommandId` or `EventId`.
    pub correlation_member: Option<&'static str>,
    /// Kinds whose sender waits for an answer. Their bodies are those of [`bus::Asked`], and one that names no correlation has its own id
    /// for it.
    pub requests: &'static [&'static str],
    /// What is done to a body before it is kept: for texts that a store or a terminal could not bear.
    pub cleaning: fn(&[u8]) -> Cow<'_, [u8]>,
}

impl Default for Reading {
    /// The correlation is what the envelope says, and bodies stay as they come.
    fn default() -> Self {
        Self { correlation_member: None, requests: &[], cleaning: |body| Cow::Borrowed(body) }
    }
}

impl Reading {
    /// The message of the wire as it is kept: cleaned first, since what stands in a name for a letter may hide how it is written.
    pub(super) fn kept(self, json: &str) -> Bytes {
        match (self.cleaning)(json.as_bytes()) {
            Cow::Borrowed(_) => field_names::from_wire(json).into(),
            Cow::Owned(cleaned) => field_names::from_wire(&String::from_utf8_lossy(&cleaned)).into(),
        }
    }

    /// Whether the sender of such a message waits for an answer.
    pub(super) fn is_request(self, kind: &str) -> bool {
        self.requests.contains(&kind)
    }

    /// The body as a consumer gets it: of a request, with who asked.
    pub(super) fn with_asker(self, kind: &str, body: Bytes, asker: Asker) -> Result<Bytes, WireError> {
        if !self.is_request(kind) {
            return Ok(body);
        }
        let malformed =
            |fault| WireError::Malformed { format: "JSON document", source: Error::custom(fault) };
        asker.with(&body).map_err(malformed)
    }

    /// What the message itself says that it belongs to.
    pub(super) fn correlation(self, body: &[u8]) -> Option<Uuid> {
        let mut json = serde_json::Deserializer::from_slice(body);
        Member(self.correlation_member?).deserialize(&mut json).ok()?
    }

    /// Said of a message that names no correlation anywhere.
    pub(super) fn no_correlation(self) -> WireError {
        WireError::NoCorrelation { member: self.correlation_member.map(field_names::name_on_wire) }
    }
}

/// Looks for a member of an object, and passes over all the others.
struct Member(&'static str);

impl<'de> DeserializeSeed<'de> for Member {
    type Value = Option<Uuid>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member {
    type Value = Option<Uuid>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_wanted) = members.next_key_seed(Is(self.0))? {
            if !is_wanted {
                members.next_value::<IgnoredAny>()?;
            } else if found.replace(members.next_value()?).is_some() {
                return Err(A::Error::duplicate_field(self.0));
            }
        }
        Ok(found)
    }
}

/// Whether a name is this one.
struct Is(&'static str);

impl<'de> DeserializeSeed<'de> for Is {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn correlation(body: &str) -> Option<Uuid> {
        Reading { correlation_member: Some("meter_id"), ..Reading::default() }.correlation(body.as_bytes())
    }

    #[test]
    fn the_member_of_the_message_itself_is_found_wherever_it_stands() {
        assert_eq!(correlation(&format!(r#"{{"meter_id":"{ID}"}}"#)), Some(ID));
        assert_eq!(
            correlation(&format!(r#"{{"at":[1,{{"a":2}}],"meter_id":"{ID}","unit":"kWh"}}"#)),
            Some(ID)
        );
    }

    #[test]
    fn a_member_that_is_deeper_twice_or_no_id_is_none() {
        assert_eq!(correlation(&format!(r#"{{"inner":{{"meter_id":"{ID}"}}}}"#)), None);
        assert_eq!(correlation(&format!(r#"{{"meter_id":"{ID}","meter_id":"{ID}"}}"#)), None);
        assert_eq!(correlation(r#"{"meter_id":"A-7"}"#), None);
        assert_eq!(correlation(&format!(r#"["{ID}"]"#)), None);
    }

    #[test]
    fn who_names_no_member_believes_the_envelope() {
        let body = format!(r#"{{"meter_id":"{ID}"}}"#);
        assert_eq!(Reading::default().correlation(body.as_bytes()), None);
        assert!(!Reading::default().no_correlation().to_string().contains("of the message"));
    }
}
