//! What an order costs beside its goods: shipping, tax, a discount, a fee. The caller says how much, for good; nothing is
//! computed here but the sum.

use crate::{AMOUNT_MINOR_MAX, Currency, Money, MoneyLineKind, Rejection};

/// The most money lines an order may have.
pub const MONEY_LINES_MAX: usize = 50;

/// An amount of an order beside its goods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoneyLine {
    /// What it is for.
    pub kind: MoneyLineKind,
    /// How much, never below zero; a discount takes it off.
    pub amount: Money,
}

impl MoneyLine {
    /// What it adds to the goods, in minor units; a discount takes it off.
    #[must_use]
    pub const fn added_minor(&self) -> i64 {
        self.kind.added(self.amount.minor)
    }
}

/// What the money lines add to the goods, in minor units; below zero if they take more off.
pub(crate) fn added_minor(lines: &[MoneyLine], currency: Currency) -> Result<i64, Rejection> {
    if lines.len() > MONEY_LINES_MAX {
        return Err(Rejection::TooManyMoneyLines { lines: lines.len(), lines_max: MONEY_LINES_MAX });
    }
    let mut sum = 0_i64;
    for line in lines {
        let Money { minor, currency: found } = line.amount;
        if found != currency {
            return Err(Rejection::MoneyLineCurrency { expected: currency, found });
        }
        if !(0..=AMOUNT_MINOR_MAX).contains(&minor) {
            return Err(Rejection::MoneyLineOutOfRange { kind: line.kind, minor });
        }
        // Fifty times the most that an amount may be is far from the end of the numbers.
        sum += line.added_minor();
    }
    Ok(sum)
}
