//! A parcel is booked once, cancelled only before it is handed over, and delivered only after.

use super::*;
use proptest::prelude::*;

fn ask(reference: &str) -> BookingAsk {
    BookingAsk { reference: reference.into(), body_hash: crate::dice::hash(reference.as_bytes()) }
}

fn booked(shipments: &mut Shipments, key: &str) -> Departure {
    let (answer, departure) = shipments.book(key, &ask("order-1"), Verdict::Accept);
    answer.expect("booked");
    departure.expect("a first booking departs")
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Book(u8, Verdict),
    Cancel(u8),
    HandOver(u64),
    Deliver(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![3 => Just(Verdict::Accept), 1 => Just(Verdict::Refuse)];
    prop_oneof![
        (0u8..4, verdict).prop_map(|(key, verdict)| Step::Book(key, verdict)),
        (0u8..4).prop_map(Step::Cancel),
        (1u64..6).prop_map(Step::HandOver),
        (1u64..6).prop_map(Step::Deliver),
    ]
}

fn take(shipments: &mut Shipments, step: Step) {
    match step {
        Step::Book(key, verdict) => {
            let _ = shipments.book(&format!("ship-{key}"), &ask(&format!("order-{key}")), verdict);
        }
        Step::Cancel(key) => drop(shipments.cancel(&format!("ship-{key}"))),
        Step::HandOver(ordinal) => drop(shipments.hand_over(Departure(ordinal), 1)),
        Step::Deliver(ordinal) => drop(shipments.deliver(Departure(ordinal), 1)),
    }
}

proptest! {
    #[test]
    fn every_booked_parcel_is_under_way_or_cancelled_and_none_is_both(steps in prop::collection::vec(step(), 0..60)) {
        let mut shipments = Shipments::new(Dice::new(1), 1_000);
        steps.iter().for_each(|step| take(&mut shipments, *step));
        let counts = shipments.stats();
        prop_assert!(counts.cancelled + counts.handed_over <= counts.booked);
        prop_assert!(counts.delivered <= counts.handed_over);
        prop_assert_eq!(counts.references_shipped_twice, 0);
    }

    #[test]
    fn a_cancelled_key_is_never_booked_or_delivered_afterwards(steps in prop::collection::vec(step(), 0..40)) {
        let mut shipments = Shipments::new(Dice::new(1), 1_000);
        shipments.cancel("ship-0").expect("an unknown key can be closed");
        steps.iter().for_each(|step| take(&mut shipments, *step));
        prop_assert_eq!(shipments.look_up("ship-0").map(|_| ()), Err(Problem::UnknownKey));
        let (answer, departure) = shipments.book("ship-0", &ask("order-0"), Verdict::Accept);
        prop_assert_eq!((answer.map(|_| ()), departure), (Err(Problem::KeyClosed), None));
    }
}

#[test]
fn a_parcel_handed_over_can_no_longer_be_cancelled() {
    let mut shipments = Shipments::new(Dice::new(1), 10);
    let departure = booked(&mut shipments, "k");
    shipments.hand_over(departure, 1).expect("an event");
    assert_eq!(shipments.cancel("k"), Err(Problem::AlreadyHandedOver));
    shipments.deliver(departure, 2).expect("an event");
    assert_eq!(shipments.cancel("k"), Err(Problem::AlreadyHandedOver));
}

#[test]
fn a_cancelled_parcel_stays_where_it_is_and_says_so_each_time() {
    let mut shipments = Shipments::new(Dice::new(1), 10);
    let departure = booked(&mut shipments, "k");
    for _ in 0..2 {
        assert_eq!(shipments.cancel("k"), Ok(RecallOutcome::Cancelled));
    }
    assert!(shipments.hand_over(departure, 1).is_none());
    assert_eq!(shipments.stats().cancelled, 1);
}

#[test]
fn a_repeat_departs_once_and_a_second_live_shipment_of_an_order_is_counted() {
    let mut shipments = Shipments::new(Dice::new(1), 10);
    booked(&mut shipments, "k");
    let (again, departure) = shipments.book("k", &ask("order-1"), Verdict::Accept);
    assert!(again.is_ok() && departure.is_none());
    assert_eq!(shipments.stats().references_shipped_twice, 0);
    booked(&mut shipments, "other");
    assert_eq!(shipments.stats().references_shipped_twice, 1);
}
