//! Laws first: whatever is done in whatever order, money is conserved and a key is charged once.

use super::*;
use crate::charge::{Capture, RefundRule};
use crate::events::EventData;
use proptest::prelude::*;

fn payments() -> Payments {
    Payments::new(Dice::new(1), 1_000)
}

fn ask(reference: &str, amount_minor: i64, capture: Capture) -> ChargeAsk {
    let currency = Currency::parse("USD").expect("a currency");
    let body_hash = crate::dice::hash(format!("{reference} {amount_minor} {capture:?}").as_bytes());
    ChargeAsk {
        holds_micros: 1_000_000,
        reference: reference.into(),
        amount_minor,
        currency,
        capture,
        refund_rule: RefundRule::Works,
        capture_rule: CaptureRule::Works,
        body_hash,
    }
}

fn charge(payments: &mut Payments, key: &str, capture: Capture) -> Outcome<ChargeView> {
    payments.charge(key, ask("order-1", 500, capture), Verdict::Accept, 7)
}

fn json(view: &impl Serialize) -> String {
    serde_json::to_string(view).expect("a view is JSON")
}

#[derive(Debug, Clone)]
enum Step {
    Charge(u8, i64, Capture, Verdict),
    Capture(u8, Option<i64>),
    Refund(u8, u8, i64, RefundVerdict),
    Cancel(u8, RefundVerdict),
}

fn step() -> impl Strategy<Value = Step> {
    let refund = prop_oneof![Just(RefundVerdict::Accept), Just(RefundVerdict::Refuse)];
    let capture = prop_oneof![Just(Capture::Now), Just(Capture::Later)];
    let verdict = prop_oneof![3 => Just(Verdict::Accept), 1 => Just(Verdict::Refuse)];
    prop_oneof![
        (0u8..4, 1i64..100, capture, verdict).prop_map(|(k, a, c, v)| Step::Charge(k, a, c, v)),
        (0u8..4, prop::option::of(1i64..100)).prop_map(|(k, a)| Step::Capture(k, a)),
        (0u8..4, 0u8..3, 1i64..100, refund.clone()).prop_map(|(k, r, a, v)| Step::Refund(k, r, a, v)),
        (0u8..4, refund).prop_map(|(k, v)| Step::Cancel(k, v)),
    ]
}

fn take(payments: &mut Payments, step: &Step) -> (String, Option<Event>) {
    let key = |k: &u8| format!("pay-{k}");
    match step {
        Step::Charge(k, amount, capture, verdict) => {
            let ask = ask(&format!("order-{k}"), *amount, *capture);
            let (answer, event) = payments.charge(&key(k), ask, *verdict, 1);
            (format!("{:?}", answer.map(|view| json(&view))), event)
        }
        Step::Capture(k, amount) => {
            let (answer, event) = payments.capture(&key(k), *amount, 1);
            (format!("{:?}", answer.map(|view| json(&view))), event)
        }
        Step::Refund(k, refund, amount, verdict) => {
            let (answer, event) = payments.refund(&key(k), &format!("ref-{refund}"), *amount, *verdict, 1);
            (format!("{:?}", answer.map(|view| json(&view))), event)
        }
        Step::Cancel(k, verdict) => {
            let (answer, event) = payments.cancel(&key(k), *verdict, 1);
            (format!("{answer:?}"), event)
        }
    }
}

fn announced(events: &[Event], kind: EventKind) -> i64 {
    let amount = |event: &Event| match &event.data {
        EventData::Payment(data) => data.amount_minor,
        EventData::Shipment(_) => 0,
    };
    events.iter().filter(|event| event.kind == kind).map(amount).sum()
}

