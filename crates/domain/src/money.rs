//! Amounts: whole minor units of one currency, with checked arithmetic. There is never a floating-point number here,
//! nor an addition across currencies.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::Quantity;

/// The most that a price or an order's total may be, in minor units: exact in JSON, and far from 64 bits.
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000_000;

/// An ISO 4217 currency that has minor units, so that something can be priced in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    iso: iso_currency::Currency,
    exponent: u8,
}

/// A text that is not the code of a [`Currency`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code:?} is not an ISO 4217 currency with minor units")]
pub struct InvalidCurrency {
    /// The text.
    pub code: String,
}

impl Currency {
    /// Accepts an upper-case three-letter code. Gold, test codes and the like are refused: they have no minor unit.
    pub fn parse(code: &str) -> Result<Self, InvalidCurrency> {
        iso_currency::Currency::from_code(code)
            .and_then(|iso| Some(Self { iso, exponent: u8::try_from(iso.exponent()?).ok()? }))
            .ok_or_else(|| InvalidCurrency { code: code.to_owned() })
    }

    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.iso.code()
    }

    /// How many decimals the major unit has: 0 for JPY, 2 for USD, 3 for KWD.
    pub const fn exponent(self) -> u8 {
        self.exponent
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for Currency {
    type Err = InvalidCurrency;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        Self::parse(code)
    }
}

/// An amount of money. May be negative; where that makes no sense, the aggregate refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// The amount in minor units: cents for USD, yen for JPY, fils for KWD.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

/// Why there is no such amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// The two amounts are not of one currency.
    #[error("{left} and {right} do not add up")]
    CurrencyMismatch {
        /// Currency of the first amount.
        left: Currency,
        /// Currency of the second amount.
        right: Currency,
    },
    /// The result has more minor units than 64 bits can hold.
    #[error("the amount is too large")]
    Overflow,
    /// The text is not a plain decimal number.
    #[error("not a decimal number")]
    Malformed,
    /// The text is more precise than the currency.
    #[error("more than {decimals_max} decimals")]
    TooManyDecimals {
        /// How many the currency has.
        decimals_max: u8,
    },
}

impl Money {
    /// An amount in minor units.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing of a currency.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// The sum of two amounts of one currency.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.with(other, i64::checked_add)
    }

    /// The difference of two amounts of one currency.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.with(other, i64::checked_sub)
    }

    /// The amount times `quantity`.
    pub fn checked_mul(self, quantity: Quantity) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_mul(i64::from(quantity)).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// Parses an amount in major units, such as `12.50`. Fewer decimals than the currency has are allowed, and so are
    /// extra zeros; other extra digits are not.
    pub fn parse_major(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (whole, decimals) = split_decimals(digits)?;
        let decimals = without_empty_decimals(decimals, currency);
        let missing = usize::from(currency.exponent)
            .checked_sub(decimals.len())
            .ok_or(MoneyError::TooManyDecimals { decimals_max: currency.exponent })?;
        let padding = std::iter::repeat_n(b'0', missing);
        // The sign is applied to every digit, because the most negative amount has no positive counterpart.
        let minor = whole.bytes().chain(decimals.bytes()).chain(padding).try_fold(0_i64, |minor, digit| {
            minor.checked_mul(10)?.checked_add(sign * i64::from(digit - b'0'))
        });
        Ok(Self { minor: minor.ok_or(MoneyError::Overflow)?, currency })
    }

    fn with(self, other: Self, operation: fn(i64, i64) -> Option<i64>) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch { left: self.currency, right: other.currency });
        }
        let minor = operation(self.minor, other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }
}

/// Both sides of the decimal point. With a point there must be decimals.
fn split_decimals(digits: &str) -> Result<(&str, &str), MoneyError> {
    let (whole, decimals) = match digits.split_once('.') {
        Some((_, "")) => return Err(MoneyError::Malformed),
        Some(sides) => sides,
        None => (digits, ""),
    };
    let are_digits = whole.bytes().chain(decimals.bytes()).all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits { Err(MoneyError::Malformed) } else { Ok((whole, decimals)) }
}

