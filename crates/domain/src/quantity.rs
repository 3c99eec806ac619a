//! The quantity of an order line. Never zero: a line for nothing is not a line.

use std::fmt;

use thiserror::Error;

/// The most any counter may hold, in units: sums of a few counters stay far from 64 bits, and exact in JSON.
pub const UNITS_MAX: i64 = 1_000_000_000_000_000;

/// The most one line may ask for, in units.
pub const QUANTITY_MAX: u32 = 1_000_000;

/// A number of units, from 1 to [`QUANTITY_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u32);

/// A number of units that is not a [`Quantity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{units} is not a quantity from 1 to {QUANTITY_MAX}")]
pub struct InvalidQuantity {
    /// What was asked for.
    pub units: i64,
}

impl Quantity {
    /// Accepts 1 to [`QUANTITY_MAX`] units.
    pub fn new(units: u32) -> Result<Self, InvalidQuantity> {
        match units {
            1..=QUANTITY_MAX => Ok(Self(units)),
            _ => Err(InvalidQuantity { units: i64::from(units) }),
        }
    }

    /// The number of units.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The sum, unless it is past [`QUANTITY_MAX`].
    pub fn checked_add(self, other: Self) -> Result<Self, InvalidQuantity> {
        Self::new(self.0 + other.0)
    }
}

impl TryFrom<i64> for Quantity {
    type Error = InvalidQuantity;

    fn try_from(units: i64) -> Result<Self, Self::Error> {
        u32::try_from(units).map_err(|_| InvalidQuantity { units }).and_then(Self::new)
    }
}

impl From<Quantity> for i64 {
    fn from(quantity: Quantity) -> Self {
        Self::from(quantity.0)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quantity_is_exactly_one_to_the_most(units: i64) {
            prop_assert_eq!(Quantity::try_from(units).is_ok(), (1..=i64::from(QUANTITY_MAX)).contains(&units));
        }

        #[test]
        fn adding_gives_the_sum_or_names_it(a in 1..=QUANTITY_MAX, b in 1..=QUANTITY_MAX) {
            let sum = Quantity(a).checked_add(Quantity(b));
            match sum {
                Ok(sum) => prop_assert_eq!(sum.get(), a + b),
                Err(refused) => prop_assert!(refused.units > i64::from(QUANTITY_MAX)),
            }
        }
    }

    #[test]
    fn the_edges_are_where_they_are_said_to_be() {
        assert!(Quantity::new(0).is_err() && Quantity::new(QUANTITY_MAX + 1).is_err());
        assert!(Quantity::new(1).is_ok() && Quantity::new(QUANTITY_MAX).is_ok());
    }
}
