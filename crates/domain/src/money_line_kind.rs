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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_and_a_code_of_its_own() {
        MoneyLineKind::assert_words_and_codes_round_trip();
    }
}
