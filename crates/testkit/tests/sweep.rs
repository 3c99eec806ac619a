//! Every durable step of a few scripted orders, crashed just before and just after; every message delivered twice; every
//! undoing failing from never to once too often. Each point is proven to have been reached.

mod scripted;

use std::sync::Arc;
use std::time::Duration;

use domain::{Capture, HoldPoint, WhenShort};
use orderwright_testkit::simulation::{
    Call, Consent, Event, HandOver, Honesty, Outcome, Script, UNDO_RETRIES_MAX, sku,
};

use self::scripted::{ChosenStep, Copies, Crash, Rules, one_order, perform, willing};

/// More than the longest scripted order has steps; past it the sweep itself is broken.
const STEPS_MAX: usize = 2_000;

/// A scripted order, and whether its end is the same whatever crashes.
struct Scenario {
    name: &'static str,
    script: Script,
    rules: fn() -> Rules,
    hand_over: HandOver,
    end: End,
}

/// What may come of a scenario when a worker dies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Only what comes of it anyway.
    Certain,
    /// It depends on who is quicker, the customer or the pipeline; but it is consistent.
    Race,
}

fn slow() -> Rules {
    Rules { latency: Duration::from_secs(1), ..Rules::new(willing) }
}

fn declining() -> Rules {
    Rules::new(|call, _| if call == Call::Charge { Consent::No } else { Consent::Yes })
}

/// The money is captured once the parcel is booked.
fn capturing_late(rules: Rules) -> Rules {
    Rules { capture: Capture::AtShipment, ..rules }
}

fn refusing_to_capture() -> Rules {
    capturing_late(Rules::new(|call, _| if call == Call::Capture { Consent::No } else { Consent::Yes }))
}

fn refusing() -> Rules {
    Rules::new(|call, _| if call == Call::Book { Consent::No } else { Consent::Yes })
}

fn mute_once() -> Rules {
    Rules { lost_answers: 1, ..Rules::new(willing) }
}

fn refusing_and_hard_to_undo() -> Rules {
    Rules { unanswered_undoings: 2, ..refusing() }
}

fn scenarios() -> Vec<Scenario> {
    [HandOver::ByQueue, HandOver::InUnit].into_iter().flat_map(scenarios_by).collect()
}

fn scenarios_by(hand_over: HandOver) -> Vec<Scenario> {
    let certain = |name, stock, rules: fn() -> Rules| Scenario {
        name,
        script: one_order(stock, None),
        rules,
        hand_over,
        end: End::Certain,
    };
    let regretted = |name, after_ms| Scenario {
        name,
        script: one_order(9, Some(Duration::from_millis(after_ms))),
        rules: slow,
        hand_over,
        end: End::Race,
    };
    let held = |name, holds: &[HoldPoint]| {
        let mut script = one_order(9, None);
        script.wishes[0].holds = holds.to_vec();
        Scenario { name, script, rules: || Rules::new(willing), hand_over, end: End::Certain }
    };
    let waits = |name, arrives: Option<Duration>| {
        let mut script = one_order(1, None);
        script.wishes[0].when_short = Some(WhenShort::Wait);
        script.events = arrives.into_iter().map(|after| (after, Event::Receipt(sku(0), 9))).collect();
        // Goods that come in while nobody is there to book them are not booked.
        let end = if arrives.is_some() { End::Race } else { End::Certain };
        Scenario { name, script, rules: || Rules::new(willing), hand_over, end }
    };
    vec![
        waits("short, and goods arrive", Some(Duration::from_secs(3))),
        waits("short, and nothing arrives", None),
        held("on hold before its payment", &[HoldPoint::Payment]),
        held(
            "on hold before both, twice before its parcel",
            &[HoldPoint::Shipping, HoldPoint::Payment, HoldPoint::Shipping],
        ),
        certain("authorised, and captured at the shipment", 9, || capturing_late(Rules::new(willing))),
        certain("authorised, and the first answers are lost", 9, || capturing_late(mute_once())),
        certain("authorised, and shipping is refused", 9, || capturing_late(refusing())),
        Scenario { rules: || capturing_late(slow()), ..regretted("authorised, and cancelled then", 1_500) },
        certain("all is well", 9, || Rules::new(willing)),
        certain("the payment is declined", 9, declining),
        certain("the stock is too small", 1, || Rules::new(willing)),
        certain("shipping is refused", 9, refusing),
        certain("the first answers are lost", 9, mute_once),
        certain("shipping is refused and the refund is hard to come by", 9, refusing_and_hard_to_undo),
        regretted("cancelled at once", 0),
        regretted("cancelled while the payment is under way", 500),
        regretted("cancelled while the booking is under way", 1_500),
        regretted("cancelled when the parcel is booked", 2_500),
    ]
}

fn run(scenario: &Scenario, crash: Crash, copies: Copies) -> (Outcome, Arc<ChosenStep>) {
    let (store, rules) = (
        ChosenStep::new(crash, copies),
        Arc::new(Rules { hand_over: scenario.hand_over, ..(scenario.rules)() }),
    );
    let outcome = perform(scenario.script.clone(), &store, &rules, 16);
    assert!(
        outcome.findings.is_empty(),
        "{}, {:?}, {crash:?}, {copies:?}:\n{}",
        scenario.name,
        scenario.hand_over,
        outcome.findings.iter().map(|finding| format!("- {finding}\n")).collect::<String>()
    );
    (outcome, store)
}

