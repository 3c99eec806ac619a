//! Which column of a file means what. Two mappings come with the program, any other is a TOML file.
//! Knows what a value looks like; must never decide what becomes of a row.

use std::path::Path;

use anyhow::{Context, Result, bail};
use domain::{Currency, Money};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

const NORTHWIND: &str = include_str!("mappings/northwind.toml");
const UCI_ONLINE_RETAIL: &str = include_str!("mappings/uci-online-retail.toml");

/// Longest name of a mapping: it is part of every reference.
const NAME_BYTES_MAX: usize = 64;

/// How a file is to be read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Part of every reference that the import gives, so that two sources with the same numbers do not meet.
    pub name: String,
    /// What separates two fields.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// ISO 4217 code of all prices, unless a column says otherwise.
    pub currency: String,
    /// What prices are written in.
    pub price_unit: PriceUnit,
    /// `rfc3339`, or a pattern such as `%Y-%m-%d %H:%M:%S`, whose times are UTC.
    pub time_format: String,
    /// The columns, by their headings.
    pub columns: Columns,
    /// About customers.
    #[serde(default)]
    pub customers: Customers,
    /// How cancellations are told.
    #[serde(default)]
    pub cancellations: Cancellations,
    /// Rows that are no products.
    #[serde(default)]
    pub non_products: NonProducts,
    /// Where products come from.
    #[serde(default)]
    pub products: Products,
}

/// What prices are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceUnit {
    /// Pounds, dollars, yen: 2.55.
    Major,
    /// Pence, cents, yen: 255.
    Minor,
}

/// Headings of the columns.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The other system's name for the order; rows with the same one are lines of one order.
    pub order: String,
    /// The customer.
    pub customer: String,
    /// When the customer ordered.
    pub ordered_at: String,
    /// The product.
    pub sku: String,
    /// Its name, if the file has it.
    pub name: Option<String>,
    /// Units.
    pub quantity: String,
    /// Price of one.
    pub price: String,
    /// ISO 4217 code of the price, if the file has it.
    pub currency: Option<String>,
}

/// About customers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Customers {
    /// Who stands for a customer that is not named.
    pub missing: String,
    /// Cut off at the end of a customer's name.
    pub cut_suffix: String,
}

impl Default for Customers {
    fn default() -> Self {
        Self { missing: "GUEST".to_owned(), cut_suffix: String::new() }
    }
}

/// How cancellations are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cancellations {
    /// Orders whose name begins so take back another order; none do, if it is empty.
    pub prefix: String,
}

/// Rows that are no products: postage, fees, vouchers. Compared in upper case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NonProducts {
    /// Their codes.
    pub codes: Vec<String>,
    /// How their codes begin.
    pub prefixes: Vec<String>,
}

/// Where products come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Products {
    /// A file that may lie next to the orders.
    pub file: Option<String>,
}

const fn comma() -> char {
    ','
}

