//! Holds: why an order waits before its payment or its parcel although nothing is wrong with it, and who lets it go on.

use jiff::Timestamp;

use crate::closed_set::closed_set;
use crate::ids::{HoldId, OrderId};

closed_set! {
    /// The step that a hold keeps an order from.
    pub enum HoldPoint {
        /// The customer is not charged yet.
        Payment = 0, "payment";
        /// The carrier is not asked yet.
        Shipping = 1, "shipping";
    }
}

/// The steps that an order is kept from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldPoints(u8);

impl HoldPoints {
    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this is one of them.
    pub const fn include(self, point: HoldPoint) -> bool {
        self.0 & bit(point) != 0
    }

    /// Adds a step.
    pub const fn add(&mut self, point: HoldPoint) {
        self.0 |= bit(point);
    }

    /// Removes a step.
    pub const fn remove(&mut self, point: HoldPoint) {
        self.0 &= !bit(point);
    }

    /// For compact storage: 0 for none.
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The steps that this code stands for, if it stands for any.
    pub fn from_code(code: u8) -> Option<Self> {
        let all: u8 = HoldPoint::ALL.iter().map(|point| bit(*point)).sum();
        (code & !all == 0).then_some(Self(code))
    }
}

impl FromIterator<HoldPoint> for HoldPoints {
    fn from_iter<I: IntoIterator<Item = HoldPoint>>(points: I) -> Self {
        points.into_iter().fold(Self::default(), |mut all, point| {
            all.add(point);
            all
        })
    }
}

const fn bit(point: HoldPoint) -> u8 {
    1 << point.code()
}

/// One hold of an order. An order may have several; it goes on when none is left before its next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its id, by which it is released.
    pub id: HoldId,
    /// The order.
    pub order_id: OrderId,
    /// The step that it keeps the order from.
    pub before: HoldPoint,
    /// Why, in the words of whoever placed it, or the name of the rule that did.
    pub reason: String,
    /// Who placed it; none for a rule of the configuration.
    pub actor: Option<String>,
    /// When.
    pub placed_at: Timestamp,
    /// Who let the order go on, if anybody has.
    pub released: Option<HoldRelease>,
}

/// The end of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRelease {
    /// Who released it.
    pub actor: String,
    /// Why; may be empty.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_of_a_set_of_steps_leads_back_to_it_and_no_other_code_is_taken() {
        for code in 0..4 {
            let points = HoldPoints::from_code(code).expect("two steps make four sets");
            assert_eq!(points.code(), code);
            let each = HoldPoint::ALL.iter().copied().filter(|point| points.include(*point));
            assert_eq!(each.collect::<HoldPoints>(), points);
        }
        assert!((4..=u8::MAX).all(|code| HoldPoints::from_code(code).is_none()));
    }

    #[test]
    fn a_step_that_is_removed_is_in_the_set_no_more_and_the_other_stays() {
        let mut points: HoldPoints = HoldPoint::ALL.iter().copied().collect();
        points.remove(HoldPoint::Payment);
        assert!(points.include(HoldPoint::Shipping) && !points.include(HoldPoint::Payment));
        points.remove(HoldPoint::Shipping);
        assert!(points.is_empty());
    }
}
