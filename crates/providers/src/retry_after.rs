//! How long a provider asks to be left alone: `Retry-After` in all forms that HTTP allows.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

use super::limits;

/// The two obsolete date formats, which must still be accepted.
const OBSOLETE_FORMATS: [&str; 2] = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// The wait that `value` asks for, in seconds or until a date; none if it cannot be read. A date in the past is no wait.
pub(super) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = match seconds(value) {
        Some(wait) => wait,
        None => Duration::try_from(date(value)?.duration_since(now)).unwrap_or_default(),
    };
    Some(wait.min(limits::RETRY_AFTER_MAX))
}

fn seconds(value: &str) -> Option<Duration> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // More seconds than a number can hold are as good as the longest wait.
    digits.then(|| Duration::from_secs(value.parse().unwrap_or(u64::MAX)))
}

fn date(value: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(value).ok().or_else(|| {
        OBSOLETE_FORMATS
            .iter()
            .find_map(|format| DateTime::strptime(format, value).ok())
            .and_then(|civil| civil.to_zoned(TimeZone::UTC).ok())
            .map(|zoned| zoned.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 1994-11-06T08:49:37Z, the moment that the standard uses as its example.
    const EXAMPLE_S: i64 = 784_111_777;

    fn before_example(seconds: i64) -> Timestamp {
        Timestamp::from_second(EXAMPLE_S - seconds).expect("in range")
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_no_wait_is_too_long(value in "\\PC{0,40}|[0-9]{1,30}") {
            let wait = parse(&value, before_example(0));
            prop_assert!(wait.is_none_or(|wait| wait <= limits::RETRY_AFTER_MAX));
        }

        #[test]
        fn seconds_are_seconds(seconds in 0_u64..=3_600) {
            let wait = parse(&seconds.to_string(), before_example(0));
            prop_assert_eq!(wait, Some(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn all_three_forms_of_a_date_mean_the_same_moment() {
        let forms =
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
        for form in forms {
            assert_eq!(parse(form, before_example(90)), Some(Duration::from_secs(90)), "{form}");
            assert_eq!(parse(form, before_example(-90)), Some(Duration::ZERO), "{form} is over");
        }
    }

    #[test]
    fn what_is_neither_seconds_nor_a_date_asks_for_nothing() {
        for value in ["", "soon", "-1", "1.5", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse(value, before_example(0)), None, "{value:?}");
        }
    }
}
