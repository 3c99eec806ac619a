//! Which column of a file means what. Some mappings come with the program, any other is a TOML file.
//! Knows what a value looks like; must never decide what becomes of a row.

mod bundled;
mod charges;
mod details;
mod numbers;
mod status;
mod times;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use application::countries::is_country;
use domain::{Currency, Money};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

pub use bundled::{NAMES as BUNDLED, text as bundled_text};
pub(super) use charges::{Charge, Charges, Per, Treat, is_known_discount, is_known_undone, says_something};
pub(super) use details::{AddressColumns, AddressKind, AddressPart, ContactColumns, ContactPart, Detail};
pub(super) use numbers::{Custom, Numbers, Plain};
pub(super) use status::{Meaning, StatusColumn, known as known_status};

use super::table::{Encoding, Quoting};

/// Longest name of a mapping: it is part of every reference.
const NAME_BYTES_MAX: usize = 64;

/// Lines that a mapping may have passed over at either end.
const PASSED_OVER_MAX: u32 = 1_000;

/// What becomes of rows with fewer fields than there are headings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortRows {
    /// They are broken: who knows what is missing.
    #[default]
    Refuse,
    /// Empty fields at their end are left out.
    Fill,
}

/// How a file is to be read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Part of every reference that the import gives, so that two sources with the same numbers do not meet.
    pub name: String,
    /// What separates two fields; found out, if it is not said.
    pub delimiter: Option<char>,
    /// Whether quotes hold fields together.
    #[serde(default)]
    pub quoting: Quoting,
    /// How characters are written; found out, if it is not said.
    pub encoding: Option<Encoding>,
    /// Lines before the headings; those that are no headings are passed over in any case.
    #[serde(default)]
    pub header_lines: u32,
    /// Rows at the end that are none.
    #[serde(default)]
    pub footer_lines: u32,
    /// How the first or second field of rows begins that are none.
    #[serde(default)]
    pub footer_prefixes: Vec<String>,
    /// What becomes of rows that have fewer fields than there are headings.
    #[serde(default)]
    pub short_rows: ShortRows,
    /// The sheet of a workbook; its first, if it is not said.
    pub sheet: Option<String>,
    /// ISO 4217 code of all prices, unless a column or the price itself says otherwise.
    pub currency: String,
    /// What prices are written in.
    pub price_unit: PriceUnit,
    /// Of how many units the price is.
    pub price_per: Option<PricePer>,
    /// What becomes of lines that cost nothing.
    #[serde(default)]
    pub free_lines: FreeLines,
    /// How numbers are written.
    #[serde(default)]
    pub numbers: Numbers,
    /// `rfc3339`, or a pattern such as `%Y-%m-%d %H:%M:%S`.
    pub time_format: String,
    /// The place whose clock shows times without an offset; UTC, if it is not said.
    pub time_zone: Option<String>,
    /// How product codes are compared.
    #[serde(default)]
    pub sku_case: SkuCase,
    /// What becomes of a row that stands in its order twice where neither an id of the line nor the order's total tells
    /// whether both are meant.
    #[serde(default)]
    pub repeated_rows: Option<RepeatedRows>,
    /// The columns, by their headings.
    pub columns: Columns,
    /// Headings under which other versions of the same export have a column, by the heading that the mapping names.
    #[serde(default)]
    pub also: BTreeMap<String, Vec<String>>,
    /// What columns say of where an order stands.
    pub status: Option<Vec<StatusColumn>>,
    /// Money beside the lines.
    #[serde(default)]
    pub charges: Charges,
    /// Whom to reach about an order.
    #[serde(default)]
    pub contact: ContactColumns,
    /// Where its goods go.
    #[serde(default)]
    pub shipping_address: AddressColumns,
    /// Whom its bill is for.
    #[serde(default)]
    pub billing_address: AddressColumns,
    /// The two letters of countries that the file calls otherwise than in English.
    #[serde(default)]
    pub countries: BTreeMap<String, String>,
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
    /// The zone of `time_zone`.
    #[serde(skip)]
    zone: Option<TimeZone>,
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

