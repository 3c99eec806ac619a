//! Laws of a single reaction, for every saga and every event, reachable or not.

use application::saga::{
    Attention, EventKind, OrderProcessingSaga, PaymentStep, SagaCommand, SagaEvent, SagaState, ShipmentStep,
    Undo, rule, timers,
};
use bus::{Outcome, Reaction, Saga, TimerChange};
use domain::{Currency, HoldPoint, Money, Move, OrderId, OrderStatus};
use jiff::Timestamp;
use proptest::prelude::*;

use super::sagas::{any_event, any_saga, attentions};

/// What a person or a clock wants is done each time it is wanted; everything else is a fact, and true but once.
fn is_fact(event: &SagaEvent) -> bool {
    !matches!(
        event.kind,
        EventKind::OperatorSkip
            | EventKind::OperatorRetry
            | EventKind::OperatorForce
            | EventKind::DeliveryPollDue
            | EventKind::CaptureTimedOut
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
        prop_assert_eq!((next.version, next.created_at, next.expires_at, next.capture), (saga.version, saga.created_at, saga.expires_at, saga.capture));
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
}

/// A paid order whose parcel was asked for, and one whose parcel is on its way.
fn paid() -> OrderProcessingSaga {
    let total = Money::new(450, Currency::parse("EUR").expect("a known currency"));
    let begun = OrderProcessingSaga::start(
        OrderId(uuid::Uuid::nil()),
        total,
        Timestamp::UNIX_EPOCH,
        Timestamp::UNIX_EPOCH,
    );
    told(
        &begun,
        &[
            EventKind::OrderValidated,
            EventKind::InventoryReserved,
            EventKind::PaymentStarted,
            EventKind::PaymentCaptured,
        ],
    )
}

fn told(saga: &OrderProcessingSaga, events: &[EventKind]) -> OrderProcessingSaga {
    let tell = |saga: OrderProcessingSaga, kind: &EventKind| {
        saga.react(&SagaEvent::of(*kind), Timestamp::UNIX_EPOCH).next
    };
    events.iter().fold(saga.clone(), tell)
}

#[test]
fn an_order_goes_on_only_when_each_question_about_it_is_answered() {
    use EventKind::{
        DisputeLost, DisputeWon, MoneyReturnedInPart, ParcelDelayed, ParcelDelivered, ParcelLost,
        ParcelReturned, PaymentDisputed, SecondCharge, SecondChargeReturned,
    };
    let shipped = told(&paid(), &[EventKind::ShipmentBooked]);
    assert_eq!((paid().state, shipped.state), (SagaState::Paid, SagaState::Shipped));
    let cases: [(&OrderProcessingSaga, &[EventKind], &[Attention]); 8] = [
        (&paid(), &[PaymentDisputed, SecondCharge, SecondChargeReturned], &[Attention::Disputed]),
        (&paid(), &[MoneyReturnedInPart, PaymentDisputed, DisputeWon], &[Attention::PartlyRefunded]),
        (&paid(), &[PaymentDisputed, MoneyReturnedInPart, DisputeWon], &[Attention::PartlyRefunded]),
        (&paid(), &[SecondCharge, PaymentDisputed, DisputeWon], &[Attention::SecondCharge]),
        (&paid(), &[PaymentDisputed, DisputeLost], &[Attention::DisputeLost]),
        (&shipped, &[ParcelReturned, ParcelDelayed, ParcelDelivered], &[Attention::ParcelReturned]),
        (&shipped, &[PaymentDisputed, ParcelLost, ParcelDelivered], &[Attention::Disputed]),
        (&shipped, &[ParcelLost, ParcelDelayed, ParcelDelivered], &[]),
    ];
    for (saga, events, left) in cases {
        let saga = told(saga, events);
        assert_eq!(saga.attention, attentions(left), "{events:?}");
        let stands = if left.is_empty() { SagaState::Completed } else { SagaState::NeedsAttention };
        assert_eq!(saga.state, stands, "{events:?}");
    }
}

#[test]
fn money_that_a_bank_decides_about_or_has_taken_is_never_refunded_beside() {
    let disputed = told(&paid(), &[EventKind::PaymentDisputed]);
    let refused = disputed.react(&SagaEvent::of(EventKind::CancelRequested), Timestamp::UNIX_EPOCH);
    assert!(matches!(refused.outcome, Outcome::Refused(_)), "{:?}", refused.outcome);
    let lost = told(&disputed, &[EventKind::DisputeLost]);
    for choice in [EventKind::CancelRequested, EventKind::OperatorRetry, EventKind::OperatorSkip] {
        let after = told(&lost, &[choice]);
        assert_ne!(after.pending_undo(), Some(Undo::RefundPayment), "{choice:?}");
        assert_eq!(after.state, SagaState::Compensating, "its parcel is called back: {choice:?}");
        let ended = told(&after, &[EventKind::ShipmentCancelled]);
        assert_eq!((ended.state, ended.order), (SagaState::Failed, OrderStatus::Cancelled), "{choice:?}");
    }
}

#[test]
fn a_parcel_that_arrives_after_its_order_was_cancelled_is_a_persons_case() {
    let cancelled = told(
        &paid(),
        &[EventKind::CancelRequested, EventKind::ShipmentCancelled, EventKind::PaymentRefunded],
    );
    assert_eq!(cancelled.state, SagaState::Failed);
    let arrived = told(&cancelled, &[EventKind::ParcelDelivered, EventKind::ParcelDelivered]);
    assert_eq!(
        (arrived.state, arrived.attention),
        (SagaState::NeedsAttention, attentions(&[Attention::DeliveredThoughCancelled]))
    );
    let seen = told(&arrived, &[EventKind::OperatorSkip]);
    assert_eq!((seen.state, seen.order), (SagaState::Failed, OrderStatus::Cancelled));
}

/// A hold before this step is placed, or the last one is released.
fn held(saga: &OrderProcessingSaga, kind: EventKind, before: HoldPoint) -> Reaction<OrderProcessingSaga> {
    saga.react(&SagaEvent::of(kind).before(before), Timestamp::UNIX_EPOCH)
}

#[test]
fn an_order_on_hold_asks_for_nothing_and_has_no_limit_until_its_last_hold_before_that_step_is_released() {
    let begun = OrderProcessingSaga::start(
        OrderId(uuid::Uuid::nil()),
        Money::new(450, Currency::parse("EUR").expect("a known currency")),
        Timestamp::UNIX_EPOCH,
        Timestamp::UNIX_EPOCH,
    );
    let validated = told(&begun, &[EventKind::OrderValidated]);
    let both =
        HoldPoint::ALL.iter().fold(validated, |saga, point| held(&saga, EventKind::HoldPlaced, *point).next);
    let reserved = both.react(&SagaEvent::of(EventKind::InventoryReserved), Timestamp::UNIX_EPOCH);
    assert_eq!((reserved.next.state, reserved.commands.len()), (SagaState::OnHold, 0));
    assert_eq!(reserved.timers, [TimerChange::Cancel { name: timers::ORDER }]);

    let shipping_first = held(&reserved.next, EventKind::HoldReleased, HoldPoint::Shipping);
    assert_eq!((shipping_first.next.state, shipping_first.commands.len()), (SagaState::OnHold, 0));
    let paying = held(&reserved.next, EventKind::HoldReleased, HoldPoint::Payment);
    assert_eq!(paying.next.state, SagaState::InventoryReserved);
    assert_eq!(paying.commands, [SagaCommand::RequestPayment]);
    let begins_anew = |reaction: &Reaction<OrderProcessingSaga>| {
        reaction.timers.iter().any(|change| matches!(change, TimerChange::Set { name: timers::ORDER, .. }))
    };
    assert!(begins_anew(&paying), "{:?}", paying.timers);

    let paid = paying.next.react(&SagaEvent::of(EventKind::PaymentCaptured), Timestamp::UNIX_EPOCH);
    assert_eq!((paid.next.state, paid.next.order), (SagaState::OnHold, OrderStatus::Paid));
    assert!(!paid.commands.contains(&SagaCommand::RequestShipping), "{:?}", paid.commands);
    let booking = held(&paid.next, EventKind::HoldReleased, HoldPoint::Shipping);
    assert_eq!(
        (booking.next.state, &*booking.commands),
        (SagaState::Paid, &[SagaCommand::RequestShipping][..])
    );
    assert!(begins_anew(&booking), "{:?}", booking.timers);
}

#[test]
fn it_is_too_late_for_a_hold_once_its_step_is_asked_for_or_the_order_is_undone() {
    let requested = OrderProcessingSaga {
        state: SagaState::InventoryReserved,
        order: OrderStatus::Validated,
        payment: PaymentStep::Requested,
        shipment: ShipmentStep::None,
        ..paid()
    };
    let shipped = told(&paid(), &[EventKind::ShipmentBooked]);
    let delivered = told(&shipped, &[EventKind::ParcelDelivered]);
    let cancelled = told(&paid(), &[EventKind::CancelRequested]);
    let cases = [
        (&requested, HoldPoint::Payment, "place the hold before its shipping"),
        (&paid(), HoldPoint::Payment, "carrier was asked"),
        (&paid(), HoldPoint::Shipping, "carrier was asked"),
        (&shipped, HoldPoint::Shipping, "on its way"),
        (&delivered, HoldPoint::Payment, "is delivered"),
        (&cancelled, HoldPoint::Shipping, "is being cancelled"),
    ];
    for (saga, point, why) in cases {
        let refused = held(saga, EventKind::HoldPlaced, point);
        assert!(
            matches!(refused.outcome, Outcome::Refused(text) if text.contains(why)),
            "{:?}",
            refused.outcome
        );
    }
}

#[test]
fn a_dispute_of_an_order_on_hold_comes_first_and_the_hold_is_not_forgotten() {
    let begun = told(&paid(), &[]);
    let held_back = OrderProcessingSaga {
        state: SagaState::OnHold,
        shipment: ShipmentStep::None,
        holds: [HoldPoint::Shipping].into_iter().collect(),
        ..begun
    };
    let disputed = told(&held_back, &[EventKind::PaymentDisputed]);
    assert_eq!(disputed.state, SagaState::NeedsAttention);
    assert_eq!(told(&disputed, &[EventKind::DisputeWon]).state, SagaState::OnHold);
    let released = held(&disputed, EventKind::HoldReleased, HoldPoint::Shipping).next;
    let won = released.react(&SagaEvent::of(EventKind::DisputeWon), Timestamp::UNIX_EPOCH);
    assert_eq!((won.next.state, won.commands), (SagaState::Paid, vec![SagaCommand::RequestShipping]));
}