proptest! {
    #[test]
    fn tallies_charges_and_announcements_agree_and_no_key_is_charged_twice(steps in prop::collection::vec(step(), 0..60)) {
        let mut payments = payments();
        let events: Vec<Event> = steps.iter().filter_map(|step| take(&mut payments, step).1).collect();
        let (rows, next) = payments.page(0, 100);
        let captured: i64 = rows.iter().map(|row| row.charge.captured_minor).sum();
        let refunded: i64 = rows.iter().map(|row| row.charge.refunded_minor).sum();
        let stats = payments.stats();
        let tally = stats.money.get("USD").copied().unwrap_or_default();
        prop_assert_eq!((tally.captured_minor, tally.refunded_minor, next), (captured, refunded, None));
        prop_assert_eq!(announced(&events, EventKind::PaymentCaptured), captured);
        prop_assert_eq!(announced(&events, EventKind::PaymentRefunded), refunded);
        prop_assert!(rows.iter().all(|row| row.charge.refunded_minor <= row.charge.captured_minor));
        prop_assert!(rows.iter().all(|row| row.charge.captured_minor <= row.charge.amount_minor));
        prop_assert_eq!((stats.keys_charged_twice, stats.references_charged_twice), (0, 0));
        let ids: std::collections::HashSet<&str> = events.iter().map(|event| event.id.as_str()).collect();
        prop_assert_eq!(ids.len(), events.len());
    }

    #[test]
    fn a_step_repeated_at_once_gets_the_same_answer_and_announces_nothing(steps in prop::collection::vec(step(), 0..40)) {
        let mut payments = payments();
        for step in &steps {
            let first = take(&mut payments, step).0;
            let before = payments.stats();
            let (second, event) = take(&mut payments, step);
            prop_assert_eq!(first, second, "{:?}", step);
            prop_assert!(event.is_none());
            prop_assert_eq!(before, payments.stats());
        }
    }

    #[test]
    fn a_cancelled_key_holds_no_money_and_never_charges_again(
        before in prop::collection::vec(step(), 0..20),
        after in prop::collection::vec(step(), 0..20),
    ) {
        let mut payments = payments();
        charge(&mut payments, "pay-0", Capture::Now).0.expect("captured");
        before.iter().for_each(|step| drop(take(&mut payments, step)));
        prop_assert!(payments.cancel("pay-0", RefundVerdict::Accept, 1).0.is_ok());
        after.iter().for_each(|step| drop(take(&mut payments, step)));
        let held = payments.look_up("pay-0").map_or(0, |view| view.captured_minor - view.refunded_minor);
        prop_assert_eq!(held, 0);
        let again = charge(&mut payments, "pay-0", Capture::Now).0.map(|_| ());
        prop_assert_eq!(again, Err(Problem::KeyClosed));
    }
}

#[test]
fn a_repeat_gets_the_first_answer_even_after_the_charge_moved_on() {
    let mut payments = payments();
    let first = json(&charge(&mut payments, "k", Capture::Later).0.expect("authorised"));
    payments.capture("k", None, 8).0.expect("captured");
    let again = json(&charge(&mut payments, "k", Capture::Later).0.expect("the first answer"));
    assert_eq!(first, again);
    assert_eq!(payments.look_up("k").map(|view| view.captured_minor), Ok(500));
}

#[test]
fn the_same_key_with_another_body_is_refused() {
    let mut payments = payments();
    charge(&mut payments, "k", Capture::Now).0.expect("captured");
    let other = payments.charge("k", ask("order-1", 501, Capture::Now), Verdict::Accept, 7).0;
    assert_eq!(other.map(|_| ()), Err(Problem::KeyReused));
}

#[test]
fn one_reference_charged_under_two_keys_is_counted_against_the_client() {
    let mut payments = payments();
    for key in ["a", "b", "c"] {
        charge(&mut payments, key, Capture::Now).0.expect("captured");
    }
    let stats = payments.stats();
    assert_eq!(
        (stats.references_charged_twice, stats.keys_charged_twice, stats.charges_per_key_max),
        (1, 0, 1)
    );
}

#[test]
fn a_refund_that_always_fails_leaves_the_money_and_the_key_as_they_were() {
    let mut payments = payments();
    let ask = ChargeAsk { refund_rule: RefundRule::Fails, ..ask("order-1", 500, Capture::Now) };
    payments.charge("k", ask, Verdict::Accept, 7).0.expect("captured");
    for _ in 0..3 {
        assert_eq!(payments.cancel("k", RefundVerdict::Accept, 8).0, Err(Problem::RefundUnavailable));
    }
    assert_eq!(payments.look_up("k").map(|view| view.status), Ok(Standing::Captured));
}

#[test]
fn a_full_book_of_authorised_charges_takes_no_more() {
    let mut payments = Payments::new(Dice::new(1), 2);
    for key in ["a", "b"] {
        charge(&mut payments, key, Capture::Later).0.expect("authorised");
    }
    assert_eq!(charge(&mut payments, "c", Capture::Later).0.map(|_| ()), Err(Problem::HistoryFull));
    payments.cancel("a", RefundVerdict::Accept, 8).0.expect("voided");
    assert!(charge(&mut payments, "c", Capture::Later).0.is_ok());
}
