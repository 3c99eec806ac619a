//! What is known of a payment beside its own charge: charges one too many, refunds that persons asked for, and whether
//! the gateway has contradicted our books. Most payments have none of it.

use std::fmt::Write;

use crate::{Change, Money};

/// The most charges, and the most refunds, that are remembered of one payment. Beyond that a person looks at the gateway.
const NOTES_MAX: usize = 50;

/// A charge of the gateway beside the order's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondCharge {
    /// The gateway's name for it.
    pub reference: String,
    /// The captured amount, in minor units; 0 while only its refund was heard of.
    pub minor: i64,
    /// The refunded amount, in minor units.
    pub refunded_minor: i64,
}

/// A refund that a person asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedRefund {
    /// Its own key.
    pub key: String,
    /// The amount, in minor units.
    pub minor: i64,
    /// Whether its answer is still awaited.
    pub is_open: bool,
}

/// The notes of one payment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentNotes {
    second_charges: Vec<SecondCharge>,
    refunds: Vec<AskedRefund>,
    is_contradicted: bool,
}

impl PaymentNotes {
    /// Notes a charge beside the order's own. The same charge again is a repeat.
    pub fn second_charge(&mut self, reference: &str, amount: Money) -> Change {
        match self.charge(reference) {
            Some(known) if known.minor > 0 => Change::NoChange,
            Some(known) => {
                known.minor = amount.minor;
                Change::Applied
            }
            None => self.lose_count(),
        }
    }

    /// Notes a refund of such a charge, which may be heard of before the charge. `total` is the sum of its refunds, if
    /// the gateway tells it.
    pub fn second_refund(&mut self, reference: &str, amount: Money, total: Option<Money>) -> Change {
        let Some(known) = self.charge(reference) else { return self.lose_count() };
        let before = known.refunded_minor;
        known.refunded_minor = match total {
            Some(total) => before.max(total.minor),
            None => before.saturating_add(amount.minor),
        };
        if known.refunded_minor == before { Change::NoChange } else { Change::Applied }
    }

    /// Whether the gateway holds money of a charge beside the order's own.
    #[must_use]
    pub fn has_second_charge_open(&self) -> bool {
        self.second_charges.iter().any(|charge| charge.refunded_minor < charge.minor)
    }

    /// Whether there was a charge beside the order's own.
    #[must_use]
    pub fn knows_second_charge(&self) -> bool {
        self.second_charges.iter().any(|charge| charge.minor > 0)
    }

    /// Whether there were such charges, and all of them are refunded completely.
    #[must_use]
    pub fn are_second_charges_back(&self) -> bool {
        self.knows_second_charge() && !self.has_second_charge_open()
    }

    /// Notes that a person asked for this refund, before the gateway is called.
    pub fn refund_asked(&mut self, key: &str, minor: i64) {
        if self.refunds.len() == NOTES_MAX {
            self.refunds.remove(0);
        }
        self.refunds.push(AskedRefund { key: key.to_owned(), minor, is_open: true });
    }

    /// Notes that this refund has its answer, or is a person's.
    pub fn refund_settled(&mut self, key: &str) {
        self.refunds.iter_mut().filter(|asked| asked.key == key).for_each(|asked| asked.is_open = false);
    }

    /// The refunds whose answers are still awaited.
    pub fn open_refunds(&self) -> impl Iterator<Item = &AskedRefund> {
        self.refunds.iter().filter(|asked| asked.is_open)
    }

    /// What persons asked to have given back in all, in minor units.
    #[must_use]
    pub fn asked_back_minor(&self) -> i64 {
        self.refunds.iter().fold(0, |sum, asked| sum.saturating_add(asked.minor))
    }

    /// Whether a person asked for this very refund.
    #[must_use]
    pub fn is_refund_asked(&self, key: &str, minor: i64) -> bool {
        self.refunds.iter().any(|asked| asked.key == key && asked.minor == minor)
    }

    /// Notes that the gateway told of something that our books contradict.
    pub const fn contradicted(&mut self) {
        self.is_contradicted = true;
    }

    /// Whether it has.
    #[must_use]
    pub const fn is_contradicted(&self) -> bool {
        self.is_contradicted
    }

    /// There are more charges than are remembered. One entry stands for the rest, and is never back: a person must look.
    fn lose_count(&mut self) -> Change {
        if self.second_charges.len() == NOTES_MAX {
            let rest = SecondCharge { reference: "the rest".to_owned(), minor: i64::MAX, refunded_minor: 0 };
            self.second_charges.push(rest);
        }
        Change::Applied
    }

    /// The charge of this name, new if it is not known; none if there are too many.
    fn charge(&mut self, reference: &str) -> Option<&mut SecondCharge> {
        let place = self.second_charges.iter().position(|charge| charge.reference == reference);
        if place.is_none() && self.second_charges.len() < NOTES_MAX {
            let charge = SecondCharge { reference: reference.to_owned(), minor: 0, refunded_minor: 0 };
            self.second_charges.push(charge);
            return self.second_charges.last_mut();
        }
        place.map(|place| &mut self.second_charges[place])
    }

