//! Whole numbers in JSON, however they are spelled: 1, 1.0 and 1e0 are one number.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};

/// Above this, a number with a point may have lost its last digits on the way.
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

/// The whole number that a number with a point or an exponent is, if it is one and exact.
#[must_use]
pub fn of_float(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and far within the bounds")]
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}

/// Reads one.
///
/// # Errors
/// If it is none.
pub fn read<'de, D: Deserializer<'de>>(source: D) -> Result<i64, D::Error> {
    source.deserialize_i64(Whole)
}

/// Reads one that may be null; with `default`, it may be left out.
///
/// # Errors
/// If it is none.
pub fn read_optional<'de, D: Deserializer<'de>>(source: D) -> Result<Option<i64>, D::Error> {
    source.deserialize_option(WholeOrNull)
}

struct Whole;

impl Visitor<'_> for Whole {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of at most 64 bits")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<i64, E> {
        of_float(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }
}

struct WholeOrNull;

impl<'de> Visitor<'de> for WholeOrNull {
    type Value = Option<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of at most 64 bits, or null")
    }

    fn visit_none<E: Error>(self) -> Result<Option<i64>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<i64>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, source: D) -> Result<Option<i64>, D::Error> {
        read(source).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Both {
        #[serde(deserialize_with = "read")]
        one: i64,
        #[serde(default, deserialize_with = "read_optional")]
        two: Option<i64>,
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_spelled() {
        let both = |text: &str| serde_json::from_str::<Both>(text).map(|both| (both.one, both.two)).ok();
        assert_eq!(both(r#"{"one": 1.0, "two": 2e0}"#), Some((1, Some(2))));
        assert_eq!(both(r#"{"one": -3, "two": null}"#), Some((-3, None)));
        assert_eq!(both(r#"{"one": 1e15}"#), Some((1_000_000_000_000_000, None)));
        assert_eq!(both(r#"{"one": 9223372036854775807}"#), Some((i64::MAX, None)));
        for wrong in
            ["1.5", "1e-1", "1e300", "9223372036854775808", "9007199254740993.0", "\"1\"", "null", "true"]
        {
            assert_eq!(both(&format!(r#"{{"one": {wrong}}}"#)), None, "{wrong}");
        }
        assert_eq!(both(r#"{"one": 1, "two": 1.5}"#), None);
    }
}