/// Of how many units a price is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PricePer {
    /// Of one.
    Unit,
    /// Of all units of the line.
    Line,
}

/// What becomes of lines that cost nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreeLines {
    /// They are sent like any other: a gift.
    #[default]
    Take,
    /// They are left out.
    Skip,
}

/// How product codes are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkuCase {
    /// Letter by letter.
    #[default]
    Exact,
    /// Without regard to capitals, as the catalogue has it.
    Fold,
    /// In upper case.
    Upper,
}

/// What becomes of a row that stands in its order twice, field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepeatedRows {
    /// Its order is held back.
    HoldBack,
    /// Both are lines of the order.
    Take,
    /// It counts once.
    Once,
}

/// Headings of the columns.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The other system's name for the order; rows with the same one are lines of one order.
    pub order: String,
    /// The shop or marketplace whose name for the order it is, if the file has several.
    pub shop: Option<String>,
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
    /// Price.
    pub price: String,
    /// ISO 4217 code of the price, if the file has it.
    pub currency: Option<String>,
    /// The other system's id of the line, if the file has it: the same id is the same line.
    pub line_id: Option<String>,
    /// How many units have left the house already.
    pub shipped: Option<String>,
    /// Columns in which something but nothing says that the order was refunded or cancelled in part. Known ones, if it is not
    /// said.
    pub undone: Option<Vec<String>>,
    /// What the customer or the shop has to say.
    pub note: Option<String>,
    /// Words of the shop's own, with commas between them.
    pub tags: Option<String>,
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

impl Mapping {
    /// One that comes with the program, by its name, or one in a TOML file.
    ///
    /// # Errors
    /// One line that says what is wrong with it.
    pub fn named(name: &str) -> Result<Self> {
        if let Some(text) = bundled::text(name) {
            return Self::parse(text);
        }
        if Path::new(name).extension().is_some_and(|extension| extension == "toml") {
            let text =
                std::fs::read_to_string(name).with_context(|| format!("cannot read the mapping {name}"))?;
            return Self::parse(&text).with_context(|| format!("the mapping {name} cannot be used"));
        }
        bail!("there is no mapping '{name}'; write {}, or the name of a .toml file", BUNDLED.join(", "))
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
        mapping.checked()
    }

    /// The mapping, if it can be used.
    fn checked(mut self) -> Result<Self> {
        let mapping = &mut self;
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !(1..=NAME_BYTES_MAX).contains(&mapping.name.len()) || !mapping.name.chars().all(fits) {
            bail!("name = '{}' must be 1 to {NAME_BYTES_MAX} letters, digits, '-', '_' or '.'", mapping.name);
        }
        if let Some(delimiter) = mapping.delimiter.filter(|delimiter| !delimiter.is_ascii()) {
            bail!("delimiter = '{delimiter}' must be an ASCII character");
        }
        if mapping.header_lines.max(mapping.footer_lines) > PASSED_OVER_MAX {
            bail!("header_lines and footer_lines are at most {PASSED_OVER_MAX}");
        }
        mapping.numbers.check().map_err(anyhow::Error::msg)?;
        Currency::parse(&mapping.currency)?;
        for kind in AddressKind::ALL {
            mapping.address(kind).check(kind.table())?;
        }
        if let Some((name, code)) = mapping.countries.iter().find(|(_, code)| !is_country(code)) {
            bail!("[countries] \"{name}\" = '{code}' must be two letters of ISO 3166-1, such as \"DE\"");
        }
        mapping.zone = mapping.time_zone.as_deref().map(times::zone).transpose()?;
        Ok(self)
    }

