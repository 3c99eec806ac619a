//! What a money line is for.

use crate::closed_set::closed_set;

closed_set! {
    /// What a money line is for.
    pub enum MoneyLineKind {
        /// Sending the goods.
        Shipping = 0, "shipping";
        /// A tax that the prices leave out.
        Tax = 1, "tax";
        /// Something off the price.
        Discount = 2, "discount";
        /// Anything else.
        Fee = 3, "fee";
    }
}

impl MoneyLineKind {
    /// What an amount of this kind adds to the goods; a discount takes it off.
    #[must_use]
    pub const fn added(self, minor: i64) -> i64 {
        match self {
            Self::Discount => -minor,
            Self::Shipping | Self::Tax | Self::Fee => minor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_and_a_code_of_its_own() {
        MoneyLineKind::assert_words_and_codes_round_trip();
    }
}
