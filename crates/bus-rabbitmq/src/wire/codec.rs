//! From an envelope of the bus to what travels, and back. What cannot be read is an error that says why, never a guess.

use std::collections::BTreeMap;
use std::str;
use std::sync::Arc;

use bus::{Answer, Asker, CorrelationId, DeadLetter, Envelope, MessageId};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::fault_message::FaultBody;
use super::masstransit::{Read, Written, raw};
use super::parse::{Legible, id_of, is_json, media_type, micros, no_kind};
use super::trace::{self, ACTIVITY_ID, TRACEPARENT};
use super::{Host, MASSTRANSIT_JSON, Naming, Parcel, Reading, WireError, cloud_event, field_names};

/// The `type` that RabbitMQ gives a message of AMQP 1.0 whose body is no data section: the body is then the sections as they came.
const SECTIONS: &str = "amqp-1.0";

/// The header in which MassTransit names the types of a message that has no envelope.
const RAW_TYPES: &str = "MT-MessageType";

/// Writes and reads messages.
#[derive(Clone, Debug)]
pub struct Codec {
    naming: Naming,
    /// Address of the virtual host, as `rabbitmq://host/vhost`.
    base: String,
    source: String,
    /// The sending process, as every message has it.
    host: Box<RawValue>,
    host_headers: Vec<(String, String)>,
    reading: Reading,
}

impl Codec {
    /// A codec for the contracts that `naming` names. `base` is the virtual host's address as `rabbitmq://host/vhost`.
    #[must_use]
    pub fn new(naming: Naming, base: String, host: &Host, reading: Reading) -> Self {
        let source = format!("{base}/{}", naming.program());
        let host_headers = host.headers();
        let host = to_raw_value(host).expect("a host is plain data, which always has a JSON form");
        Self { naming, base, source, host, host_headers, reading }
    }

    /// Names of exchanges and types.
    #[must_use]
    pub const fn naming(&self) -> &Naming {
        &self.naming
    }

    /// The sending process.
    pub(super) const fn host(&self) -> &RawValue {
        &self.host
    }

    /// The same as headers.
    pub(super) fn host_headers(&self) -> &[(String, String)] {
        &self.host_headers
    }

    /// The address of an exchange or queue.
    pub(super) fn address(&self, name: &str) -> String {
        [&self.base, "/", name].concat()
    }

    /// The virtual host as addresses have it; empty for the default one.
    pub(super) fn vhost(&self) -> &str {
        let path = self.base.split_once("://").map_or("", |(_, rest)| rest);
        path.split_once('/').map_or("", |(_, vhost)| vhost)
    }

    /// A message as it travels to the exchange of its kind.
    ///
    /// # Errors
    /// [`WireError`] for a body that is not JSON with names in snake_case.
    pub fn encode(&self, envelope: &Envelope) -> Result<Parcel, WireError> {
        self.encode_to(&self.naming.exchange(&envelope.kind), envelope)
    }

    /// A message as it travels to this exchange.
    ///
    /// # Errors
    /// As for [`Self::encode`].
    pub fn encode_to(&self, exchange: &str, envelope: &Envelope) -> Result<Parcel, WireError> {
        let (asker, message) = self.message(envelope)?;
        let address = |to: Option<String>| to.map(|to| self.address(&to));
        let (response_address, fault_address) = (address(asker.answer_to), address(asker.fault_to));
        let written = Written {
            request_id: asker.request_id,
            response_address: response_address.as_deref(),
            fault_address: fault_address.as_deref(),
            message_type: vec![self.naming.urn(&envelope.kind)],
            destination_address: self.address(exchange),
            ..self.written(envelope, &message)
        };
        Ok(Parcel { type_name: Some(self.naming.type_name(&envelope.kind)), ..parcel(&written) })
    }

    /// An answer as it travels to whoever waits for it.
    ///
    /// # Errors
    /// As for [`Self::encode`].
    pub fn encode_answer(&self, answer: &Answer) -> Result<Parcel, WireError> {
        let envelope = &answer.envelope;
        let (_, message) = self.message(envelope)?;
        let written = Written {
            request_id: answer.request_id,
            message_type: vec![self.naming.urn(&envelope.kind)],
            destination_address: self.address(&answer.to),
            ..self.written(envelope, &message)
        };
        Ok(Parcel { type_name: Some(self.naming.type_name(&envelope.kind)), ..parcel(&written) })
    }

