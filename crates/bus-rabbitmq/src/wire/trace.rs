//! Trace context in either dress: W3C's own header, and MassTransit's, which carries the same value.

use std::sync::Arc;

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
    fn the_outside_goes_before_the_inside() {
        let other = GOOD.replace("-00f0", "-11f0");
        let headers = [(ACTIVITY_ID.to_owned(), GOOD.to_owned())].into();
        let parcel = Parcel { headers, ..Parcel::default() };
        assert_eq!(context(&parcel, |_| Some(other.clone())).as_deref(), Some(GOOD));
        assert_eq!(context(&Parcel::default(), |_| Some(GOOD.to_owned())).as_deref(), Some(GOOD));
    }
}