/// The decimals without zeros that the currency has no place for.
fn without_empty_decimals(decimals: &str, currency: Currency) -> &str {
    let places = decimals.len().min(usize::from(currency.exponent));
    let (kept, beyond) = decimals.split_at(places);
    if beyond.bytes().all(|digit| digit == b'0') { kept } else { decimals }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        let decimals = usize::from(self.currency.exponent);
        // At least one digit before the point: five cents are 0.05.
        let digits = format!("{:0width$}", self.minor.unsigned_abs(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let point = if decimals == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction} {}", self.currency)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency() -> impl Strategy<Value = Currency> {
        prop::sample::select(vec!["JPY", "USD", "EUR", "KWD"]).prop_map(|code| Currency::parse(code).unwrap())
    }

    prop_compose! {
        fn money()(minor: i64, currency in currency()) -> Money { Money { minor, currency } }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same_amount(money in money()) {
            let shown = money.to_string();
            let number = shown.strip_suffix(money.currency.code()).unwrap().trim_end();
            prop_assert_eq!(Money::parse_major(number, money.currency), Ok(money));
        }

        #[test]
        fn sums_are_exact_or_refused(a in money(), b in money()) {
            let exact = i128::from(a.minor) + i128::from(b.minor);
            match a.checked_add(b) {
                Ok(sum) => {
                    prop_assert_eq!(i128::from(sum.minor), exact);
                    prop_assert_eq!(sum.checked_sub(b), Ok(a));
                    prop_assert_eq!(b.checked_add(a), Ok(sum));
                }
                Err(MoneyError::CurrencyMismatch { .. }) => prop_assert_ne!(a.currency, b.currency),
                Err(error) => {
                    prop_assert_eq!(error, MoneyError::Overflow);
                    prop_assert!(i64::try_from(exact).is_err());
                }
            }
        }

        #[test]
        fn products_are_exact_or_refused(price in money(), units in 1..=crate::QUANTITY_MAX) {
            let exact = i64::try_from(i128::from(price.minor) * i128::from(units)).ok();
            let product = price.checked_mul(Quantity::new(units).unwrap());
            prop_assert_eq!(product.ok().map(|money| money.minor), exact);
        }

        #[test]
        fn zeros_behind_an_amount_say_nothing(money in money(), zeros in 0_usize..6) {
            let shown = money.to_string();
            let number = shown.strip_suffix(money.currency.code()).unwrap().trim_end();
            let point = if number.contains('.') { "" } else { "." };
            let longer = format!("{number}{point}0{}", "0".repeat(zeros));
            prop_assert_eq!(Money::parse_major(&longer, money.currency), Ok(money));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,30}|-?[0-9]{0,25}\\.?[0-9]{0,5}", currency in currency()) {
            let _ = Money::parse_major(&text, currency);
        }
    }

    #[test]
    fn amounts_are_shown_with_the_decimals_of_their_currency() {
        let cases = [
            (1250, "USD", "12.50 USD"),
            (5, "USD", "0.05 USD"),
            (-5, "USD", "-0.05 USD"),
            (1250, "JPY", "1250 JPY"),
            (1250, "KWD", "1.250 KWD"),
            (i64::MIN, "USD", "-92233720368547758.08 USD"),
        ];
        for (minor, code, shown) in cases {
            assert_eq!(Money::new(minor, Currency::parse(code).unwrap()).to_string(), shown);
        }
    }

    #[test]
    fn decimal_texts_are_read_exactly_or_refused_with_the_reason() {
        let (usd, jpy) = (Currency::parse("USD").unwrap(), Currency::parse("JPY").unwrap());
        assert_eq!(Money::parse_major("12.5", usd), Ok(Money::new(1250, usd)));
        assert_eq!(Money::parse_major("12", usd), Ok(Money::new(1200, usd)));
        assert_eq!(Money::parse_major("12.505", usd), Err(MoneyError::TooManyDecimals { decimals_max: 2 }));
        assert_eq!(Money::parse_major("12.5", jpy), Err(MoneyError::TooManyDecimals { decimals_max: 0 }));
        assert_eq!(Money::parse_major("1200.00", jpy), Ok(Money::new(1200, jpy)));
        assert_eq!(Money::parse_major("29.0000", usd), Ok(Money::new(2900, usd)));
        assert_eq!(Money::parse_major("92233720368547758.08", usd), Err(MoneyError::Overflow));
        for text in ["", "-", ".", ".5", "5.", "1,5", "+1", "1e3", " 1", "1.2.3", "--1", "٣"] {
            assert_eq!(Money::parse_major(text, usd), Err(MoneyError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn a_currency_is_an_upper_case_code_with_minor_units() {
        assert_eq!(Currency::parse("KWD").map(Currency::exponent), Ok(3));
        for code in ["usd", "US", "XAU", "XTS", "ZZZ", ""] {
            assert!(Currency::parse(code).is_err(), "{code:?}");
        }
    }
}
