//! Decides which transient fault strikes which attempt at a call. Counts attempts per operation and key, because a
//! fault belongs to an attempt, and never strikes more often in a row than the settings allow.

use std::collections::{HashMap, VecDeque};

use crate::dice::{Dice, HangEnd, Question, hash};
use crate::faults::{FaultSettings, Faults, Forced, Operation};

/// What befalls one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) latency_ms: u64,
    pub(crate) fate: Fate,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    Throttled,
    ServerError,
    ResponseLost,
    OtherAmount,
    Hung { hang_ms: u64, end: HangEnd },
}

/// The attempts seen so far, for as many keys as are remembered.
pub(crate) struct Attempts {
    seen: HashMap<(Operation, u64), Seen>,
    oldest_first: VecDeque<(Operation, u64)>,
    keys_max: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    made: u64,
    faults_in_a_row: u32,
}

impl Attempts {
    pub(crate) fn new(keys_max: usize) -> Self {
        Self { seen: HashMap::new(), oldest_first: VecDeque::new(), keys_max: keys_max.max(1) }
    }

    /// Counts this attempt and decides how it ends.
    pub(crate) fn plan(
        &mut self,
        dice: Dice,
        settings: &FaultSettings,
        operation: Operation,
        key: &str,
        forced: Forced,
    ) -> Plan {
        let faults = settings.of(operation);
        let seen = self.seen(operation, key);
        seen.made += 1;
        let fate = if seen.faults_in_a_row < settings.fault_repeat_max {
            fate(dice, faults, operation, key, forced, seen.made)
        } else {
            Fate::Answered
        };
        seen.faults_in_a_row = if fate == Fate::Answered { 0 } else { seen.faults_in_a_row + 1 };
        Plan {
            latency_ms: dice.between(faults.latency_ms, Question::Latency(operation), key, seen.made),
            fate,
        }
    }

    /// Counts a look-up and decides whether its answer names another amount. It has no other faults.
    pub(crate) fn look_up(
        &mut self,
        dice: Dice,
        settings: &FaultSettings,
        operation: Operation,
        key: &str,
    ) -> Fate {
        let permille = settings.of(operation).other_amount_permille;
        let seen = self.seen(operation, key);
        seen.made += 1;
        let struck = seen.faults_in_a_row < settings.fault_repeat_max
            && dice.happens(permille, Question::Transient(operation), key, seen.made);
        seen.faults_in_a_row = if struck { seen.faults_in_a_row + 1 } else { 0 };
        if struck { Fate::OtherAmount } else { Fate::Answered }
    }

    fn seen(&mut self, operation: Operation, key: &str) -> &mut Seen {
        let slot = (operation, hash(key.as_bytes()));
        if !self.seen.contains_key(&slot) {
            self.make_room();
            self.oldest_first.push_back(slot);
        }
        self.seen.entry(slot).or_default()
    }

    fn make_room(&mut self) {
        while self.oldest_first.len() >= self.keys_max {
            let Some(oldest) = self.oldest_first.pop_front() else { return };
            self.seen.remove(&oldest);
        }
    }
}

impl Plan {
    /// The plan where nothing can go wrong or take time, which needs no counting; none if something may.
    pub(crate) fn undisturbed(faults: &Faults, forced: Forced) -> Option<Self> {
        let quiet = forced == Forced::Nothing && faults.transient_permille() == 0 && faults.latency_ms.1 == 0;
        quiet.then_some(Self { latency_ms: faults.latency_ms.0, fate: Fate::Answered })
    }
}

fn fate(dice: Dice, faults: &Faults, operation: Operation, key: &str, forced: Forced, attempt: u64) -> Fate {
    let hung = Fate::Hung { hang_ms: faults.hang_ms, end: dice.hang_end(operation, key, attempt) };
    match forced {
        Forced::Hang => hung,
        Forced::LoseResponse => Fate::ResponseLost,
        Forced::Nothing => rolled(faults, dice.permille(Question::Transient(operation), key, attempt), hung),
    }
}

fn rolled(faults: &Faults, roll: u32, hung: Fate) -> Fate {
    let throttled = faults.throttle_permille;
    let failed = throttled.saturating_add(faults.server_error_permille);
    let hanging = failed.saturating_add(faults.hang_permille);
    let lost = hanging.saturating_add(faults.lose_response_permille);
    match roll {
        roll if roll < throttled => Fate::Throttled,
        roll if roll < failed => Fate::ServerError,
        roll if roll < hanging => hung,
        roll if roll < lost => Fate::ResponseLost,
        roll if roll < faults.transient_permille() => Fate::OtherAmount,
        _ => Fate::Answered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stormy(permille: u32) -> FaultSettings {
        let faults = Faults {
            server_error_permille: permille,
            throttle_permille: permille,
            hang_permille: permille,
            lose_response_permille: permille,
            ..Faults::default()
        };
        FaultSettings { payments: faults, ..FaultSettings::default() }
    }

    fn fates(seed: u64, settings: &FaultSettings, keys: &[String]) -> HashMap<String, Vec<Fate>> {
        let mut attempts = Attempts::new(1_000);
        let mut fates: HashMap<String, Vec<Fate>> = HashMap::new();
        for key in keys {
            let plan = attempts.plan(Dice::new(seed), settings, Operation::Charge, key, Forced::Nothing);
            fates.entry(key.clone()).or_default().push(plan.fate);
        }
        fates
    }

    proptest! {
        #[test]
        fn faults_do_not_depend_on_the_order_of_arrival(seed: u64, calls in prop::collection::vec("[a-e]", 0..60)) {
            let mut sorted = calls.clone();
            sorted.sort();
            prop_assert_eq!(fates(seed, &stormy(150), &calls), fates(seed, &stormy(150), &sorted));
        }

        #[test]
        fn every_key_gets_through_after_the_allowed_faults_in_a_row(seed: u64, repeat_max in 0u32..5) {
            let settings = FaultSettings { fault_repeat_max: repeat_max, ..stormy(250) };
            let calls = vec!["pay-1".to_owned(); 30];
            for window in fates(seed, &settings, &calls)["pay-1"].windows(repeat_max as usize + 1) {
                prop_assert!(window.contains(&Fate::Answered));
            }
        }
    }

    #[test]
    fn a_forced_fault_strikes_as_often_as_allowed_and_then_no_more() {
        let settings = FaultSettings::default();
        let mut attempts = Attempts::new(10);
        let fates: Vec<Fate> = (0..3)
            .map(|_| {
                attempts.plan(Dice::new(1), &settings, Operation::Charge, "pay-1", Forced::LoseResponse).fate
            })
            .collect();
        assert_eq!(fates, [Fate::ResponseLost, Fate::ResponseLost, Fate::Answered]);
    }

    #[test]
    fn attempts_are_remembered_for_a_bounded_number_of_keys() {
        let mut attempts = Attempts::new(10);
        for n in 0..100 {
            let key = format!("pay-{n}");
            attempts.plan(Dice::new(1), &stormy(100), Operation::Charge, &key, Forced::Nothing);
        }
        assert_eq!((attempts.seen.len(), attempts.oldest_first.len()), (10, 10));
    }
}