    /// The notes as one line each, for a store; none if there are none.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        let mut text = String::new();
        for SecondCharge { reference, minor, refunded_minor } in &self.second_charges {
            let _ = writeln!(text, "charge {minor} {refunded_minor} {reference}");
        }
        for AskedRefund { key, minor, is_open } in &self.refunds {
            let word = if *is_open { "asked" } else { "refund" };
            let _ = writeln!(text, "{word} {minor} {key}");
        }
        if self.is_contradicted {
            text.push_str("contradicted\n");
        }
        Some(text)
    }

    /// Reads what [`Self::to_text`] wrote; none if it is something else.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let mut notes = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                None if line == "contradicted" => notes.is_contradicted = true,
                Some(("charge", rest)) => {
                    let (minor, rest) = rest.split_once(' ')?;
                    let (refunded, reference) = rest.split_once(' ')?;
                    let (minor, refunded_minor) = (minor.parse().ok()?, refunded.parse().ok()?);
                    notes.second_charges.push(SecondCharge {
                        reference: reference.to_owned(),
                        minor,
                        refunded_minor,
                    });
                }
                Some((word @ ("refund" | "asked"), rest)) => {
                    let (minor, key) = rest.split_once(' ')?;
                    let (key, minor, is_open) = (key.to_owned(), minor.parse().ok()?, word == "asked");
                    notes.refunds.push(AskedRefund { key, minor, is_open });
                }
                Some(_) | None => return None,
            }
        }
        Some(notes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Currency;

    fn usd(minor: i64) -> Money {
        Money::new(minor, Currency::parse("USD").unwrap())
    }

    #[derive(Debug, Clone)]
    enum Told {
        Charge(u8, i64),
        Refund(u8, i64, Option<i64>),
        Asked(u8, i64),
        Contradicted,
    }

    fn told() -> impl Strategy<Value = Told> {
        prop_oneof![
            (0_u8..4, 1_i64..1_000).prop_map(|(charge, minor)| Told::Charge(charge, minor)),
            (0_u8..4, 0_i64..1_000, prop::option::of(0_i64..1_000))
                .prop_map(|(charge, minor, total)| Told::Refund(charge, minor, total)),
            (0_u8..4, 1_i64..1_000).prop_map(|(key, minor)| Told::Asked(key, minor)),
            Just(Told::Contradicted),
        ]
    }

    proptest! {
        #[test]
        fn notes_are_read_as_they_were_written(all in prop::collection::vec(told(), 0..80)) {
            let mut notes = PaymentNotes::default();
            for told in all {
                match told {
                    Told::Charge(charge, minor) => drop(notes.second_charge(&format!("ch {charge}"), usd(minor))),
                    Told::Refund(charge, minor, total) => {
                        let _ = notes.second_refund(&format!("ch {charge}"), usd(minor), total.map(usd));
                    }
                    Told::Asked(key, minor) => notes.refund_asked(&format!("refund-{key}"), minor),
                    Told::Contradicted => notes.contradicted(),
                }
            }
            let read = notes.to_text().map_or(Some(PaymentNotes::default()), |text| PaymentNotes::of_text(&text));
            prop_assert_eq!(read, Some(notes));
        }
    }

    #[test]
    fn second_charges_are_back_only_when_each_is_back_completely() {
        let mut notes = PaymentNotes::default();
        assert!(!notes.are_second_charges_back());
        let _ = notes.second_charge("ch-2", usd(450));
        let _ = notes.second_charge("ch-3", usd(450));
        assert_eq!(notes.second_charge("ch-3", usd(450)), Change::NoChange);
        let _ = notes.second_refund("ch-2", usd(1), None);
        assert!(notes.has_second_charge_open() && !notes.are_second_charges_back());
        let _ = notes.second_refund("ch-2", usd(449), Some(usd(450)));
        assert!(notes.has_second_charge_open(), "the third is still held");
        let _ = notes.second_refund("ch-3", usd(450), None);
        assert!(notes.are_second_charges_back());
    }

    #[test]
    fn more_charges_than_are_remembered_are_never_back() {
        let mut notes = PaymentNotes::default();
        for number in 0..=NOTES_MAX {
            assert_eq!(notes.second_charge(&format!("ch-{number}"), usd(1)), Change::Applied);
            assert!(notes.has_second_charge_open());
            let _ = notes.second_refund(&format!("ch-{number}"), usd(1), None);
        }
        assert!(notes.has_second_charge_open() && !notes.are_second_charges_back());
        let stored = notes.to_text().and_then(|text| PaymentNotes::of_text(&text));
        assert_eq!(stored, Some(notes));
    }

    #[test]
    fn a_refund_of_a_charge_that_nobody_told_of_releases_nothing() {
        let mut notes = PaymentNotes::default();
        let _ = notes.second_refund("ch-9", usd(5), None);
        assert!(!notes.are_second_charges_back());
        let _ = notes.second_charge("ch-9", usd(5));
        assert!(notes.are_second_charges_back(), "its refund came before it");
    }
}
