//! Numbers as people and programs write them: signs of currencies, separators of thousands, decimal commas. A number that
//! could be two numbers is refused, never guessed.

use serde::Deserialize;

/// Which separators a mapping names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Numbers {
    /// What stands before the decimals: `.` or `,`. Without it, each number must say so itself.
    pub decimal: Option<char>,
    /// What stands between thousands, such as `,`, `.`, a space or `'`; empty for nothing. All but the decimal one, if it
    /// is not said.
    pub thousands: Option<String>,
}

/// How a lone separator before three digits is meant, where the mapping does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Custom {
    /// The English way: a point before decimals, a comma between thousands.
    English,
    /// Nobody knows.
    Unknown,
}

/// A number as it was read: digits, a point, digits, perhaps a minus before; and the currency that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Such as `-1325.00`.
    pub digits: String,
    /// The sign or code that stood beside it, if it belongs to one currency.
    pub currency: Option<String>,
    /// The sign that stood beside it and belongs to several currencies.
    pub shared_sign: Option<&'static str>,
}

/// Signs of currencies. Those of several countries name none.
const SIGNS: &[(&str, Option<&str>)] = &[
    ("US$", Some("USD")),
    ("CA$", Some("CAD")),
    ("C$", Some("CAD")),
    ("AU$", Some("AUD")),
    ("A$", Some("AUD")),
    ("NZ$", Some("NZD")),
    ("HK$", Some("HKD")),
    ("R$", Some("BRL")),
    ("€", Some("EUR")),
    ("£", Some("GBP")),
    ("₹", Some("INR")),
    ("₩", Some("KRW")),
    ("₺", Some("TRY")),
    ("₽", Some("RUB")),
    ("₴", Some("UAH")),
    ("₪", Some("ILS")),
    ("₫", Some("VND")),
    ("฿", Some("THB")),
    ("zł", Some("PLN")),
    ("Kč", Some("CZK")),
    ("Ft", Some("HUF")),
    ("lei", Some("RON")),
    ("$", None),
    ("¥", None),
    ("￥", None),
    ("kr.", None),
    ("kr", None),
    ("Fr.", None),
];

