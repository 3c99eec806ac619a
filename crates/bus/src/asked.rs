//! Requests whose sender waits for an answer, and the answers. Where an answer goes travels with the body of its request, so it is still
//! known after a retry, a pause or a restart, and no other message carries it. An answer leaves through the outbox, with the commit of
//! the work that it tells of.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{Envelope, Fault, Message, Timestamp, to_json};

/// Kind of an envelope that brings an answer. A transport sends what is in it; no queue of ours wants it.
pub const ANSWER: &str = "Answer";

/// Who waits for an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// The sender's own id of the request, which the answer repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Uuid>,
    /// Where the answer goes, as the transport names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_to: Option<String>,
    /// Where the news goes that the request could not be handled, if not there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault_to: Option<String>,
}

/// A request, and who waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<M> {
    /// The request.
    pub request: M,
    /// Who sent it; nothing in it if no answer is wanted.
    pub asker: Asker,
}

/// The body of an [`Asked`].
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    request: &'a RawValue,
    asker: Asker,
}

/// The body of an answer's envelope.
#[derive(Serialize, Deserialize)]
struct Carried<'a> {
    to: String,
    request_id: Option<Uuid>,
    kind: String,
    #[serde(borrow)]
    answer: &'a RawValue,
}

/// An answer on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where it goes, as the transport names it.
    pub to: String,
    /// The sender's own id of the request.
    pub request_id: Option<Uuid>,
    /// The message, with its kind.
    pub envelope: Envelope,
}

impl Asker {
    /// The body of a request together with this.
    ///
    /// # Errors
    /// [`crate::Verdict::GiveUp`] for a body that is not JSON.
    pub fn with(self, request: &[u8]) -> Result<Bytes, Fault> {
        let request = read::<&RawValue>(request)?;
        Ok(to_json(&Body { request, asker: self }))
    }

    /// Takes the body of an [`Asked`] apart: who waits, and the request's own body.
    ///
    /// # Errors
    /// [`crate::Verdict::GiveUp`] for a body of another form.
    pub fn from_body(body: &[u8]) -> Result<(Self, Bytes), Fault> {
        let Body { request, asker } = read(body)?;
        Ok((asker, Bytes::copy_from_slice(request.get().as_bytes())))
    }
}

impl<M: Message> Message for Asked<M> {
    const KINDS: &'static [&'static str] = M::KINDS;

    fn kind(&self) -> &'static str {
        self.request.kind()
    }

    fn encode(&self) -> Bytes {
        self.asker.clone().with(&self.request.encode()).expect("a message encodes itself as JSON")
    }

    fn decode(kind: &str, body: &[u8]) -> Result<Self, Fault> {
        let (asker, request) = Asker::from_body(body)?;
        Ok(Self { request: M::decode(kind, &request)?, asker })
    }
}

impl<M> Asked<M> {
    /// The answer to publish in the unit that handles the request, which came as `cause`; none if nobody waits for one. Told twice in the
    /// same words, it is a repeat.
    pub fn answer<A: Message>(&self, cause: &Envelope, answer: &A, now: Timestamp) -> Option<Envelope> {
        let to = self.asker.answer_to.clone()?;
        let body = answer.encode();
        let carried = Carried {
            to,
            request_id: self.asker.request_id,
            kind: answer.kind().to_owned(),
            answer: read(&body).expect("a message encodes itself as JSON"),
        };
        let words = format!("{ANSWER} {} {}", carried.kind, carried.answer.get());
        Some(Envelope { id: cause.id.child(&words, 0), ..cause.caused(ANSWER, 0, to_json(&carried), now) })
    }
}

impl Answer {
    /// The answer that an envelope of the kind [`ANSWER`] brings.
    ///
    /// # Errors
    /// [`crate::Verdict::GiveUp`] for any other envelope.
    pub fn told_by(envelope: &Envelope) -> Result<Self, Fault> {
        let Carried { to, request_id, kind, answer } = read(&envelope.body)?;
        let body = Bytes::copy_from_slice(answer.get().as_bytes());
        Ok(Self { to, request_id, envelope: Envelope { kind: kind.into(), body, ..envelope.clone() } })
    }
}

/// Reads what borrows from the body.
fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::give_up("message.decode", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CorrelationId, MessageId};

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
    #[message(kind = "ReadMeter", crate = crate)]
    struct ReadMeter {
        number: u32,
    }

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
    #[message(kind = "MeterRead", crate = crate)]
    struct MeterRead {
        kwh: u32,
    }

    fn asked(answer_to: Option<&str>) -> (Asked<ReadMeter>, Envelope) {
        let id = Uuid::from_u128;
        let asker = Asker {
            request_id: Some(id(1)),
            answer_to: answer_to.map(str::to_owned),
            fault_to: Some("faults".to_owned()),
        };
        let asked = Asked { request: ReadMeter { number: 7 }, asker };
        let cause = asked.first(MessageId(id(2)), CorrelationId(id(3)), Timestamp::UNIX_EPOCH);
        (asked, cause)
    }

    #[test]
    fn a_request_keeps_who_waits_for_its_answer() {
        let (asked, cause) = asked(Some("shop"));
        assert_eq!(Asked::decode(&cause.kind, &cause.body).expect("it is one"), asked);
        let (asker, request) = Asker::from_body(&cause.body).expect("it is one");
        assert_eq!((asker, request), (asked.asker, asked.request.encode()));
    }

    #[test]
    fn what_a_request_says_of_itself_does_not_count_as_who_asked() {
        let request = br#"{"number":7,"asker":{"answer_to":"elsewhere"}}"#;
        let body = Asker::default().with(request).expect("it is JSON");
        let read = Asked::<ReadMeter>::decode("ReadMeter", &body).expect("it is one");
        assert_eq!(read.asker, Asker::default());
        assert!(Asked::<ReadMeter>::decode("ReadMeter", request).is_err(), "it came round the transport");
    }

    #[test]
    fn an_answer_belongs_to_its_request_and_is_a_repeat_only_in_the_same_words() {
        let (asked, cause) = asked(Some("shop"));
        let answer =
            |kwh| asked.answer(&cause, &MeterRead { kwh }, Timestamp::UNIX_EPOCH).expect("it is awaited");
        let told = Answer::told_by(&answer(5)).expect("it is one");
        assert_eq!((&*told.to, told.request_id), ("shop", Some(Uuid::from_u128(1))));
        assert_eq!((&*told.envelope.kind, &*told.envelope.body), ("MeterRead", br#"{"kwh":5}"#.as_slice()));
        assert_eq!(told.envelope.causation_id, Some(cause.id));
        assert_eq!(told.envelope.conversation_id, cause.conversation_id);
        assert_eq!(answer(5).id, answer(5).id);
        assert_ne!(answer(5).id, answer(6).id);
    }

    #[test]
    fn who_named_no_place_gets_no_answer() {
        let (asked, cause) = asked(None);
        assert_eq!(asked.answer(&cause, &MeterRead { kwh: 5 }, Timestamp::UNIX_EPOCH), None);
    }
}
