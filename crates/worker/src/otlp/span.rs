//! Spans and their ids. An order's trace has the order's id, and the span of a message's handling has the message's
//! id, so nothing must be stored: a reader of a message knows the span that caused it.

use std::fmt::Write;

use bus::{Envelope, MessageId};
use uuid::Uuid;

/// Names a trace.
pub type TraceId = [u8; 16];

/// Names a span within its trace.
pub type SpanId = [u8; 8];

/// Something that took time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its trace.
    pub trace: TraceId,
    /// Its name within the trace.
    pub id: SpanId,
    /// The span that it is part of.
    pub parent: Option<SpanId>,
    /// What was done: few different ones.
    pub name: String,
    /// From whose side it is seen.
    pub kind: SpanKind,
    /// When it began, in nanoseconds since the epoch.
    pub began_ns: i64,
    /// When it ended, in nanoseconds since the epoch.
    pub ended_ns: i64,
    /// What else is known.
    pub attributes: Vec<(&'static str, SpanValue)>,
    /// Spans of other traces that it has to do with.
    pub links: Vec<(TraceId, SpanId)>,
    /// What went wrong, if something did: few different ones.
    pub error: Option<&'static str>,
}

/// From whose side a span is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Within the service.
    Internal,
    /// Answers a request.
    Server,
    /// Makes a request.
    Client,
    /// Handles a message.
    Consumer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanValue {
    /// A text.
    Text(String),
    /// A number.
    Integer(i64),
    /// Texts.
    Texts(Vec<String>),
}

impl From<&str> for SpanValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for SpanValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// The span of an order's acceptance, which all others of its trace descend from.
#[must_use]
pub fn order_span(order_id: Uuid) -> SpanId {
    tail(MessageId(order_id).child("order", 0))
}

/// The span of a message's handling; an attempt that failed has one of its own.
#[must_use]
pub fn message_span(id: MessageId, failed_attempt: Option<u32>) -> SpanId {
    tail(id.child("process", failed_attempt.map_or(0, |attempt| attempt.saturating_add(1))))
}

/// The trace that a message belongs to and the span that sent it.
#[must_use]
pub fn parent_of(envelope: &Envelope) -> (TraceId, SpanId) {
    let carried = envelope.traceparent.as_deref().and_then(parse);
    carried.unwrap_or_else(|| sender_of(envelope))
}

/// The same for a message that carries no context.
fn sender_of(envelope: &Envelope) -> (TraceId, SpanId) {
    let order_id = envelope.correlation_id.0;
    (
        *order_id.as_bytes(),
        envelope.causation_id.map_or_else(|| order_span(order_id), |id| message_span(id, None)),
    )
}

/// The context that a message is to carry: that of its cause, with the span that handles the cause as its parent.
#[must_use]
pub fn traceparent(envelope: &Envelope) -> String {
    let (own_trace, sender) = sender_of(envelope);
    let trace = envelope.traceparent.as_deref().and_then(parse).map_or(own_trace, |(trace, _)| trace);
    whole(&trace, &sender)
}

/// A context as it is written.
#[must_use]
pub fn whole(trace: &TraceId, span: &SpanId) -> String {
    format!("00-{}-{}-01", hex(trace), hex(span))
}

/// The trace and the span that a context names; none if it is no context.
#[must_use]
pub fn parse(text: &str) -> Option<(TraceId, SpanId)> {
    let mut parts = text.split('-').skip(1);
    let trace = u128::from_str_radix(parts.next().filter(|part| part.len() == 32)?, 16).ok()?;
    let span = u64::from_str_radix(parts.next().filter(|part| part.len() == 16)?, 16).ok()?;
    (trace != 0 && span != 0).then(|| (trace.to_be_bytes(), span.to_be_bytes()))
}

fn tail(id: MessageId) -> SpanId {
    (id.0.as_u128() as u64).to_be_bytes()
}

/// Bytes as they are written in traces.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use bus::CorrelationId;
    use bytes::Bytes;
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_message_leads_back_to_the_handling_of_its_cause_in_the_trace_of_its_order(order: u128, id: u128) {
            prop_assume!(order != 0);
            let correlation = CorrelationId(Uuid::from_u128(order));
            let first = Envelope::first(MessageId(Uuid::from_u128(id)), correlation, "a", Bytes::new(), Timestamp::UNIX_EPOCH);
            prop_assert_eq!(parent_of(&first), (order.to_be_bytes(), order_span(correlation.0)));
            let mut next = first.caused("b", 0, Bytes::new(), Timestamp::UNIX_EPOCH);
            let bare = parent_of(&next);
            prop_assert_eq!(bare, (order.to_be_bytes(), message_span(first.id, None)));
            next.traceparent = Some(traceparent(&next).into());
            prop_assert_eq!(parent_of(&next), bare, "carried or derived, it is the same");
        }
    }

    #[test]
    fn a_trace_of_somebody_else_is_carried_on() {
        let correlation = CorrelationId(Uuid::from_u128(7));
        let id = MessageId(Uuid::from_u128(9));
        let mut first = Envelope::first(id, correlation, "a", Bytes::new(), Timestamp::UNIX_EPOCH);
        first.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
        let next = first.caused("b", 0, Bytes::new(), Timestamp::UNIX_EPOCH);
        assert!(
            traceparent(&next).starts_with("00-0af7651916cd43dd8448eb211c80319c-"),
            "{}",
            traceparent(&next)
        );
        assert!(!traceparent(&next).contains("b7ad6b7169203331"));
    }
}
