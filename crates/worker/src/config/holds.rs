//! Which new orders are put on hold until a person releases them.

use std::collections::BTreeMap;

use application::hold_rules::HoldRules;
use domain::{AMOUNT_MINOR_MAX, Currency, HoldPoint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step before which the orders of a rule wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum HoldBefore {
    /// None: there is no such rule.
    #[default]
    Never,
    /// The customer is not charged yet.
    Payment,
    /// The carrier is not asked yet.
    Shipping,
}

impl HoldBefore {
    const fn point(self) -> Option<HoldPoint> {
        match self {
            Self::Never => None,
            Self::Payment => Some(HoldPoint::Payment),
            Self::Shipping => Some(HoldPoint::Shipping),
        }
    }
}

/// Rules that put new orders on hold until a person releases them: `never`, before `payment`, or before `shipping`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Holds {
    /// Orders that come to as much as `large_order_from` says, or more.
    pub large_order: HoldBefore,
    /// By currency, in minor units: `EUR 100000` for 1,000 euros.
    pub large_order_from: Vec<String>,
    /// Orders of a customer to whom nothing was delivered yet.
    pub new_customer: HoldBefore,
    /// Orders without a shipping address. They go on by themselves once they have one.
    pub address_missing: HoldBefore,
}

impl Holds {
    /// The rules. Amounts that cannot be read are mistakes, and no rules.
    #[must_use]
    pub fn rules(&self) -> HoldRules {
        HoldRules {
            large_order_from: self.large_order_from.iter().filter_map(|text| amount(text).ok()).collect(),
            large_order: self.large_order.point(),
            new_customer: self.new_customer.point(),
            address_missing: self.address_missing.point(),
        }
    }

    /// Values that cannot work, each with what would.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let amounts: Vec<_> = self.large_order_from.iter().map(|text| (text, amount(text))).collect();
        let unreadable = |(text, amount): &(&String, Result<_, String>)| {
            let why = amount.as_ref().err()?;
            Some(format!("holds.large_order_from has '{text}': {why}; write 'EUR 100000' for 1,000 euros"))
        };
        let mut mistakes: Vec<String> = amounts.iter().filter_map(unreadable).collect();
        let currencies: BTreeMap<Currency, i64> =
            amounts.iter().filter_map(|(_, amount)| amount.clone().ok()).collect();
        if mistakes.is_empty() && currencies.len() < amounts.len() {
            mistakes.push("holds.large_order_from names a currency twice".to_owned());
        }
        if self.large_order != HoldBefore::Never && self.large_order_from.is_empty() {
            mistakes.push("holds.large_order is set, and holds.large_order_from names no amount".to_owned());
        }
        mistakes
    }
}

fn amount(text: &str) -> Result<(Currency, i64), String> {
    let (currency, minor) = text.trim().split_once(' ').ok_or("it is not a currency and an amount")?;
    let currency = Currency::parse(currency).map_err(|error| error.to_string())?;
    let minor = minor.trim().parse::<i64>().map_err(|error| error.to_string())?;
    if (1..=AMOUNT_MINOR_MAX).contains(&minor) {
        Ok((currency, minor))
    } else {
        Err(format!("an amount is from 1 to {AMOUNT_MINOR_MAX} minor units"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(amounts: &[&str]) -> Holds {
        Holds {
            large_order: HoldBefore::Payment,
            large_order_from: amounts.iter().map(|text| (*text).to_owned()).collect(),
            ..Holds::default()
        }
    }

    #[test]
    fn amounts_are_read_by_currency() {
        let rules = holds(&["EUR 100000", " JPY  5000 "]).rules();
        let euro = Currency::parse("EUR").expect("a currency");
        assert_eq!(rules.large_order_from.get(&euro), Some(&100_000));
        assert_eq!(rules.large_order_from.len(), 2);
        assert!(holds(&["EUR 100000"]).mistakes().is_empty());
        assert_eq!(Holds::default().rules(), HoldRules::default());
    }

    #[test]
    fn what_is_no_amount_is_named_with_what_would_be_one() {
        for wrong in ["", "EUR", "100000", "EUR 0", "EUR -5", "EUR 10.00", "QQQ 5", "EUR 9000000000000000"] {
            let mistakes = holds(&[wrong]).mistakes();
            assert!(mistakes.iter().any(|text| text.contains("write 'EUR 100000'")), "{wrong}: {mistakes:?}");
        }
        assert_eq!(holds(&["EUR 5", "EUR 6"]).mistakes().len(), 1, "twice the same currency");
        assert_eq!(holds(&[]).mistakes().len(), 1, "a rule without an amount");
    }
}