impl Numbers {
    /// Whether a mapping may say so.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if let Some(decimal) = self.decimal.filter(|decimal| !".,".contains(*decimal)) {
            return Err(format!("numbers.decimal = '{decimal}' must be '.' or ','"));
        }
        let Some(thousands) = &self.thousands else { return Ok(()) };
        let mut characters = thousands.chars();
        match (characters.next(), characters.next()) {
            (Some(one), _) if Some(one) == self.decimal => {
                Err("numbers.thousands and numbers.decimal must differ".to_owned())
            }
            (None, _) => Ok(()),
            (Some(one), None) if !one.is_ascii_digit() => Ok(()),
            (Some(_), _) => Err(format!("numbers.thousands = '{thousands}' must be one character, or empty")),
        }
    }

    /// Reads a number.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(&self, field: &str, custom: Custom) -> Result<Plain, String> {
        let (bare, negative, currency, shared_sign) = undressed(field);
        let digits = self.digits(bare, custom).map_err(|why| format!("'{field}' {why}"))?;
        let digits = if negative { format!("-{digits}") } else { digits };
        Ok(Plain { digits, currency, shared_sign })
    }

    fn digits(&self, bare: &str, custom: Custom) -> Result<String, String> {
        let known = |c: char| c.is_ascii_digit() || self.groups(c) || c == '.' || c == ',';
        if !bare.chars().any(|c| c.is_ascii_digit()) || !bare.chars().all(known) {
            return Err("is no number".to_owned());
        }
        let (whole, decimals) = match self.decimal_at(bare, custom)? {
            Some(at) => (&bare[..at], &bare[at + 1..]),
            None => (bare, ""),
        };
        if !decimals.chars().all(|c| c.is_ascii_digit()) {
            return Err("is no number: its decimals hold a separator".to_owned());
        }
        let whole = self.ungrouped(whole)?;
        Ok(if decimals.is_empty() { whole } else { format!("{whole}.{decimals}") })
    }

    /// Where the decimal separator stands, if there is one.
    fn decimal_at(&self, bare: &str, custom: Custom) -> Result<Option<usize>, String> {
        if let Some(decimal) = self.decimal {
            return Ok(bare.rfind(decimal));
        }
        if let Some(thousands) = self.thousands.as_deref().and_then(|text| text.chars().next())
            && ".,".contains(thousands)
        {
            return Ok(bare.rfind(if thousands == '.' { ',' } else { '.' }));
        }
        let Some(last) = bare.rfind(['.', ',']) else { return Ok(None) };
        let separator = bare.as_bytes()[last];
        let count = bare.bytes().filter(|byte| *byte == separator).count();
        let other = if separator == b'.' { b',' } else { b'.' };
        if bare.bytes().any(|byte| byte == other) {
            return if count == 1 {
                Ok(Some(last))
            } else {
                Err("is no number: it has two decimal separators".to_owned())
            };
        }
        if count > 1 {
            return Ok(None);
        }
        let whole = &bare[..last];
        let could_be_thousands = bare.len() - last == 4
            && (1..=3).contains(&whole.len())
            && !whole.starts_with('0')
            && whole.bytes().all(|byte| byte.is_ascii_digit());
        match (could_be_thousands, custom, separator) {
            (false, _, _) | (true, Custom::English, b'.') => Ok(Some(last)),
            (true, Custom::English, _) => Ok(None),
            (true, Custom::Unknown, _) => Err(
                "could be thousands or decimals; say which with decimal = \".\" or \",\" under [numbers] in the mapping"
                    .to_owned(),
            ),
        }
    }

    /// The digits before the decimals, without what separates their thousands.
    fn ungrouped(&self, whole: &str) -> Result<String, String> {
        let groups: Vec<&str> = whole.split(|c: char| !c.is_ascii_digit()).collect();
        let separators: Vec<char> = whole.chars().filter(|c| !c.is_ascii_digit()).collect();
        if separators.iter().any(|c| !self.groups(*c) || Some(*c) != separators.first().copied()) {
            return Err("is no number: it has a separator that does not belong there".to_owned());
        }
        let (first, rest) = groups.split_first().unwrap_or((&"", &[]));
        let ends_in_three = rest.last().is_none_or(|group| group.len() == 3);
        let regular = rest.iter().all(|group| (2..=3).contains(&group.len()));
        let well_grouped = ends_in_three && regular && (1..=3).contains(&first.len());
        if !(rest.is_empty() || well_grouped) {
            return Err("is no number: its thousands are not in groups of three".to_owned());
        }
        let digits = groups.concat();
        Ok(if digits.is_empty() { "0".to_owned() } else { digits })
    }

    /// Whether a character may stand between thousands.
    fn groups(&self, c: char) -> bool {
        match &self.thousands {
            Some(named) => named.chars().any(|named| named == c || (named == ' ' && is_space(c))),
            None => Some(c) != self.decimal && (".,'’".contains(c) || is_space(c)),
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}

/// The number without signs and codes of currencies; whether it is negative; what it names.
fn undressed(field: &str) -> (&str, bool, Option<String>, Option<&'static str>) {
    let (mut bare, mut negative, mut currency, mut shared) = (field.trim(), false, None, None);
    if let Some(inner) = bare.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        (bare, negative) = (inner.trim(), true);
    }
    // A minus and a currency, in whichever order, on whichever side: each at most once.
    for _ in 0..2 {
        for minus in ['-', '\u{2212}'] {
            let without = bare.strip_prefix(minus).or_else(|| bare.strip_suffix(minus));
            if let Some(without) = without.filter(|_| !negative) {
                (bare, negative) = (without.trim(), true);
            }
        }
        if currency.is_none() && shared.is_none() {
            (bare, currency, shared) = without_currency(bare);
        }
    }
    (bare.strip_prefix('+').unwrap_or(bare), negative, currency, shared)
}

