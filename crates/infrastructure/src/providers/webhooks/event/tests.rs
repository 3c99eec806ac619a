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

fn news_of(event: &str) -> News {
    parse_batch(&batch(&[event.to_owned()])).expect("a batch").remove(0).news
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
            let malformed = event.news == News::Malformed { kind: "payment.captured".to_owned() };
            prop_assert_eq!(malformed, at == position);
        }
    }
}

#[test]
fn every_kind_of_news_is_read() {
    let money = r#""charge_id":"ch_1","amount_minor":1250,"currency":"USD","status":"any""#;
    let parcel = r#""shipment_id":"sh_1","tracking_number":"T1","status":"any""#;
    let charge_reference = "ch_1".to_owned();
    let cases = [
        (
            payment("payment.captured", money),
            News::PaymentCaptured { charge_reference: charge_reference.clone(), amount: usd(1250) },
        ),
        (payment("payment.refunded", money), News::PaymentRefunded { charge_reference, amount: usd(1250) }),
        (payment("payment.declined", money), News::PaymentDeclined { code: "declined".to_owned() }),
        (
            payment("payment.declined", r#""code":"card_expired""#),
            News::PaymentDeclined { code: "card_expired".to_owned() },
        ),
        (
            payment("shipment.in_transit", parcel),
            News::ShipmentInTransit { tracking_number: "T1".to_owned() },
        ),
        (payment("shipment.delivered", parcel), News::ShipmentDelivered { tracking_number: "T1".to_owned() }),
        (payment("payment.disputed", money), News::Unknown { kind: "payment.disputed".to_owned() }),
    ];
    for (event, news) in cases {
        assert_eq!(news_of(&event), news, "{event}");
    }
}

#[test]
fn an_event_keeps_its_id_its_time_and_whom_it_is_about() {
    let event = parse_batch(&batch(&[payment("payment.declined", r#""x":1"#)])).expect("a batch").remove(0);
    assert_eq!((event.id.as_str(), event.occurred_at.as_second()), ("evt_1", 1_700_000_000));
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
        assert!(matches!(news_of(&event), News::Malformed { .. }), "{event}");
    }
}

#[test]
fn a_batch_is_bounded() {
    let event = payment("payment.declined", r#""x":1"#);
    let full = vec![event; limits::EVENTS_PER_BATCH_MAX];
    assert_eq!(parse_batch(&batch(&full)).expect("a batch").len(), limits::EVENTS_PER_BATCH_MAX);
    let overfull = [full, vec![payment("payment.declined", r#""x":1"#)]].concat();
    assert!(matches!(parse_batch(&batch(&overfull)), Err(BatchRefused::TooMany { .. })));
    let long = payment("payment.declined", &format!(r#""code":"{}""#, "x".repeat(256)));
    assert!(matches!(news_of(&long), News::Malformed { .. }));
}

#[test]
fn what_is_no_batch_is_refused() {
    for body in ["", "{}", "[]", r#"{"events":{}}"#, r#"{"events":[{"id":"e"}]}"#, r#"{"events":[]"#] {
        assert!(matches!(parse_batch(body.as_bytes()), Err(BatchRefused::Malformed(_))), "{body:?}");
    }
    assert!(parse_batch(br#"{"events":[]}"#).is_ok_and(|events| events.is_empty()));
}
