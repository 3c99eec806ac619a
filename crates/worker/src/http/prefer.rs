//! What a client would like about its answer (RFC 7240): of all preferences only `wait` is known here. One that cannot be
//! read is ignored, as the RFC wants it; must never refuse a request.

use std::time::Duration;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use super::limits::PREFERRED_WAIT_MAX;

/// The header in which a client says it.
const PREFER: &str = "prefer";

/// The header that says what was done about it.
static APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How long the client would like to wait for a better answer, if it says so; no longer than it may.
pub(super) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
    let mut preferences = lines.flat_map(|line| parts(line, ','));
    // Only the first of a name counts.
    let value = preferences.find_map(|preference| {
        let preference = parts(preference, ';').next()?;
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        name.trim().eq_ignore_ascii_case("wait").then_some(value.trim())
    })?;
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    seconds(unquoted.unwrap_or(value))
}

/// Says that this was done.
pub(super) fn applied(headers: &mut HeaderMap, wait: Duration) {
    if let Ok(value) = HeaderValue::try_from(format!("wait={}", wait.as_secs())) {
        headers.insert(APPLIED.clone(), value);
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number too long to hold is longer than the longest wait.
    let seconds = || text.parse().unwrap_or(u64::MAX);
    is_number.then(|| Duration::from_secs(seconds()).min(PREFERRED_WAIT_MAX))
}

/// The parts of a text between separators that stand outside quotes.
fn parts(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |sign| {
        is_quoted ^= sign == '"';
        sign == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(PREFER, line.parse().expect("a header"));
        }
        wait(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wait_is_read_wherever_it_stands_and_is_bounded() {
        let max = PREFERRED_WAIT_MAX.as_secs();
        assert_eq!(read(&["wait=10"]), Some(10));
        assert_eq!(read(&["respond-async, Wait = 7; why=\"a, wait=3\""]), Some(7));
        assert_eq!(read(&["return=minimal", "note=\"x, wait=1\", wait=\"5\""]), Some(5));
        assert_eq!(read(&["wait=0"]), Some(0));
        assert_eq!(read(&["wait=3, wait=9", "wait=8"]), Some(3), "the first counts");
        assert_eq!(read(&["wait=86400"]), Some(max));
        assert_eq!(read(&["wait=99999999999999999999999999"]), Some(max));
    }

    #[test]
    fn what_cannot_be_read_is_as_if_it_were_not_there() {
        for lines in
            [&[][..], &[""], &["wait"], &["wait="], &["wait=-1"], &["wait=1.5"], &["wait=soon"], &["waits=3"]]
        {
            assert_eq!(read(lines), None, "{lines:?}");
        }
        assert_eq!(read(&["wait=soon, wait=3"]), None, "the first counts, readable or not");
    }
}
