//! Rules that put new orders on hold until a person releases them.

use std::collections::BTreeMap;

use domain::{Currency, HoldPoint, Money};

/// The reasons of rules, as they stand in a hold.
pub mod reasons {
    /// The order comes to much.
    pub const LARGE_ORDER: &str = "large_order";
    /// Nothing was delivered to this customer yet.
    pub const NEW_CUSTOMER: &str = "new_customer";
    /// The order does not say where its goods go; released by itself once it does.
    pub const ADDRESS_MISSING: &str = "address_missing";
}

/// Which new orders are put on hold, and before which step. None unless configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldRules {
    /// Orders that come to as many minor units or more, by currency.
    pub large_order_from: BTreeMap<Currency, i64>,
    /// The step before which those wait.
    pub large_order: Option<HoldPoint>,
    /// The step before which the orders of a customer wait to whom nothing was delivered yet.
    pub new_customer: Option<HoldPoint>,
    /// The step before which an order without a shipping address waits.
    pub address_missing: Option<HoldPoint>,
}

/// What the rules look at.
#[derive(Clone, Copy, Debug)]
pub struct OrderFacts {
    /// What the order comes to.
    pub total: Money,
    /// Whether nothing was delivered to its customer yet.
    pub is_new_customer: bool,
    /// Whether it says where its goods go.
    pub has_address: bool,
}

impl HoldRules {
    /// The holds that a new order gets: step and reason.
    pub fn holds(&self, order: OrderFacts) -> impl Iterator<Item = (HoldPoint, &'static str)> {
        let from = self.large_order_from.get(&order.total.currency);
        let is_large = from.is_some_and(|from| order.total.minor >= *from);
        [
            (self.large_order.filter(|_| is_large), reasons::LARGE_ORDER),
            (self.new_customer.filter(|_| order.is_new_customer), reasons::NEW_CUSTOMER),
            (self.address_missing.filter(|_| !order.has_address), reasons::ADDRESS_MISSING),
        ]
        .into_iter()
        .filter_map(|(before, reason)| Some((before?, reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_gets_the_holds_of_the_rules_that_it_meets_and_none_without_rules() {
        let euro = Currency::parse("EUR").expect("a currency");
        let order = |minor, is_new_customer, has_address| OrderFacts {
            total: Money::new(minor, euro),
            is_new_customer,
            has_address,
        };
        let rules = HoldRules {
            large_order_from: BTreeMap::from([(euro, 10_000)]),
            large_order: Some(HoldPoint::Payment),
            new_customer: Some(HoldPoint::Shipping),
            address_missing: Some(HoldPoint::Shipping),
        };
        let held =
            |rules: &HoldRules, facts| rules.holds(facts).map(|(_, reason)| reason).collect::<Vec<_>>();
        assert!(held(&rules, order(9_999, false, true)).is_empty());
        assert_eq!(held(&rules, order(10_000, false, true)), [reasons::LARGE_ORDER]);
        assert_eq!(held(&rules, order(1, true, true)), [reasons::NEW_CUSTOMER]);
        assert_eq!(held(&rules, order(1, false, false)), [reasons::ADDRESS_MISSING]);
        assert_eq!(held(&rules, order(10_000, true, false)).len(), 3);
        assert!(held(&HoldRules::default(), order(10_000, true, false)).is_empty());
    }
}
