//! JSON from outside whose texts are made harmless before anybody reads it: what a provider or a broker says is kept, but
//! holds nothing that one of the stores cannot keep or that moves a terminal, and no text without end. Most of what comes needs
//! nothing of it and is not copied. What is no JSON is left for its reader to refuse.

use std::borrow::Cow;

use domain::text::{Lines, clean};
use serde_json::{Map, Value};

/// How the texts of a document may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// How many lines each may have.
    pub lines: Lines,
    /// How many characters.
    pub chars_max: usize,
}

/// The document with every text, and every name of a member, in this form.
#[must_use]
pub fn harmless(document: &[u8], form: Form) -> Cow<'_, [u8]> {
    if is_plain(document, form.chars_max) {
        return Cow::Borrowed(document);
    }
    let Ok(value) = serde_json::from_slice::<Value>(document) else { return Cow::Borrowed(document) };
    // What only looked suspicious stays as it is, byte for byte.
    if fits(&value, form) {
        return Cow::Borrowed(document);
    }
    let cleaned = in_form(value, form);
    serde_json::to_vec(&cleaned).map_or(Cow::Borrowed(document), Cow::Owned)
}

fn fits(value: &Value, form: Form) -> bool {
    let is_fit = |text: &str| matches!(clean(text, form.lines, form.chars_max), Cow::Borrowed(_));
    match value {
        Value::String(text) => is_fit(text),
        Value::Array(values) => values.iter().all(|value| fits(value, form)),
        Value::Object(members) => members.iter().all(|(name, value)| is_fit(name) && fits(value, form)),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn in_form(value: Value, form: Form) -> Value {
    match value {
        Value::String(text) => Value::String(clean(&text, form.lines, form.chars_max).into_owned()),
        Value::Array(values) => values.into_iter().map(|value| in_form(value, form)).collect(),
        Value::Object(members) => {
            let named = |(name, value): (String, Value)| {
                (clean(&name, form.lines, form.chars_max).into_owned(), in_form(value, form))
            };
            Value::Object(members.into_iter().map(named).collect::<Map<_, _>>())
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

/// Whether no text in it can be other than it should be, as far as a look at the bytes tells.
fn is_plain(document: &[u8], chars_max: usize) -> bool {
    let mut since_quote = 0_usize;
    let mut before = 0;
    document.iter().all(|&byte| {
        since_quote = if byte == b'"' { 0 } else { since_quote + 1 };
        let (previous, escaped) = (before, before == b'\\');
        // Behind an escaped backslash nothing is escaped.
        before = if escaped && byte == b'\\' { 0 } else { byte };
        let harmless = match (previous, byte) {
            (_, 0x7f) | (0xc2, 0x80..=0x9f) | (0xd8, 0x9c) | (0xe2, 0x80 | 0x81) => false,
            _ => !escaped || matches!(byte, b'"' | b'\\' | b'/'),
        };
        harmless && since_quote <= chars_max
    })
}

#[cfg(test)]
mod tests {
    use domain::text::refuse;
    use proptest::prelude::*;

    use super::*;

    const FORM: Form = Form { lines: Lines::One, chars_max: 20 };

    fn is_in_form(value: &Value) -> bool {
        match value {
            Value::String(text) => refuse(text, Lines::One).is_ok() && text.chars().count() <= 20,
            Value::Array(values) => values.iter().all(is_in_form),
            Value::Object(members) => members
                .iter()
                .all(|(name, value)| is_in_form(&Value::String(name.clone())) && is_in_form(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
        }
    }

    proptest! {
        #[test]
        fn every_text_is_harmless_and_what_was_harmless_is_untouched(
            texts in prop::collection::vec((".{0,8}", "(.|[\\x00-\\x1f\\x7f-\\x9f\u{2028}-\u{202e}]){0,30}"), 0..4),
        ) {
            let members: Map<String, Value> =
                texts.into_iter().map(|(name, text)| (name, Value::String(text))).collect();
            let value = Value::Array(vec![Value::Object(members), Value::from(7)]);
            let document = serde_json::to_vec(&value).expect("it can be written");
            let cleaned: Value = serde_json::from_slice(&harmless(&document, FORM)).expect("it is JSON");
            prop_assert!(is_in_form(&cleaned), "{cleaned}");
            if is_in_form(&value) {
                prop_assert_eq!(cleaned, value);
            }
        }

        #[test]
        fn bytes_that_are_no_json_are_left_alone(bytes: Vec<u8>) {
            if serde_json::from_slice::<Value>(&bytes).is_err() {
                prop_assert_eq!(&*harmless(&bytes, FORM), &*bytes);
            }
        }
    }

    #[test]
    fn a_nul_is_replaced_and_a_long_text_is_cut_with_a_mark() {
        let document = br#"{"id":"ch\u0000_1","code":"012345678901234567890123456789"}"#;
        let cleaned = harmless(document, FORM);
        assert_eq!(
            String::from_utf8_lossy(&cleaned),
            "{\"code\":\"0123456789012345678…\",\"id\":\"ch\u{fffd}_1\"}"
        );
        let plain = "{\"id\":\"ch \\\"1\\\" \\\\ \u{20ac} é\"}".as_bytes();
        assert!(matches!(harmless(plain, FORM), Cow::Borrowed(_)), "nothing is copied");
    }
}