    /// The same mapping, with what is said of one file beside it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn saying(
        mut self,
        currency: Option<String>,
        time_zone: Option<String>,
        encoding: Option<Encoding>,
        delimiter: Option<char>,
        sheet: Option<String>,
    ) -> Result<Self> {
        self.currency = currency.unwrap_or(self.currency);
        self.time_zone = time_zone.or(self.time_zone);
        self.encoding = encoding.or(self.encoding);
        self.delimiter = delimiter.or(self.delimiter);
        self.sheet = sheet.or(self.sheet);
        self.checked()
    }

    /// Whether orders of this name take back another one.
    #[must_use]
    pub fn is_cancellation(&self, order: &str) -> bool {
        !self.cancellations.prefix.is_empty() && order.starts_with(&self.cancellations.prefix)
    }

    /// Whether a code is no product.
    #[must_use]
    pub fn is_no_product(&self, code: &str) -> bool {
        let code = code.to_uppercase();
        self.non_products.codes.contains(&code)
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
        times::moment(&self.time_format, self.zone.as_ref(), field)
    }

    /// The amount of a number.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn amount(&self, digits: &str, currency: Currency) -> Result<Money, String> {
        let amount = match self.price_unit {
            PriceUnit::Major => Money::parse_major(digits, currency),
            PriceUnit::Minor => {
                whole(digits).map(|minor| Money::new(minor, currency)).ok_or(domain::MoneyError::Malformed)
            }
        };
        amount.map_err(|error| match (error, self.price_unit) {
            (domain::MoneyError::Malformed, PriceUnit::Minor) => {
                format!("'{digits}' is no whole number, and price_unit is \"minor\"")
            }
            (error, PriceUnit::Major | PriceUnit::Minor) => {
                format!("'{digits}' is no amount of {currency}: {error}")
            }
        })
    }
}

/// A whole number, which may have zeros as decimals.
#[must_use]
pub(super) fn whole(digits: &str) -> Option<i64> {
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    if decimals.bytes().all(|digit| digit == b'0') { whole.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mappings_that_come_with_the_program_can_be_used() {
        for name in BUNDLED.iter().copied() {
            assert_eq!(Mapping::named(name).expect(name).name, name);
        }
    }

    #[test]
    fn values_are_read_as_the_mapping_says() {
        let uci = Mapping::named("uci-online-retail").expect("ours");
        let at = uci.time("2010-12-01 08:26:00").expect("a time");
        assert_eq!(at.to_string(), "2010-12-01T08:26:00Z");
        let price = |field: &str| {
            let plain = uci.numbers.read(field, Custom::English)?;
            uci.amount(&plain.digits, Currency::parse("GBP").expect("pounds")).map(|money| money.minor)
        };
        assert_eq!(price("2.1"), Ok(210));
        assert!(price("0.001").is_err() && price("2,1").is_err());
        assert_eq!((uci.customer("17850.0"), uci.customer("")), ("17850", "GUEST"));
        assert!(uci.is_cancellation("C536379") && !uci.is_cancellation("536379"));
        assert!(uci.is_no_product("GIFT_0001_20") && uci.is_no_product("M") && !uci.is_no_product("85123A"));
    }

    #[test]
    fn a_mapping_that_cannot_be_used_says_why_in_one_line() {
        let mistake = |text: &str| format!("{:#}", Mapping::parse(text).expect_err("a mistake"));
        let right = bundled_text("northwind").expect("ours").to_owned();
        let mystery = mistake(&right.replace("currency =", "mystery = 1\ncurrency ="));
        assert!(mystery.starts_with("line 3:") && mystery.contains("mystery"), "{mystery}");
        assert!(mistake(&right.replace("\"USD\"", "\"XXY\"")).contains("XXY"));
        assert!(mistake(&right.replace("\"northwind\"", "\"a b\"")).contains("name = 'a b'"));
        assert!(format!("{:#}", Mapping::named("other").expect_err("unknown")).contains(".toml"));
    }
}