    /// Who waits for the answer to this message.
    pub fn asker(&self, envelope: &Envelope) -> Asker {
        self.apart(envelope).0
    }

    /// The news that a message could not be handled, as MassTransit publishes it. The same death has the same id however often it
    /// is told of.
    ///
    /// # Errors
    /// As for [`Self::encode`].
    pub fn encode_fault(&self, dead: &DeadLetter) -> Result<Parcel, WireError> {
        let envelope = &dead.envelope;
        let (asker, original) = self.message(envelope)?;
        let id = dead.news_id("Fault").0;
        let (urn, exception) = (self.naming.urn(&envelope.kind), self.naming.exception_type());
        let body = FaultBody::new(id, dead, urn, &original, &self.host, exception);
        let message = raw(body.json(), &envelope.kind)?;
        let exchange =
            asker.fault_to.or(asker.answer_to).unwrap_or_else(|| self.naming.fault_exchange(&envelope.kind));
        let written = Written {
            message_id: id,
            request_id: asker.request_id,
            initiator_id: Some(envelope.id.0),
            message_type: self.naming.fault_urns(&envelope.kind).into(),
            destination_address: self.address(&exchange),
            sent_time: dead.died_at,
            headers: trace_headers(envelope),
            ..self.written(envelope, &message)
        };
        Ok(parcel(&written))
    }

    /// Reads what was delivered to a queue that takes `kinds`. `received_at` stands in for a time that the sender did not give.
    ///
    /// # Errors
    /// [`WireError`] with what is wrong and what would be right.
    pub fn decode(
        &self,
        parcel: &Parcel,
        kinds: &[&str],
        received_at: Timestamp,
    ) -> Result<Envelope, WireError> {
        self.legible(parcel, kinds, received_at).map(|legible| legible.envelope)
    }

    /// The same of what is to be handled now. What a person has put back is handled however late it is.
    ///
    /// # Errors
    /// As for [`Self::decode`]; [`WireError::Expired`] too if its time has passed.
    pub fn decode_in_time(
        &self,
        parcel: &Parcel,
        kinds: &[&str],
        now: Timestamp,
    ) -> Result<Envelope, WireError> {
        let legible = self.legible(parcel, kinds, now)?;
        match parcel.header(self.naming.put_back_header()) {
            Some(_) => Ok(legible.envelope),
            None => legible.in_time(now),
        }
    }

    fn legible(&self, parcel: &Parcel, kinds: &[&str], received_at: Timestamp) -> Result<Legible, WireError> {
        if parcel.type_name.as_deref() == Some(SECTIONS) {
            return Err(WireError::NoDataSection);
        }
        if media_type(&parcel.content_type) == MASSTRANSIT_JSON {
            return self.read(parcel, kinds, received_at);
        }
        match cloud_event::mode(parcel)? {
            Some(mode) => cloud_event::read(parcel, mode, kinds, received_at, self.reading),
            None => Err(not_read(parcel)),
        }
    }

    fn read(&self, parcel: &Parcel, kinds: &[&str], received_at: Timestamp) -> Result<Legible, WireError> {
        let read = Read::parse(&parcel.body)?;
        let kind = self
            .naming
            .kind(&read.message_type, kinds)
            .ok_or_else(|| no_kind(&read.message_type.join(", "), kinds))?;
        let body = self.reading.kept(read.message.get());
        let id = read.message_id.or_else(|| id_of(parcel.message_id.as_deref()));
        let id = id.ok_or(WireError::Missing { name: "messageId", expected: "a UUID" })?;
        let envelope = || read.correlation_id.or_else(|| id_of(parcel.correlation_id.as_deref()));
        let own = || self.reading.is_request(kind).then_some(id);
        let correlation = self.reading.correlation(&body).or_else(envelope).or_else(own);
        let body = self.reading.with_asker(kind, body, self.asker_of(&read))?;
        let envelope = Envelope {
            id: MessageId(id),
            kind: Arc::from(kind),
            correlation_id: CorrelationId(correlation.ok_or_else(|| self.reading.no_correlation())?),
            causation_id: read.initiator_id.map(MessageId),
            conversation_id: MessageId(read.conversation_id.unwrap_or(id)),
            traceparent: trace::context(parcel, |name| read.header(name).map(str::to_owned)),
            sent_at: micros(read.sent_at().or(parcel.timestamp).unwrap_or(received_at)),
            attempt: read.attempt(self.naming.attempt_header()),
            body,
        };
        Ok(Legible { envelope, expires_at: read.expires_at() })
    }

