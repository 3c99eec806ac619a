//! What a carrier and the customs need to know of one unit of a product. What nobody has said is not known, and never
//! guessed.

use thiserror::Error;

/// The largest weight in grams and the largest length in millimetres.
pub const MEASURE_MAX: i64 = 1_000_000_000;

/// How few and how many digits a customs tariff number has: six are the Harmonized System of the World Customs
/// Organization, and countries add up to seven of their own.
const HS_DIGITS: std::ops::RangeInclusive<usize> = 6..=13;

/// Facts of one unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShippingFacts {
    /// Its weight as packed, in grams.
    pub weight_g: Option<i64>,
    /// Its length as packed, in millimetres.
    pub length_mm: Option<i64>,
    /// Its width as packed, in millimetres.
    pub width_mm: Option<i64>,
    /// Its height as packed, in millimetres.
    pub height_mm: Option<i64>,
    /// Its customs tariff number in the Harmonized System, as its seller writes it.
    pub hs_code: Option<String>,
    /// The country where it was made, by its two letters in ISO 3166-1.
    pub origin_country: Option<String>,
}

/// Why facts are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidFact {
    /// A measure is zero, negative or beyond belief.
    #[error("must be from 1 to {MEASURE_MAX}, this is {found}; leave out what is not known")]
    Measure {
        /// What was said.
        found: i64,
    },
    /// A text that is no tariff number.
    #[error("must be 6 to 13 digits, which dots or spaces may group, like 6109.10")]
    HsCode,
}

impl ShippingFacts {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with them, each with the name of its member.
    pub fn mistakes(&self) -> Vec<(&'static str, InvalidFact)> {
        let measures = [
            ("weight_g", self.weight_g),
            ("length_mm", self.length_mm),
            ("width_mm", self.width_mm),
            ("height_mm", self.height_mm),
        ];
        let mut mistakes = Vec::new();
        for (member, measure) in measures {
            let found = measure.filter(|measure| !(1..=MEASURE_MAX).contains(measure));
            mistakes.extend(found.map(|found| (member, InvalidFact::Measure { found })));
        }
        if self.hs_code.as_deref().is_some_and(|code| !is_hs_code(code)) {
            mistakes.push(("hs_code", InvalidFact::HsCode));
        }
        mistakes
    }
}

fn is_hs_code(code: &str) -> bool {
    let digits = code.chars().filter(char::is_ascii_digit).count();
    let is_grouped = code.chars().all(|character| character.is_ascii_digit() || " .".contains(character));
    let is_framed = |at: Option<char>| at.is_some_and(|character| character.is_ascii_digit());
    HS_DIGITS.contains(&digits)
        && is_grouped
        && is_framed(code.chars().next())
        && is_framed(code.chars().last())
        && code.len() < 2 * digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tariff_number_has_six_digits_at_least_however_they_are_grouped() {
        for code in ["610910", "6109.10", "6109.10.00", "6109 10 00 10", "6109100010"] {
            assert!(is_hs_code(code), "{code}");
        }
        for code in [
            "",
            "6109",
            "61091",
            "6109.1X",
            ".610910",
            "610910.",
            "6109-10",
            "12345678901234",
            "６１０９１０",
        ] {
            assert!(!is_hs_code(code), "{code}");
        }
        assert!(!is_hs_code("6......10910"), "more dots than digits");
    }

    #[test]
    fn each_mistake_is_named() {
        let facts = ShippingFacts {
            weight_g: Some(0),
            length_mm: Some(MEASURE_MAX + 1),
            width_mm: Some(1),
            height_mm: Some(-1),
            hs_code: Some("T-shirt".to_owned()),
            origin_country: None,
        };
        let members: Vec<&str> = facts.mistakes().into_iter().map(|(member, _)| member).collect();
        assert_eq!(members, ["weight_g", "length_mm", "height_mm", "hs_code"]);
        assert!(ShippingFacts::default().is_empty() && ShippingFacts::default().mistakes().is_empty());
    }
}
