//! What batches of events are read as, whatever is in them. Speaks to no provider.

use proptest::prelude::*;

use super::*;

fn payment(kind: &str, rest: &str) -> String {
    format!(
        r#"{{"id":"evt_1","type":"{kind}","created_at":1700000000000000,"data":{{"reference":"order-1","idempotency_key":"pay-1",{rest}}}}}"#
    )
}

fn batch(events: &[String]) -> Vec<u8> {
    format!(r#"{{"events":[{}]}}"#, events.join(",")).into_bytes()
}

fn kind_of(event: &str) -> NewsKind {
    parse_batch(&batch(&[event.to_owned()])).expect("a batch").remove(0).kind
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::parse("USD").expect("a currency"))
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body: Vec<u8>) {
        let _ = parse_batch(&body);
    }

    #[test]
    fn an_event_that_makes_no_sense_does_not_take_the_others_with_it(
        position in 0..3_usize,
        data in prop::sample::select(vec!["{}", "null", "7", "[]", r#"{"charge_id":5}"#, r#"{"currency":"ZZZ"}"#]),
    ) {
        let good = payment("payment.captured", r#""charge_id":"ch_1","amount_minor":5,"currency":"USD""#);
        let mut events = vec![good.clone(), good];
        events.insert(position, format!(r#"{{"id":"evt_2","type":"payment.captured","created_at":1,"data":{data}}}"#));
        let read = parse_batch(&batch(&events)).expect("a batch");
        for (at, event) in read.iter().enumerate() {
            let malformed = matches!(event.kind, NewsKind::Malformed { .. });
            prop_assert_eq!(&event.type_name, "payment.captured");
            prop_assert_eq!(malformed, at == position);
        }
    }
}

/// Every word that is known, with what it is taken for.
fn every_kind() -> Vec<(String, NewsKind)> {
    let money = r#""charge_id":"ch_1","amount_minor":1250,"currency":"USD","status":"any""#;
    let with_total = r#""charge_id":"ch_1","amount_minor":250,"refunded_minor":750,"currency":"USD""#;
    let parcel = r#""shipment_id":"sh_1","tracking_number":"T1","status":"any""#;
    let (reference, tracking_number) = ("ch_1".to_owned(), "T1".to_owned());
    let disputed = |dispute| NewsKind::PaymentDisputed { dispute, reference: Some(reference.clone()) };
    let troubled = |trouble| NewsKind::ShipmentTroubled { trouble, tracking_number: tracking_number.clone() };
    let declined = |code: &str| NewsKind::PaymentDeclined { code: code.to_owned() };
    let lapsed = |code: &str| NewsKind::PaymentLapsed { code: code.to_owned() };
    vec![
        (
            payment("payment.captured", money),
            NewsKind::PaymentCaptured { reference: reference.clone(), amount: usd(1250) },
        ),
        (
            payment("payment.refunded", money),
            NewsKind::PaymentRefunded { reference: reference.clone(), amount: usd(1250), total: None },
        ),
        (
            payment("payment.partially_refunded", with_total),
            NewsKind::PaymentRefunded {
                reference: reference.clone(),
                amount: usd(250),
                total: Some(usd(750)),
            },
        ),
        (payment("payment.declined", money), declined("declined")),
        (payment("payment.declined", r#""code":"card_expired""#), declined("card_expired")),
        (payment("payment.declined", r#""code":"expired""#), declined("expired")),
        (payment("payment.expired", r#""x":1"#), lapsed("expired")),
        (payment("payment.expired", r#""code":"card_expired""#), lapsed("expired")),
        (payment("payment.voided", r#""x":1"#), lapsed("voided")),
        (payment("payment.disputed", money), disputed(Dispute::Open)),
        (payment("payment.dispute_lost", money), disputed(Dispute::Lost)),
        (payment("payment.dispute_closed", r#""charge_id":"ch_1","outcome":"won""#), disputed(Dispute::Won)),
        (payment("payment.dispute.closed", r#""charge_id":"ch_1","status":"lost""#), disputed(Dispute::Lost)),
        (
            payment("shipment.in_transit", parcel),
            NewsKind::ShipmentInTransit { tracking_number: tracking_number.clone() },
        ),
        (
            payment("shipment.delivered", parcel),
            NewsKind::ShipmentDelivered { tracking_number: tracking_number.clone() },
        ),
        (payment("shipment.exception", parcel), troubled(ParcelTrouble::Exception)),
        (payment("shipment.delivery_failed", parcel), troubled(ParcelTrouble::Exception)),
        (payment("shipment.held", parcel), troubled(ParcelTrouble::Exception)),
        (payment("shipment.lost", parcel), troubled(ParcelTrouble::Lost)),
        (payment("shipment.damaged", parcel), troubled(ParcelTrouble::Damaged)),
        (payment("shipment.return-to-sender", parcel), troubled(ParcelTrouble::Returned)),
    ]
}

#[test]
fn every_kind_of_news_is_read() {
    for (event, kind) in every_kind() {
        assert_eq!(kind_of(&event), kind, "{event}");
    }
}

#[test]
fn what_nobody_knows_is_handed_on_with_what_it_told() {
    let event = payment("payment.sliced", r#""charge_id":"ch_1","slices":3"#);
    let NewsKind::Unknown { told } = kind_of(&event) else { panic!("{event} is not known") };
    assert!(told.contains(r#""slices":3"#), "{told}");
    let control =
        payment("payment.captured", r#""charge_id":"ch\u0000_1","amount_minor":5,"currency":"USD""#);
    let NewsKind::PaymentCaptured { reference, .. } = kind_of(&control) else { panic!("{control}") };
    assert_eq!(reference, "ch\u{fffd}_1", "no control character goes on from here");
}

#[test]
fn an_event_keeps_its_id_its_time_and_whom_it_is_about() {
    let event = parse_batch(&batch(&[payment("payment.declined", r#""x":1"#)])).expect("a batch").remove(0);
    assert_eq!((event.event_id.as_str(), event.occurred_at.as_second()), ("evt_1", 1_700_000_000));
    assert_eq!((event.reference.as_str(), event.idempotency_key.as_str()), ("order-1", "pay-1"));
}

#[test]
fn news_without_what_it_must_tell_is_malformed() {
    let cases = [
        payment("payment.captured", r#""charge_id":"ch_1","amount_minor":0,"currency":"USD""#),
        payment("payment.captured", r#""charge_id":"ch_1","amount_minor":5"#),
        payment("shipment.delivered", r#""status":"delivered""#),
        r#"{"id":"e","type":"payment.declined","created_at":1,"data":{"reference":"o"}}"#.to_owned(),
        r#"{"id":"e","type":"payment.declined","created_at":9223372036854775807,"data":{"idempotency_key":"p"}}"#
            .to_owned(),
    ];
    for event in cases {
        assert!(matches!(kind_of(&event), NewsKind::Malformed { .. }), "{event}");
    }
}

#[test]
fn an_event_that_is_none_is_told_by_itself_and_takes_no_other_with_it() {
    let good = r#"{"id":"evt_9","type":"payment.disputed","created_at":1,"data":{"reference":"o","idempotency_key":"pay-o"}}"#;
    let bad = [
        r#"{"id":"evt_1","type":"payment.captured","data":{"reference":"o"}}"#,
        r#"{"id":"evt_1","type":"payment.captured","created_at":"soon"}"#,
        r#"{"id":"evt_1","type":"payment.captured","created_at":1.5}"#,
        r#"{"id":7,"type":"payment.captured","created_at":1}"#,
        r#"{"id":"evt_1","created_at":1}"#,
        r#"{}"#,
        "7",
        "[]",
        "null",
    ];
    let mut named = std::collections::BTreeSet::new();
    for event in bad {
        let body = format!(r#"{{"events":[{event},{good}]}}"#);
        let read = parse_batch(body.as_bytes()).expect("a batch");
        assert_eq!(read.len(), 2, "{event}");
        assert!(matches!(read[0].kind, NewsKind::Malformed { .. }), "{event}: {:?}", read[0]);
        assert!(!read[0].event_id.is_empty(), "{event}");
        assert_eq!(read[1].event_id, "evt_9");
        assert!(matches!(read[1].kind, NewsKind::PaymentDisputed { .. }), "{event}");
        named.insert(read[0].event_id.clone());
    }
    assert!(named.len() > 4, "what has no name gets one of its own: {named:?}");
}

#[test]
fn a_batch_is_bounded() {
    let event = payment("payment.declined", r#""x":1"#);
    let full = vec![event; limits::EVENTS_PER_BATCH_MAX];
    assert_eq!(parse_batch(&batch(&full)).expect("a batch").len(), limits::EVENTS_PER_BATCH_MAX);
    let overfull = [full, vec![payment("payment.declined", r#""x":1"#)]].concat();
    assert!(matches!(parse_batch(&batch(&overfull)), Err(BatchRefused::TooMany { .. })));
    let long = payment("payment.declined", &format!(r#""code":"{}""#, "x".repeat(256)));
    assert!(matches!(kind_of(&long), NewsKind::Malformed { .. }));
}

#[test]
fn what_is_no_batch_is_refused() {
    for body in ["", "{}", "[]", r#"{"events":{}}"#, r#"{"events":[]"#] {
        assert!(matches!(parse_batch(body.as_bytes()), Err(BatchRefused::Malformed(_))), "{body:?}");
    }
    assert!(parse_batch(br#"{"events":[]}"#).is_ok_and(|events| events.is_empty()));
}
