//! Laws of a single reaction, for every saga and every event, reachable or not.

use application::saga::{EventKind, SagaCommand, SagaEvent, SagaState, rule, timers};
use bus::{Outcome, Saga, TimerChange};
use domain::{Move, OrderStatus};
use jiff::Timestamp;
use proptest::prelude::*;

use super::sagas::{any_event, any_saga};

/// What a person or a clock wants is done each time it is wanted; everything else is a fact, and true but once.
fn is_fact(event: &SagaEvent) -> bool {
    !matches!(
        event.kind,
        EventKind::OperatorSkip
            | EventKind::OperatorRetry
            | EventKind::OperatorForce
            | EventKind::DeliveryPollDue
            | EventKind::UndoTimedOut
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn react_has_an_answer_to_everything_and_keeps_to_the_table(saga in any_saga(), event in any_event()) {
        let reaction = saga.react(&event, Timestamp::UNIX_EPOCH);
        let rule = rule(saga.state, event.kind);
        match reaction.outcome {
            Outcome::Moved => prop_assert!(
                reaction.next.state == saga.state || rule.targets().contains(&reaction.next.state),
                "{rule:?} led from {} to {}", saga.state, reaction.next.state
            ),
            Outcome::Ignored(_) | Outcome::Early | Outcome::Refused(_) => {
                prop_assert_eq!(&reaction.next, &saga);
                prop_assert!(reaction.commands.is_empty() && reaction.timers.is_empty());
            }
        }
    }

    #[test]
    fn a_fact_told_twice_changes_nothing_the_second_time(saga in any_saga(), event in any_event().prop_filter("only facts", is_fact)) {
        let once = saga.react(&event, Timestamp::UNIX_EPOCH);
        let twice = once.next.react(&event, Timestamp::UNIX_EPOCH);
        prop_assert_eq!(&twice.next, &once.next);
        prop_assert!(twice.commands.is_empty(), "asked again for {:?}", twice.commands);
    }

    #[test]
    fn the_answer_depends_on_nothing_but_saga_and_event(saga in any_saga(), event in any_event(), at in 0_i64..1 << 40) {
        let later = Timestamp::from_microsecond(at).expect("a moment within the calendar");
        prop_assert_eq!(saga.react(&event, Timestamp::UNIX_EPOCH), saga.react(&event, later));
    }

    #[test]
    fn what_identifies_an_order_never_changes(saga in any_saga(), event in any_event()) {
        let next = saga.react(&event, Timestamp::UNIX_EPOCH).next;
        prop_assert_eq!(next.order_id, saga.order_id);
        prop_assert_eq!(next.total, saga.total);
        prop_assert_eq!((next.version, next.created_at, next.expires_at), (saga.version, saga.created_at, saga.expires_at));
    }

    #[test]
    fn the_moves_asked_for_form_a_chain_from_the_old_status_to_the_new(saga in any_saga(), event in any_event()) {
        let reaction = saga.react(&event, Timestamp::UNIX_EPOCH);
        let mut status = saga.order;
        for command in &reaction.commands {
            if let SagaCommand::MoveOrder { from, to, .. } = *command {
                prop_assert_eq!(from, status);
                prop_assert_ne!(from.may_become(to), Move::NoOp);
                status = to;
            }
        }
        prop_assert_eq!(status, reaction.next.order);
    }

    #[test]
    fn whoever_reaches_the_end_leaves_no_undoing_and_no_undo_timer_behind(saga in any_saga(), event in any_event()) {
        let reaction = saga.react(&event, Timestamp::UNIX_EPOCH);
        let failed_now = reaction.next.state == SagaState::Failed && saga.state != SagaState::Failed;
        if failed_now {
            prop_assert_eq!(reaction.next.pending_undo(), None);
            prop_assert_eq!(reaction.next.order, OrderStatus::Cancelled);
            let undo_cancelled = reaction.timers.contains(&TimerChange::Cancel { name: timers::UNDO });
            prop_assert!(undo_cancelled, "its undo timer would still fire");
            let sets = reaction.timers.iter().any(|change| matches!(change, TimerChange::Set { .. }));
            prop_assert!(!sets, "a timer is set for an order that is over");
        }
    }

    #[test]
    fn a_timer_of_an_older_generation_is_told_apart(saga in any_saga(), by in 1_u32..) {
        let older = saga.timer_generation.wrapping_sub(by);
        for kind in [EventKind::DeliveryPollDue, EventKind::UndoTimedOut] {
            let reaction = saga.react(&SagaEvent::of(kind).of_generation(older), Timestamp::UNIX_EPOCH);
            prop_assert!(matches!(reaction.outcome, Outcome::Ignored(_)));
        }
    }
}