/// Every step that the scenario takes while it is undisturbed, crashed on either side. Returns how many there were.
fn crash_every_step(scenario: &Scenario) -> usize {
    let (undisturbed, recording) = run(scenario, Crash::Never, Copies::One);
    let steps = recording.steps();
    assert!(steps > 0 && steps < STEPS_MAX, "{}: {steps} steps", scenario.name);
    let mut reached = 0;
    for step in 0..steps {
        for crash in [Crash::Before(step), Crash::After(step)] {
            let (outcome, store) = run(scenario, crash, Copies::One);
            reached += store.struck();
            assert_eq!(outcome.crashes, 1, "{}, {crash:?}", scenario.name);
            if scenario.end == End::Certain {
                assert_eq!(outcome.ends, undisturbed.ends, "{}, {crash:?}", scenario.name);
            }
        }
    }
    assert_eq!(reached, 2 * steps, "{}: not every point was reached", scenario.name);
    reached
}

#[test]
fn a_crash_on_either_side_of_any_step_changes_nothing() {
    let scenarios = scenarios();
    let (first, second) = scenarios.split_at(scenarios.len() / 2);
    let points: usize = std::thread::scope(|scope| {
        let handles =
            [first, second].map(|half| scope.spawn(|| half.iter().map(crash_every_step).sum::<usize>()));
        handles.into_iter().map(|handle| handle.join().expect("a half of the sweep panicked")).sum()
    });
    println!("{points} crashes, each at a point of its own");
}

#[test]
fn every_message_may_arrive_twice_at_once_or_later() {
    for scenario in scenarios() {
        let (undisturbed, _) = run(&scenario, Crash::Never, Copies::One);
        for after_ms in [0, 300, 2_000, 30_000] {
            let (outcome, _) = run(&scenario, Crash::Never, Copies::Two(Duration::from_millis(after_ms)));
            if scenario.end == End::Certain {
                assert_eq!(outcome.ends, undisturbed.ends, "{}, repeated after {after_ms} ms", scenario.name);
            }
        }
    }
}

/// Each message of each scenario lost, and then one after the other as many of the first as there are: the database tells again
/// what only the broker had. Nobody is there to help.
#[test]
fn whatever_the_broker_loses_every_order_ends_by_itself() {
    for scenario in scenarios() {
        let (_, recording) = run(&scenario, Crash::Never, Copies::One);
        let count = recording.published();
        assert!(count > 0 && count < STEPS_MAX, "{}: {count} messages", scenario.name);
        for chosen in 0..count {
            run(&scenario, Crash::Never, Copies::OneButFor(chosen));
            run(&scenario, Crash::Never, Copies::NoneOfTheFirst(chosen + 1));
        }
    }
}

#[test]
fn an_undoing_may_fail_from_never_to_once_too_often() {
    let retries = usize::try_from(UNDO_RETRIES_MAX).expect("a few");
    for times in 0..=retries + 1 {
        let rules = Arc::new(Rules { unanswered_undoings: times, ..refusing() });
        let outcome = perform(one_order(9, None), &ChosenStep::new(Crash::Never, Copies::One), &rules, 16);
        assert!(outcome.findings.is_empty(), "a refund failing {times} times: {:?}", outcome.findings);
        assert_eq!(outcome.endings.cancelled, 1, "a refund failing {times} times");
        assert!(rules.calls(Call::CancelCharge) > times, "the last failure was never reached");
    }
}

#[test]
fn a_refund_of_less_than_was_taken_waits_for_a_person_and_is_done_when_tried_again() {
    let mut rules = refusing();
    rules.honesty = Honesty::RefundsShortAtFirst;
    let rules = Arc::new(rules);
    let outcome = perform(one_order(9, None), &ChosenStep::new(Crash::Never, Copies::One), &rules, 16);
    assert!(outcome.findings.is_empty(), "{:?}", outcome.findings);
    assert_eq!((outcome.endings.cancelled, outcome.endings.waived), (1, 0));
    assert_eq!(rules.calls(Call::CancelCharge), 2, "a person had it tried again");
}

#[test]
fn a_parcel_that_has_left_and_whose_money_is_refused_waits_for_a_person_who_lets_it_be() {
    let rules = Arc::new(refusing_to_capture());
    let outcome = perform(one_order(9, None), &ChosenStep::new(Crash::Never, Copies::One), &rules, 16);
    assert!(outcome.findings.is_empty(), "{:?}", outcome.findings);
    assert_eq!(outcome.endings.delivered, 1, "{:?}", outcome.ends);
}

#[test]
fn a_parcel_that_is_hard_to_call_back_is_called_back_or_delivered_all_the_same() {
    let retries = usize::try_from(UNDO_RETRIES_MAX).expect("a few");
    for times in 0..=retries + 1 {
        let rules = Arc::new(Rules { unanswered_undoings: times, ..slow() });
        let script = one_order(9, Some(Duration::from_millis(1_500)));
        let outcome = perform(script, &ChosenStep::new(Crash::Never, Copies::One), &rules, 16);
        assert!(outcome.findings.is_empty(), "a recall failing {times} times: {:?}", outcome.findings);
        assert!(rules.calls(Call::CancelParcel) > times, "the last failure was never reached");
    }
}
