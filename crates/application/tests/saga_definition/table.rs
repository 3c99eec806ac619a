//! The table and the pictures made from it.

use std::collections::BTreeSet;

use application::saga::{EventKind, STATES, SagaState, TABLE, diagram, rule};

use super::sagas::is_over;

#[test]
fn the_table_has_a_rule_for_every_event_in_every_state() {
    let kinds: BTreeSet<EventKind> = TABLE.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds.len(), TABLE.len(), "each event has one line");
    for (kind, rules) in TABLE {
        for (state, expected) in STATES.into_iter().zip(rules) {
            assert_eq!(rule(state, kind), expected, "{kind:?} in {state}");
        }
    }
}

#[test]
fn every_state_is_a_column_and_the_columns_are_all_the_states() {
    assert_eq!(STATES.as_slice(), SagaState::ALL);
}

#[test]
fn every_state_is_reached_from_the_first_and_reaches_an_end() {
    let reached = closure(SagaState::Created);
    assert_eq!(reached.len(), STATES.len(), "{reached:?}");
    for state in STATES {
        assert!(is_over(state) || closure(state).into_iter().any(is_over), "{state} leads nowhere");
    }
}

/// Everything that some sequence of events leads to.
fn closure(from: SagaState) -> BTreeSet<SagaState> {
    let mut reached = BTreeSet::from([from]);
    loop {
        let next: BTreeSet<SagaState> = reached.iter().flat_map(|state| neighbours(*state)).collect();
        let before = reached.len();
        reached.extend(next);
        if reached.len() == before {
            return reached;
        }
    }
}

fn neighbours(state: SagaState) -> impl Iterator<Item = SagaState> {
    TABLE.into_iter().flat_map(move |(kind, _)| rule(state, kind).targets().iter().copied())
}

#[test]
fn names_of_events_are_told_apart() {
    let names: BTreeSet<&str> = TABLE.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(names.len(), TABLE.len());
}

#[test]
fn the_pictures_are_those_that_were_looked_at() {
    insta::assert_snapshot!("mermaid", diagram::mermaid());
    insta::assert_snapshot!("dot", diagram::dot());
    insta::assert_snapshot!("table", diagram::table());
}
