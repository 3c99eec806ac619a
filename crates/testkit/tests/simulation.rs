//! The simulation itself on trial: it holds for many seeds, repeats itself exactly, and notices when something is broken on
//! purpose.

use std::collections::BTreeSet;

use orderwright_testkit::simulation::{
    Event, Honesty, Leak, Outcome, Sabotage, Script, Trace, Wiring, run, run_sabotaged, run_wired, wiring,
};

/// Seeds that every test run tries; many more are tried by a command of their own.
const SEEDS: u64 = 40;

#[test]
fn the_invariants_hold_whatever_goes_wrong() {
    let mut crashes = 0;
    for seed in 1_000_000..1_000_000 + SEEDS {
        let outcome = run(seed, Trace::Off);
        assert!(outcome.findings.is_empty(), "seed {seed}:\n{}", in_words(&outcome));
        crashes += outcome.crashes;
    }
    assert!(crashes > SEEDS, "too few workers died to prove anything: {crashes}");
}

/// What happens to broker and file is among what the seeds tell of, each with a broker in between and without one.
#[test]
fn among_the_seeds_there_is_each_thing_that_can_happen_to_broker_and_file() {
    let met = |kind: fn(&Event) -> bool| {
        let seeds = 1_000_000..1_000_000 + SEEDS;
        let wirings = seeds.filter(|seed| Script::of(*seed).events.iter().any(|(_, event)| kind(event)));
        wirings.map(wiring).collect::<BTreeSet<_>>().len()
    };
    let kinds: [fn(&Event) -> bool; 4] = [
        |event| *event == Event::QueuesDeleted,
        |event| matches!(event, Event::QuorumLost(_)),
        |event| *event == Event::SecondDatabase,
        |event| matches!(event, Event::FileReplaced(_)),
    ];
    assert_eq!(kinds.map(met), [Wiring::ALL.len(); 4]);
}

#[test]
fn the_same_seed_happens_again_in_the_same_way() {
    for seed in 0..6 {
        assert_eq!(run(seed, Trace::Off), run(seed, Trace::Off), "seed {seed}");
    }
}

#[test]
fn different_seeds_are_different_stories() {
    assert_ne!(run(1, Trace::Off).hash, run(2, Trace::Off).hash);
}

#[test]
fn a_gateway_that_charges_for_each_request_is_noticed() {
    let sabotage = Sabotage { honesty: Honesty::ChargesEachTime, ..Sabotage::default() };
    let noticed = noticed(sabotage, 4);
    assert!(noticed.contains("times"), "{noticed}");
}

/// Not one message is safe, those of timers included, and it never stops: what is asked for is asked for again.
#[test]
fn whatever_the_broker_loses_every_order_ends_by_itself() {
    let sabotage = Sabotage { leak: Leak::OneIn(4), ..Sabotage::default() };
    for seed in 2_000_000..2_000_000 + SEEDS / 2 {
        for wiring in Wiring::ALL {
            let outcome = run_wired(seed, Trace::Off, sabotage, wiring);
            assert!(outcome.findings.is_empty(), "seed {seed}, {wiring:?}:\n{}", in_words(&outcome));
        }
    }
}

#[test]
fn a_store_that_loses_messages_and_timers_is_noticed() {
    let sabotage = Sabotage { leak: Leak::TimersToo(3), ..Sabotage::default() };
    noticed(sabotage, 1);
}

/// The finding by which the sabotage is noticed, within a few seeds.
fn noticed(sabotage: Sabotage, invariant: u8) -> String {
    let outcomes = (0..20).map(|seed| run_sabotaged(seed, Trace::Off, sabotage));
    let mut findings = outcomes.flat_map(|outcome| outcome.findings);
    let finding = findings.find(|finding| finding.invariant == invariant);
    finding.expect("twenty seeds of sabotage went unnoticed").to_string()
}

fn in_words(outcome: &Outcome) -> String {
    outcome.findings.iter().map(|finding| format!("- {finding}\n")).collect()
}
