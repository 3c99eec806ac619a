//! Chance without surprise: every roll is a hash of the seed, the question, the key and the attempt, so the order
//! in which calls happen to arrive never changes a fault. Must never keep state.

use crate::faults::{Faults, Operation, Verdict};

/// Whether a hung call did its work in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HangEnd {
    Done,
    NotDone,
}

/// A seeded die. Copies roll alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dice {
    seed: u64,
}

/// What is being decided; each question rolls independently of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Decline(Operation),
    Transient(Operation),
    HangEnd(Operation),
    Latency(Operation),
    LookupLatency,
    DeliveryDelay,
    WebhookDrop,
    WebhookDuplicate,
    WebhookReorder,
    WebhookDelay,
    WebhookStraggle,
    ChargeId,
    ShipmentId,
    EventId,
    BatchId,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    pub(crate) fn verdict(self, operation: Operation, key: &str, faults: &Faults) -> Verdict {
        if self.happens(faults.decline_permille, Question::Decline(operation), key, 0) {
            Verdict::Refuse
        } else {
            Verdict::Accept
        }
    }

    pub(crate) fn hang_end(self, operation: Operation, key: &str, attempt: u64) -> HangEnd {
        if self.happens(500, Question::HangEnd(operation), key, attempt) {
            HangEnd::Done
        } else {
            HangEnd::NotDone
        }
    }

    pub(crate) fn happens(self, permille: u32, question: Question, key: &str, nth: u64) -> bool {
        permille > 0 && self.permille(question, key, nth) < permille
    }

    /// A number from 0 to 999.
    pub(crate) fn permille(self, question: Question, key: &str, nth: u64) -> u32 {
        (self.roll(question, key, nth) % 1_000) as u32
    }

    /// A number from least to most, both included.
    pub(crate) fn between(self, (least, most): (u64, u64), question: Question, key: &str, nth: u64) -> u64 {
        if most <= least {
            return least;
        }
        least + self.roll(question, key, nth) % (most - least).saturating_add(1)
    }

    /// A number as good as unique for this question, key and ordinal.
    pub(crate) fn id(self, question: Question, key: &str, nth: u64) -> u128 {
        let high = self.roll(question, key, nth);
        let low = mix(self.roll(question, key, !nth) ^ high.rotate_left(32));
        u128::from(high) << 64 | u128::from(low)
    }

    fn roll(self, question: Question, key: &str, nth: u64) -> u64 {
        mix(mix(self.seed ^ mix(question.salt()) ^ hash(key.as_bytes())).wrapping_add(nth))
    }
}

impl Question {
    fn salt(self) -> u64 {
        match self {
            Self::Decline(operation) => 0x100 + operation as u64,
            Self::Transient(operation) => 0x200 + operation as u64,
            Self::HangEnd(operation) => 0x300 + operation as u64,
            Self::Latency(operation) => 0x400 + operation as u64,
            Self::LookupLatency => 0x500,
            Self::DeliveryDelay => 0x501,
            Self::WebhookDrop => 0x502,
            Self::WebhookDuplicate => 0x503,
            Self::WebhookReorder => 0x504,
            Self::WebhookDelay => 0x505,
            Self::WebhookStraggle => 0x506,
            Self::ChargeId => 0x507,
            Self::ShipmentId => 0x508,
            Self::EventId => 0x509,
            Self::BatchId => 0x50a,
        }
    }
}

/// FNV-1a: stable over releases and platforms, which the standard hasher does not promise.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finaliser of SplitMix64: every input bit reaches every output bit.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_roll_stays_within_its_bounds(seed: u64, key in ".{0,40}", least in 0u64..1000, width in 0u64..1000) {
            let rolled = Dice::new(seed).between((least, least + width), Question::DeliveryDelay, &key, 3);
            prop_assert!((least..=least + width).contains(&rolled));
        }

        #[test]
        fn the_same_question_always_gets_the_same_answer(seed: u64, key in ".{0,40}", nth: u64) {
            let question = Question::Transient(Operation::Charge);
            prop_assert_eq!(Dice::new(seed).permille(question, &key, nth), Dice::new(seed).permille(question, &key, nth));
        }
    }

    #[test]
    fn about_as_many_calls_are_struck_as_the_permille_say() {
        let dice = Dice::new(7);
        let struck = (0..100_000)
            .filter(|n| dice.happens(30, Question::Transient(Operation::Book), &format!("ship-{n}"), 1))
            .count();
        assert!((2_700..3_300).contains(&struck), "{struck}");
    }

    #[test]
    fn attempts_and_questions_roll_independently() {
        let dice = Dice::new(7);
        let twice = (0..10_000)
            .filter(|n| {
                let key = format!("pay-{n}");
                dice.happens(100, Question::Transient(Operation::Charge), &key, 1)
                    && dice.happens(100, Question::Transient(Operation::Charge), &key, 2)
            })
            .count();
        assert!((60..140).contains(&twice), "{twice}");
    }
}