fn without_currency(text: &str) -> (&str, Option<String>, Option<&'static str>) {
    for &(sign, code) in SIGNS {
        if let Some(without) = text.strip_prefix(sign).or_else(|| text.strip_suffix(sign)) {
            let shared = if code.is_none() { Some(sign) } else { None };
            return (without.trim(), code.map(str::to_owned), shared);
        }
    }
    let is_code = |code: &str| code.bytes().all(|byte| byte.is_ascii_uppercase());
    if let Some((code, without)) = text.split_at_checked(3).filter(|(code, _)| is_code(code)) {
        return (without.trim(), Some(code.to_owned()), None);
    }
    let before = text.len().checked_sub(3).and_then(|at| text.split_at_checked(at));
    if let Some((without, code)) = before.filter(|(_, code)| is_code(code)) {
        return (without.trim(), Some(code.to_owned()), None);
    }
    (text, None, None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(field: &str, custom: Custom) -> Result<String, String> {
        Numbers::default().read(field, custom).map(|plain| plain.digits)
    }

    #[test]
    fn numbers_say_themselves_what_they_are_or_are_refused() {
        let same = |field: &str, digits: &str| {
            assert_eq!(read(field, Custom::English), Ok(digits.to_owned()), "{field}");
        };
        for (field, digits) in [
            ("$45.99", "45.99"),
            ("1,325.00", "1325.00"),
            ("1.325,00 €", "1325.00"),
            ("45,99", "45.99"),
            ("1,000", "1000"),
            ("29.0000", "29.0000"),
            ("1.000", "1.000"),
            ("12,34,567.5", "1234567.5"),
            ("1'325.50", "1325.50"),
            ("1\u{a0}325,50", "1325.50"),
            ("EUR 12.00", "12.00"),
            ("12.00EUR", "12.00"),
            ("-$5.00", "-5.00"),
            ("$-5.00", "-5.00"),
            ("(5.00)", "-5.00"),
            ("5.00-", "-5.00"),
            (".5", "0.5"),
            ("0,001", "0.001"),
            ("1234.567", "1234.567"),
        ] {
            same(field, digits);
        }
        for field in ["", "x", "1.2.3,4,5", "12,34.5.6", "1 2", "1,23,45", "--1", "1e3", "$", "12.00 US", "٣"]
        {
            assert!(read(field, Custom::English).is_err(), "{field}");
        }
        for field in ["1.000", "1,000", "325.500"] {
            let why = read(field, Custom::Unknown).expect_err("nobody knows");
            assert!(why.contains("thousands or decimals") && why.contains("[numbers]"), "{why}");
        }
    }

    #[test]
    fn currencies_are_named_by_their_own_signs_and_codes_alone() {
        let named = |field: &str| Numbers::default().read(field, Custom::English).map(|plain| plain.currency);
        assert_eq!(named("3 €"), Ok(Some("EUR".to_owned())));
        assert_eq!(named("CHF 3"), Ok(Some("CHF".to_owned())));
        assert_eq!(named("$3"), Ok(None));
    }

    proptest! {
        #[test]
        fn what_is_written_with_named_separators_reads_back(
            whole in 0_u64..1_000_000_000_000, decimals in "[0-9]{0,4}", german: bool, negative: bool,
        ) {
            let (decimal, thousands) = if german { (',', ".") } else { ('.', ",") };
            let digits = whole.to_string();
            let mut grouped = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at).is_multiple_of(3) {
                    grouped.push_str(thousands);
                }
                grouped.push(digit);
            }
            let sign = if negative { "-" } else { "" };
            let tail = |point: char| if decimals.is_empty() { String::new() } else { format!("{point}{decimals}") };
            let written = format!("{sign}{grouped}{}", tail(decimal));
            let numbers = Numbers { decimal: Some(decimal), thousands: Some(thousands.to_owned()) };
            let plain = numbers.read(&written, Custom::Unknown).map(|plain| plain.digits);
            prop_assert_eq!(plain, Ok(format!("{sign}{digits}{}", tail('.'))));
        }

        #[test]
        fn no_text_makes_the_reader_panic(field in "\\PC{0,12}|[-0-9.,' €$()]{0,12}") {
            let _ = read(&field, Custom::English);
            let _ = read(&field, Custom::Unknown);
        }
    }
}
