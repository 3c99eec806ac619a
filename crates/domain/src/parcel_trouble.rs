//! What may happen to a parcel on its way.

use crate::closed_set::closed_set;

closed_set! {
    /// Trouble with a parcel.
    pub enum ParcelTrouble {
        /// The carrier cannot deliver for now.
        Exception = 0, "exception";
        /// It is lost.
        Lost = 1, "lost";
        /// It is damaged.
        Damaged = 2, "damaged";
        /// It is on its way back, or is back.
        Returned = 3, "returned";
    }
}

/// The troubles that a carrier told of one parcel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Troubles(u8);

impl Troubles {
    /// Adds one.
    pub const fn note(&mut self, trouble: ParcelTrouble) {
        self.0 |= 1 << trouble.code();
    }

    /// Whether the carrier told of it.
    #[must_use]
    pub const fn include(self, trouble: ParcelTrouble) -> bool {
        self.0 & (1 << trouble.code()) != 0
    }

    /// As a number, for a store.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// Those of this number.
    #[must_use]
    pub const fn of_code(code: u8) -> Self {
        Self(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_remembered_beside_the_others() {
        ParcelTrouble::assert_words_and_codes_round_trip();
        let mut told = Troubles::default();
        for (count, trouble) in (0..).zip(ParcelTrouble::ALL) {
            assert!(!told.include(*trouble));
            told.note(*trouble);
            assert_eq!(ParcelTrouble::ALL.iter().filter(|one| told.include(**one)).count(), count + 1);
        }
        assert_eq!(Troubles::of_code(told.code()), told);
    }
}