impl Mapping {
    /// One that comes with the program, by its name, or one in a TOML file.
    ///
    /// # Errors
    /// One line that says what is wrong with it.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "northwind" => Self::parse(NORTHWIND),
            "uci-online-retail" => Self::parse(UCI_ONLINE_RETAIL),
            file if Path::new(file).extension().is_some_and(|extension| extension == "toml") => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read the mapping {file}"))?;
                Self::parse(&text).with_context(|| format!("the mapping {file} cannot be used"))
            }
            other => bail!(
                "there is no mapping '{other}'; write northwind, uci-online-retail, or the name of a .toml file"
            ),
        }
    }

    /// One that is written out in TOML.
    ///
    /// # Errors
    /// One line that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self> {
        let mapping: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = 1 + text[..before].matches('\n').count();
            anyhow::anyhow!("line {line}: {}", error.message().replace('\n', " "))
        })?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !(1..=NAME_BYTES_MAX).contains(&mapping.name.len()) || !mapping.name.chars().all(fits) {
            bail!("name = '{}' must be 1 to {NAME_BYTES_MAX} letters, digits, '-', '_' or '.'", mapping.name);
        }
        if !mapping.delimiter.is_ascii() {
            bail!("delimiter = '{}' must be an ASCII character", mapping.delimiter);
        }
        Currency::parse(&mapping.currency)?;
        Ok(mapping)
    }

    /// The name that the order has here.
    #[must_use]
    pub fn reference(&self, order: &str) -> String {
        format!("import-{}-{order}", self.name)
    }

    /// The key under which the order is sent. It differs from the reference because keys that begin with `import-` belong
    /// to the service's own imports.
    #[must_use]
    pub fn key(&self, order: &str) -> String {
        format!("{}-{order}", self.name)
    }

    /// Whether orders of this name take back another one.
    #[must_use]
    pub fn is_cancellation(&self, order: &str) -> bool {
        !self.cancellations.prefix.is_empty() && order.starts_with(&self.cancellations.prefix)
    }

    /// Whether a code, in upper case, is no product.
    #[must_use]
    pub fn is_no_product(&self, code: &str) -> bool {
        self.non_products.codes.iter().any(|known| known == code)
            || self.non_products.prefixes.iter().any(|prefix| code.starts_with(prefix.as_str()))
    }

    /// The customer that a field names.
    #[must_use]
    pub fn customer<'a>(&'a self, field: &'a str) -> &'a str {
        let cut = self.customers.cut_suffix.as_str();
        let named = if cut.is_empty() { field } else { field.strip_suffix(cut).unwrap_or(field) };
        if named.is_empty() { &self.customers.missing } else { named }
    }

    /// The moment that a field names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn time(&self, field: &str) -> Result<Timestamp> {
        if self.time_format == "rfc3339" {
            return Ok(field.parse()?);
        }
        let local = DateTime::strptime(&self.time_format, field)?;
        Ok(TimeZone::UTC.to_timestamp(local)?)
    }

    /// The price that a field names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn price(&self, field: &str, currency: &str) -> Result<Money> {
        let currency = Currency::parse(currency)?;
        Ok(match self.price_unit {
            PriceUnit::Major => Money::parse_major(field, currency)?,
            PriceUnit::Minor => Money::new(field.parse()?, currency),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mappings_that_come_with_the_program_can_be_used() {
        for name in ["northwind", "uci-online-retail"] {
            assert_eq!(Mapping::named(name).expect(name).name, name);
        }
    }

    #[test]
    fn values_are_read_as_the_mapping_says() {
        let uci = Mapping::named("uci-online-retail").expect("ours");
        let at = uci.time("2010-12-01 08:26:00").expect("a time");
        assert_eq!(at.to_string(), "2010-12-01T08:26:00Z");
        assert_eq!(uci.price("2.1", "GBP").expect("a price").minor, 210);
        assert!(uci.price("0.001", "GBP").is_err() && uci.price("2,1", "GBP").is_err());
        assert_eq!((uci.customer("17850.0"), uci.customer("")), ("17850", "GUEST"));
        assert!(uci.is_cancellation("C536379") && !uci.is_cancellation("536379"));
        assert!(uci.is_no_product("GIFT_0001_20") && uci.is_no_product("M") && !uci.is_no_product("85123A"));
    }

    #[test]
    fn a_mapping_that_cannot_be_used_says_why_in_one_line() {
        let mistake = |text: &str| format!("{:#}", Mapping::parse(text).expect_err("a mistake"));
        let right = NORTHWIND.to_owned();
        let mystery = mistake(&right.replace("currency =", "mystery = 1\ncurrency ="));
        assert!(mystery.starts_with("line 3:") && mystery.contains("mystery"), "{mystery}");
        assert!(mistake(&right.replace("\"USD\"", "\"XXY\"")).contains("XXY"));
        assert!(mistake(&right.replace("\"northwind\"", "\"a b\"")).contains("name = 'a b'"));
        assert!(format!("{:#}", Mapping::named("other").expect_err("unknown")).contains(".toml"));
    }
}
