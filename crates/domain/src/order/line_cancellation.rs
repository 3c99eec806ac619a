//! Cancels lines of an order, whole or in part, before its goods leave. What was ordered stays known; what is left is what is
//! reserved, paid and sent.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Order, OrderLine};
use crate::{Money, MoneyError, OrderId, ProductId, Sku};

/// Units of one product that an order wants no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelledUnits {
    /// The product.
    pub product_id: ProductId,
    /// Its SKU.
    pub sku: Sku,
    /// How many.
    pub units: i64,
}

/// An order of which units were cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineCancellation {
    /// The order afterwards.
    pub order: Order,
    /// What was cancelled, one entry for each product.
    pub cancelled: Vec<CancelledUnits>,
    /// How much less the order costs.
    pub amount: Money,
}

/// Why lines of an order cannot be cancelled like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineRejection {
    /// No product was named.
    #[error("no product is named; name the units of each that the customer wants no longer")]
    NoneNamed,
    /// A product that the order does not have.
    #[error("{sku} is not part of the order; it has {known}")]
    NotOrdered {
        /// The product.
        sku: Sku,
        /// Those that it has.
        known: String,
    },
    /// A product that is named twice.
    #[error("{sku} is named twice")]
    NamedTwice {
        /// The product.
        sku: Sku,
    },
    /// More or fewer units than there are.
    #[error("{units} units of {sku}, of which {left} are left to cancel")]
    TooMany {
        /// The product.
        sku: Sku,
        /// Units named.
        units: i64,
        /// Units that the order still wants.
        left: i64,
    },
    /// Nothing would be left.
    #[error("nothing would be left of order {0}; cancel the order instead")]
    NothingLeft(OrderId),
    /// It would cost less than nothing, or more than before.
    #[error(
        "the order would cost {amount} less, and it costs {total}; say how much less, from nothing to that"
    )]
    Amount {
        /// How much less it would cost.
        amount: Money,
        /// What it costs.
        total: Money,
    },
    /// The amount is in another currency.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl Order {
    /// The order without these units of products, all that are left of one where no number is said, taken off its last lines
    /// first. It costs less by `amount`, or by the price of the units if no amount is said.
    ///
    /// # Errors
    /// If the order does not have them, or nothing would be left of it.
    pub fn cancel_lines(
        &self,
        wanted: &[(Sku, Option<i64>)],
        amount: Option<Money>,
        at: Timestamp,
    ) -> Result<LineCancellation, LineRejection> {
        let mut after = self.0.clone();
        let mut value = Money::zero(after.total.currency);
        let mut cancelled = Vec::with_capacity(wanted.len());
        for (sku, units) in self.checked(wanted)? {
            let mut lines: Vec<&mut OrderLine> =
                after.lines.iter_mut().filter(|line| line.sku == sku).collect();
            let product_id = lines.first().map_or_else(|| ProductId::of(&sku), |line| line.product_id);
            let mut rest = units;
            for line in lines.iter_mut().rev() {
                let taken = rest.min(line.remaining());
                rest -= taken;
                line.cancelled += taken;
                value = value.checked_add(line.price_of(taken)?)?;
            }
            cancelled.push(CancelledUnits { product_id, sku, units });
        }
        if after.lines.iter().all(|line| line.remaining() == 0) {
            return Err(LineRejection::NothingLeft(after.id));
        }
        let amount = amount.unwrap_or(value);
        let total = after.total.checked_sub(amount)?;
        if amount.minor < 0 || total.minor < 0 {
            return Err(LineRejection::Amount { amount, total: after.total });
        }
        after.total = total;
        after.cancelled_minor += amount.minor;
        after.updated_at = after.updated_at.max(at);
        Ok(LineCancellation { order: Self(after), cancelled, amount })
    }

    /// The units to cancel of each product, if the order has as many.
    fn checked(&self, wanted: &[(Sku, Option<i64>)]) -> Result<BTreeMap<Sku, i64>, LineRejection> {
        if wanted.is_empty() {
            return Err(LineRejection::NoneNamed);
        }
        let mut checked = BTreeMap::new();
        for (sku, units) in wanted {
            let lines: Vec<&OrderLine> = self.0.lines.iter().filter(|line| line.sku == *sku).collect();
            if lines.is_empty() {
                let known: BTreeSet<&str> = self.0.lines.iter().map(|line| line.sku.as_str()).collect();
                let known = known.into_iter().collect::<Vec<_>>().join(", ");
                return Err(LineRejection::NotOrdered { sku: sku.clone(), known });
            }
            let left: i64 = lines.iter().map(|line| line.remaining()).sum();
            let units = units.unwrap_or(left);
            if !(1..=left).contains(&units) {
                return Err(LineRejection::TooMany { sku: sku.clone(), units, left });
            }
            if checked.insert(sku.clone(), units).is_some() {
                return Err(LineRejection::NamedTwice { sku: sku.clone() });
            }
        }
        Ok(checked)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{Currency, CustomerId, NewOrder, NewOrderLine, Quantity};

    const NOON: Timestamp = Timestamp::UNIX_EPOCH;

    fn eur(minor: i64) -> Money {
        Money::new(minor, Currency::parse("EUR").unwrap())
    }

    fn sku(number: u8) -> Sku {
        Sku::parse(&format!("TEA-{number}")).unwrap()
    }

    fn order(lines: &[(u8, u32, i64)]) -> Order {
        let line = |(number, units, price): &(u8, u32, i64)| NewOrderLine {
            product_id: ProductId::of(&sku(*number)),
            sku: sku(*number),
            quantity: Quantity::new(*units).unwrap(),
            unit_price: eur(*price),
        };
        let new = NewOrder {
            id: OrderId(Uuid::from_u128(7)),
            customer_id: CustomerId::parse("ALFKI").unwrap(),
            lines: lines.iter().map(line).collect(),
            ordered_at: NOON,
            external_reference: None,
            money_lines: Vec::new(),
        };
        Order::place(new, NOON).unwrap()
    }

    proptest! {
        #[test]
        fn what_was_ordered_is_what_is_left_and_what_was_cancelled(
            lines in prop::collection::vec((0_u8..3, 1_u32..5, 0_i64..500), 1..6),
            wishes in prop::collection::vec(
                (prop::collection::vec((0_u8..4, prop::option::of(-1_i64..6)), 0..3), prop::option::of(-1_i64..2_000)), 0..8,
            ),
        ) {
            let first = order(&lines);
            let (mut now, mut gone, mut cheaper) = (first.clone(), BTreeMap::<Sku, i64>::new(), 0);
            for (wanted, amount) in wishes {
                let wanted: Vec<_> = wanted.into_iter().map(|(number, units)| (sku(number), units)).collect();
                match now.cancel_lines(&wanted, amount.map(eur), NOON) {
                    Ok(LineCancellation { order, cancelled, amount }) => {
                        prop_assert_eq!(order.total().minor + amount.minor, now.total().minor);
                        cheaper += amount.minor;
                        for CancelledUnits { sku, units, .. } in cancelled {
                            prop_assert!(units > 0);
                            *gone.entry(sku).or_default() += units;
                        }
                        now = order;
                    }
                    Err(_) => continue,
                }
                prop_assert_eq!(now.check(), Ok(()));
                prop_assert!(!now.merged_demand().is_empty());
                prop_assert_eq!(now.ordered_total(), first.total());
            }
            prop_assert_eq!(now.total().minor + cheaper, first.total().minor);
            for (product, units) in first.merged_demand() {
                let left = now.merged_demand().into_iter().find(|(id, _)| *id == product).map_or(0, |(_, units)| units);
                let cancelled: i64 = gone.iter().filter(|(sku, _)| ProductId::of(sku) == product).map(|(_, units)| units).sum();
                prop_assert_eq!(left + cancelled, units);
            }
        }
    }

    #[test]
    fn units_come_off_the_last_line_of_their_product_and_cost_what_that_line_says() {
        let order = order(&[(1, 2, 100), (2, 1, 7), (1, 1, 300)]);
        let it = order.cancel_lines(&[(sku(1), Some(2))], None, NOON).unwrap();
        assert_eq!(it.amount, eur(400));
        let left: Vec<i64> = it.order.lines().iter().map(OrderLine::remaining).collect();
        assert_eq!((left, it.order.total()), (vec![1, 1, 0], eur(107)));
        assert_eq!(it.cancelled.len(), 1);
    }

    #[test]
    fn what_cannot_be_cancelled_is_refused_with_what_could() {
        let order = order(&[(1, 2, 100), (2, 1, 7)]);
        let refused = |wanted: &[(Sku, Option<i64>)], amount: Option<i64>| {
            order.cancel_lines(wanted, amount.map(eur), NOON).unwrap_err().to_string()
        };
        let all = [(sku(1), None), (sku(2), None)];
        assert!(refused(&all, None).contains("cancel the order instead"));
        assert!(refused(&[], None).contains("name the units"));
        assert!(refused(&[(sku(3), None)], None).contains("it has TEA-1, TEA-2"));
        assert!(refused(&[(sku(1), Some(3))], None).contains("of which 2 are left"));
        assert!(refused(&[(sku(1), Some(1)), (sku(1), Some(1))], None).contains("named twice"));
        assert!(refused(&[(sku(1), Some(1))], Some(208)).contains("it costs 2.07 EUR"));
        assert!(refused(&[(sku(1), Some(1))], Some(-1)).contains("from nothing to that"));
    }

    #[test]
    fn an_amount_that_is_said_counts() {
        let order = order(&[(1, 2, 100), (2, 1, 7)]);
        let it = order.cancel_lines(&[(sku(2), None)], Some(eur(0)), NOON).unwrap();
        assert_eq!((it.order.total(), it.order.check()), (eur(207), Ok(())));
    }
}
