//! Reads what the API answers: JSON whose shape its document promises. What is missing reads as empty.

use bus_page::{badge, moment};
use domain::{Currency, Money};
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

/// A text of this name.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("")
}

/// A whole number of this name.
pub(super) fn number(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or(0)
}

/// A moment of this name.
pub(super) fn time(value: &Value, name: &str) -> Option<Timestamp> {
    text(value, name).parse().ok()
}

/// The entries of a page of a listing, or of any list of this name.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// The named counts of an object.
pub(super) fn counts(value: &Value, name: &str) -> Vec<(String, u64)> {
    let pairs = value[name].as_object().into_iter().flatten();
    pairs.map(|(name, count)| (name.clone(), count.as_u64().unwrap_or(0))).collect()
}

/// The count of this name among these.
pub(super) fn count(value: &Value, of: &str, name: &str) -> u64 {
    value[of][name].as_u64().unwrap_or(0)
}

/// An amount of this name as a person reads it.
pub(super) fn amount(value: &Value, name: &str) -> String {
    let amount = &value[name];
    minor(number(amount, "minor"), text(amount, "currency"))
}

/// Minor units of a currency as a person reads them.
pub(super) fn minor(minor: i64, currency: &str) -> String {
    match Currency::parse(currency) {
        Ok(currency) => Money::new(minor, currency).to_string(),
        Err(_) => format!("{minor} {currency}"),
    }
}

/// Minor units of an amount as a person writes it: `12.50`, `12,50` or `12`, with or without the currency. None if it has
/// more decimals than the currency, or is no amount.
pub(super) fn to_minor(text: &str, currency: &str) -> Option<i64> {
    let parsed = Currency::parse(currency).ok()?;
    let text = text.trim();
    let text = text.strip_suffix(currency).unwrap_or(text).trim_end();
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let decimals = usize::from(parsed.exponent());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > decimals {
        return None;
    }
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

/// A moment of this name as markup; a dash if there is none.
pub(super) fn when(value: &Value, name: &str, now: Timestamp) -> Markup {
    time(value, name).map_or_else(|| html! { "–" }, |at| moment(at, now))
}

/// A state of this name as a badge; nothing if there is none.
pub(super) fn state(value: &Value, name: &str) -> Markup {
    match text(value, name) {
        "" => html! {},
        word => badge(word),
    }
}

/// A part of a path, with what cannot stand there written in percent.
pub(super) fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A query of these pairs, those without a value left out; empty if none is left.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
    let query = query.finish();
    if query.is_empty() { query } else { format!("?{query}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_written_with_the_decimals_of_their_currency() {
        let order =
            json!({"total": {"minor": 1_805, "currency": "USD"}, "yen": {"minor": 5, "currency": "JPY"}});
        assert_eq!((amount(&order, "total"), amount(&order, "yen")), ("18.05 USD".into(), "5 JPY".into()));
        assert_eq!(minor(7, "??"), "7 ??");
    }

    #[test]
    fn an_amount_is_read_as_it_is_written_or_not_at_all() {
        for (text, currency, wanted) in [
            ("12.50", "EUR", Some(1_250)),
            (" 12,5 EUR ", "EUR", Some(1_250)),
            ("12", "EUR", Some(1_200)),
            ("0.05", "EUR", Some(5)),
            ("12", "JPY", Some(12)),
            ("12.505", "EUR", None),
            ("12.5", "JPY", None),
            ("1,250.00", "EUR", None),
            ("-1", "EUR", None),
            ("", "EUR", None),
            (".5", "EUR", None),
            ("12 USD", "EUR", None),
            ("12", "??", None),
        ] {
            assert_eq!(to_minor(text, currency), wanted, "{text} {currency}");
        }
    }

    #[test]
    fn addresses_hold_any_text() {
        assert_eq!(segment("A/B ?é"), "A%2FB%20%3F%C3%A9");
        assert_eq!(query(&[("find", "a&b=c d"), ("status", ""), ("sku", "X")]), "?find=a%26b%3Dc+d&sku=X");
        assert_eq!(query(&[("find", "")]), "");
    }
}
