//! Currency codes and the totals kept per currency. Amounts are whole minor units; there are no floats here.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::stats::MoneyTally;

/// Three capital letters. The sandbox takes any: whether a code exists is the client's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Currency([u8; 3]);

impl Currency {
    pub(crate) fn parse(code: &str) -> Option<Self> {
        let letters: [u8; 3] = code.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters))
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&code).ok_or_else(|| serde::de::Error::custom("currency must be three capital letters"))
    }
}

/// Money that moved, per currency.
#[derive(Debug, Default)]
pub(crate) struct Tallies(BTreeMap<Currency, MoneyTally>);

impl Tallies {
    pub(crate) fn capture(&mut self, currency: Currency, amount_minor: i64) {
        let tally = self.0.entry(currency).or_default();
        tally.captured_minor = tally.captured_minor.saturating_add(amount_minor);
    }

    pub(crate) fn refund(&mut self, currency: Currency, amount_minor: i64) {
        let tally = self.0.entry(currency).or_default();
        tally.refunded_minor = tally.refunded_minor.saturating_add(amount_minor);
    }

    pub(crate) fn report(&self) -> BTreeMap<String, MoneyTally> {
        self.0.iter().map(|(currency, tally)| (currency.as_str().to_owned(), *tally)).collect()
    }
}