    /// Who waits for an answer, as the envelope says. An exchange of another virtual host is none: nothing of ours gets there.
    fn asker_of(&self, read: &Read<'_>) -> Asker {
        let exchange = |address: Option<&str>| address.and_then(|address| self.exchange_at(address));
        Asker {
            request_id: read.request_id,
            answer_to: exchange(read.response_address.as_deref()),
            fault_to: exchange(read.fault_address.as_deref()),
        }
    }

    /// Who waits for an answer, and the message alone.
    fn apart(&self, envelope: &Envelope) -> (Asker, Bytes) {
        let request = self.reading.is_request(&envelope.kind).then(|| Asker::from_body(&envelope.body).ok());
        request.flatten().unwrap_or_else(|| (Asker::default(), envelope.body.clone()))
    }

    /// Who waits for an answer, and the body as the wire has it.
    fn message(&self, envelope: &Envelope) -> Result<(Asker, Box<RawValue>), WireError> {
        let kind = &*envelope.kind;
        let (asker, body) = self.apart(envelope);
        let body = str::from_utf8(&body).map_err(|error| WireError::BodyNotJson {
            kind: kind.to_owned(),
            source: serde::de::Error::custom(error),
        })?;
        // Names change nothing about whether it is JSON, so that is looked at once, behind them.
        Ok((asker, raw(field_names::to_wire(body)?, kind)?))
    }

    fn written<'a>(&'a self, envelope: &'a Envelope, message: &'a RawValue) -> Written<'a> {
        Written {
            message_id: envelope.id.0,
            request_id: None,
            correlation_id: Some(envelope.correlation_id.0),
            conversation_id: envelope.conversation_id.0,
            initiator_id: envelope.causation_id.map(|id| id.0),
            source_address: &self.source,
            destination_address: String::new(),
            response_address: None,
            fault_address: None,
            message_type: Vec::new(),
            message,
            expiration_time: None,
            sent_time: envelope.sent_at,
            headers: self.headers(envelope),
            host: &self.host,
        }
    }

    /// Headers that travel both in the envelope and on the outside.
    fn headers(&self, envelope: &Envelope) -> BTreeMap<&str, Value> {
        let mut headers = trace_headers(envelope);
        if envelope.attempt > 0 {
            headers.insert(self.naming.attempt_header(), Value::from(envelope.attempt));
        }
        headers
    }
}

/// Why a message of no format that is read here is none.
fn not_read(parcel: &Parcel) -> WireError {
    let found = parcel.content_type.clone();
    if parcel.header(RAW_TYPES).is_some() {
        return WireError::RawJson;
    }
    if is_json(&media_type(&found)) {
        WireError::PlainJson { found }
    } else {
        WireError::ContentType { found }
    }
}

pub(super) fn parcel(written: &Written) -> Parcel {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let outside = written.headers.iter().map(|(name, value)| ((*name).to_owned(), text(value)));
    Parcel {
        content_type: MASSTRANSIT_JSON.to_owned(),
        message_id: Some(written.message_id.to_string()),
        correlation_id: written.correlation_id.map(|id| id.to_string()),
        timestamp: Some(written.sent_time),
        type_name: None,
        headers: outside.collect(),
        body: written.bytes(),
    }
}

fn trace_headers<'a>(envelope: &Envelope) -> BTreeMap<&'a str, Value> {
    let context = Value::from(trace::of(envelope));
    [(TRACEPARENT, context.clone()), (ACTIVITY_ID, context)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_amqp_1_0_without_a_data_section_is_refused_with_what_to_send() {
        let naming = Naming::new("Shop", "shop");
        let host = Host::current("shop", "1");
        let codec = Codec::new(naming, "rabbitmq://h".to_owned(), &host, Reading::default());
        let parcel = Parcel {
            content_type: MASSTRANSIT_JSON.to_owned(),
            type_name: Some("amqp-1.0".to_owned()),
            body: b"\0SwA".to_vec(),
            ..Parcel::default()
        };
        let error = codec.decode(&parcel, &["A"], Timestamp::UNIX_EPOCH).unwrap_err().to_string();
        assert!(error.contains("send a data section"), "{error}");
    }
}
