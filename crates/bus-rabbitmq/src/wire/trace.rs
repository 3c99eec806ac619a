//! Trace context in either dress: W3C's own header, and MassTransit's, which carries the same value.

use std::sync::Arc;

use bus::Envelope;

use super::Parcel;

/// W3C's header.
pub(super) const TRACEPARENT: &str = "traceparent";

/// MassTransit's header.
pub(super) const ACTIVITY_ID: &str = "MT-Activity-Id";

/// The trace context that is written on the outside, or else `inside`; W3C's header goes before MassTransit's.
pub(super) fn context(parcel: &Parcel, inside: impl Fn(&str) -> Option<String>) -> Option<Arc<str>> {
    let names = [TRACEPARENT, ACTIVITY_ID];
    let outside = names.iter().filter_map(|name| parcel.header(name)).find(|value| is_traceparent(value));
    let inside = || names.iter().filter_map(|name| inside(name)).find(|value| is_traceparent(value));
    outside.map(Arc::from).or_else(|| inside().map(Arc::from))
}

/// The trace context that a message travels with. One that nobody gave a context, because a webhook, a timer or a person began it, is
/// in the trace of what it belongs to, whose id is that id; so all of these meet in one trace without anybody having to keep it.
pub(super) fn of(envelope: &Envelope) -> String {
    if let Some(context) = &envelope.traceparent {
        return context.to_string();
    }
    let sender = envelope.causation_id.unwrap_or(envelope.id).0.as_u128() as u64;
    // A span of zeros is none.
    format!("00-{:032x}-{:016x}-01", envelope.correlation_id.0.as_u128(), sender.max(1))
}

/// Whether it has the form `00-<32 hex>-<16 hex>-<2 hex>`; anything else would only break the trace further on.
fn is_traceparent(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    matches!(parts.as_slice(), [version, trace, span, flags]
        if [version.len(), trace.len(), span.len(), flags.len()] == [2, 32, 16, 2])
        && parts.iter().all(|part| is_hex(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    #[test]
    fn an_unsampled_context_is_kept_and_a_broken_one_is_not() {
        assert!(is_traceparent(GOOD));
        assert!(!is_traceparent(&GOOD.replace('4', "G")));
        assert!(!is_traceparent("|a.b."));
    }

    #[test]
    fn what_has_no_context_is_in_the_trace_of_what_it_belongs_to() {
        let id = uuid::Uuid::from_u128;
        let first = |number| {
            let body = bytes::Bytes::from_static(b"{}");
            let order = bus::CorrelationId(id(0xA7));
            Envelope::first(bus::MessageId(id(number)), order, "K", body, jiff::Timestamp::UNIX_EPOCH)
        };
        assert_eq!(of(&first(0xB5)), "00-000000000000000000000000000000a7-00000000000000b5-01");
        for number in [0, 9] {
            assert!(is_traceparent(&of(&first(number))));
            assert_eq!(of(&first(number))[..35], of(&first(1))[..35], "one trace");
        }
        let known = Envelope { traceparent: Some(GOOD.into()), ..first(1) };
        assert_eq!(of(&known), GOOD);
    }

    #[test]
    fn the_outside_goes_before_the_inside() {
        let other = GOOD.replace("-00f0", "-11f0");
        let headers = [(ACTIVITY_ID.to_owned(), GOOD.to_owned())].into();
        let parcel = Parcel { headers, ..Parcel::default() };
        assert_eq!(context(&parcel, |_| Some(other.clone())).as_deref(), Some(GOOD));
        assert_eq!(context(&Parcel::default(), |_| Some(GOOD.to_owned())).as_deref(), Some(GOOD));
    }
}
