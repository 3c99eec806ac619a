//! What a gateway says of charges, refunds and its list of them.

use super::*;

#[tokio::test]
async fn a_charge_ends_as_the_gateway_says() {
    let reference = "ch_1".to_owned();
    let cases = [
        (
            201,
            charge_json("captured"),
            Ok(ChargeOutcome::Captured { reference: reference.clone(), refunded_minor: 0 }),
        ),
        (
            201,
            charge_json("authorised"),
            Ok(ChargeOutcome::Authorised { reference: reference.clone(), until: None }),
        ),
        (
            201,
            charge_json("authorised").replacen('{', "{\"authorised_until\": 1000000,", 1),
            Ok(ChargeOutcome::Authorised {
                reference: reference.clone(),
                until: Some(Timestamp::from_second(1).expect("a moment")),
            }),
        ),
        (202, charge_json("pending"), Err(unknown("the gateway has not decided yet"))),
        (200, charge_json("processing"), Err(unknown("the gateway has not decided yet"))),
        (200, charge_json("refunded"), Ok(ChargeOutcome::Refunded { reference })),
        (200, charge_json("voided"), Ok(ChargeOutcome::Closed)),
        (200, charge_json("declined"), Ok(declined("declined"))),
        (402, r#"{"code":"card_declined"}"#.to_owned(), Ok(declined("card_declined"))),
        (402, String::new(), Err(unknown("answered 402"))),
        (409, r#"{"code":"key_closed"}"#.to_owned(), Ok(ChargeOutcome::Closed)),
        (409, r#"{"code":"not_capturable"}"#.to_owned(), Ok(declined("not_capturable"))),
        (400, r#"{"code":"invalid_request"}"#.to_owned(), Ok(declined("protocol_400"))),
        (413, "<html>".to_owned(), Err(unknown("answered 413"))),
        (400, "<html>blocked</html>".to_owned(), Err(unknown("answered 400"))),
        (422, r#"{"code":17}"#.to_owned(), Err(unknown("answered 422"))),
        (409, r#"{"code":"in_progress"}"#.to_owned(), Err(unknown("answered 409 in_progress"))),
        (422, r#"{"code":"key_reused"}"#.to_owned(), Err(unknown("answered 422 key_reused"))),
        (503, r#"{"code":"down"}"#.to_owned(), Err(unknown("answered 503"))),
        (500, String::new(), Err(unknown("answered 500"))),
        // Who asks, or where, says nothing about what an earlier attempt under the key achieved.
        (401, String::new(), Err(unknown("answered 401"))),
        (404, r#"{"code":"unknown_route"}"#.to_owned(), Err(unknown("answered 404 unknown_route"))),
        (307, String::new(), Err(unknown("answered 307"))),
    ];
    for (status, body, expected) in cases {
        let server = Server::with([say(status, &body)]).await;
        assert_eq!(server.gateway().charge(&charge()).await, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn an_answer_about_another_charge_than_was_asked_for_is_no_answer() {
    let same = [("amount_minor", "1250"), ("code", "null"), ("key", "null"), ("reference", "null")];
    let other = [
        ("amount_minor", "1249"),
        ("captured_minor", "1249"),
        ("captured_minor", "0"),
        ("currency", "\"EUR\""),
        ("reference", "\"order-2\""),
        ("key", "\"pay-2\""),
    ];
    let cases = same.iter().map(|case| (case, true)).chain(other.iter().map(|case| (case, false)));
    for ((member, value), about_it) in cases {
        let body = charge_with(member, value);
        let server = Server::with([say(201, &body), say(200, &body), say(200, &body)]).await;
        let gateway = server.gateway();
        let charged = gateway.charge(&charge()).await;
        let captured = gateway.capture(&charge()).await;
        let looked_up = gateway.look_up(&charge()).await;
        for outcome in [charged, captured, looked_up.map(|known| known.expect("it is known"))] {
            let fits = matches!(outcome, Ok(ChargeOutcome::Captured { .. }));
            assert_eq!(fits, about_it, "{member} {value}: {outcome:?}");
            assert!(fits || is_unknown(&outcome), "{member} {value}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn less_may_be_captured_than_was_authorised_and_no_charge_is_for_more_than_was_asked_for() {
    let body = charge_with("amount_minor", "1251");
    let server = Server::with([say(201, &body), say(200, &body), say(200, &body)]).await;
    let gateway = server.gateway();
    assert!(is_unknown(&gateway.charge(&charge()).await), "it was asked for 1250");
    let captured = ChargeOutcome::Captured { reference: "ch_1".to_owned(), refunded_minor: 0 };
    assert_eq!(gateway.capture(&charge()).await, Ok(captured.clone()));
    assert_eq!(gateway.look_up(&charge()).await, Ok(Some(captured)));
    let unsaid = r#"{"id":"ch_1","status":"captured","amount_minor":1251}"#;
    let server = Server::with([say(200, unsaid)]).await;
    assert!(is_unknown(&server.gateway().capture(&charge()).await), "nobody says how much was captured");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_the_outcome_unknown() {
    let long = "x".repeat(70_000);
    let acts = [
        say(201, r#"{"id":"ch_1","status":"marvellous"}"#),
        say(201, r#"{"id":"#),
        say(201, ""),
        say(201, &long),
        Act::SayAndLeave("HTTP/1.1 201 X\r\ncontent-length: 500\r\n\r\n{\"id\"".to_owned()),
        Act::SayAndLeave("HTTP/1.1 201 X\r\ncontent-le".to_owned()),
        Act::SayAndLeave("SSH-2.0-nonsense\r\n\r\n".to_owned()),
        Act::HangUp,
    ];
    for (ordinal, act) in acts.into_iter().enumerate() {
        let server = Server::with([act]).await;
        let outcome = server.gateway().charge(&charge()).await;
        assert!(is_unknown(&outcome), "{ordinal}: {outcome:?}");
    }
}

#[tokio::test]
async fn looking_up_a_charge_tells_what_the_gateway_knows_or_that_nobody_knows() {
    let cases = [
        (
            200,
            charge_json("captured"),
            Ok(Some(ChargeOutcome::Captured { reference: "ch_1".to_owned(), refunded_minor: 0 })),
        ),
        (200, charge_json("declined"), Ok(Some(declined("declined")))),
        (404, r#"{"code":"unknown_key"}"#.to_owned(), Ok(None)),
        (409, r#"{"code":"key_closed"}"#.to_owned(), Ok(Some(ChargeOutcome::Closed))),
        (404, "no such page".to_owned(), Err(unknown("answered 404"))),
        (400, String::new(), Err(unknown("answered 400"))),
    ];
    for (status, body, expected) in cases {
        let server = Server::with([say(status, &body)]).await;
        assert_eq!(server.gateway().look_up(&charge()).await, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn the_sums_of_an_answer_count_and_sums_against_its_status_leave_the_outcome_unknown() {
    let partly = ChargeOutcome::Captured { reference: "ch_1".to_owned(), refunded_minor: 400 };
    let server = Server::with([say(200, &charge_sums("captured", 1250, 400))]).await;
    assert_eq!(server.gateway().look_up(&charge()).await, Ok(Some(partly)));
    let against = [
        ("captured", 1250, 1250),
        ("captured", 1250, -1),
        ("captured", 1250, 1251),
        ("refunded", 1250, 1249),
        ("refunded", 1250, 0),
        ("declined", 1250, 0),
        ("voided", 1250, 449),
        ("authorised", 1250, 0),
    ];
    for (status, captured, refunded) in against {
        let server = Server::with([say(200, &charge_sums(status, captured, refunded))]).await;
        let outcome = server.gateway().look_up(&charge()).await;
        assert!(
            matches!(outcome, Err(Unanswered::Unknown { .. })),
            "{status} {captured} {refunded}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_cancellation_ends_voided_or_refunded_and_a_refusal_is_one() {
    let cases = [
        (200, r#"{"outcome":"voided"}"#, Ok(CancelOutcome::Voided)),
        (200, r#"{"outcome":"refunded","refunded_minor":1250}"#, Ok(CancelOutcome::Refunded { minor: 1250 })),
        (200, r#"{"outcome":"refunded"}"#, Err(unknown("refunded, without saying how much"))),
        (422, r#"{"code":"refund_refused"}"#, Err(refused("refund_refused"))),
        (503, r#"{"code":"refund_unavailable"}"#, Err(unknown("answered 503"))),
    ];
    for (status, body, expected) in cases {
        let server = Server::with([say(status, body)]).await;
        assert_eq!(server.gateway().cancel("pay-1").await, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn a_refund_tells_what_went_back_in_all() {
    let server = Server::with([
        say(200, r#"{"amount_minor":50,"refunded_minor":80,"status":"captured"}"#),
        say(422, r#"{"code":"refund_too_large"}"#),
    ])
    .await;
    let gateway = server.gateway();
    assert_eq!(gateway.refund("pay-1", "refund-1", 50).await, Ok(CancelOutcome::Refunded { minor: 80 }));
    assert_eq!(gateway.refund("pay-1", "refund-2", 9_999).await, Err(refused("refund_too_large")));
}

#[tokio::test]
async fn a_list_of_charges_is_read_a_page_at_a_time_whatever_the_gateway_calls_its_places() {
    let page = |id: &str, next: &str| {
        let row = format!(
            r#"{{"key":"pay-1","id":"{id}","reference":"order-1","status":"captured","amount_minor":1250,"currency":"USD","captured_minor":1250,"refunded_minor":50}}"#
        );
        say(200, &format!(r#"{{"items":[{row}]{next}}}"#))
    };
    let pages = [
        page("ch_1", r#","next":7"#),
        page("ch_2", r#","next":"a&b=c""#),
        page("ch_3", r#","next":null"#),
        page("ch_4", ""),
    ];
    let server = Server::with(pages).await;
    let gateway = server.gateway();
    let mut after: Option<String> = None;
    for (id, next) in [("ch_1", Some("7")), ("ch_2", Some("a&b=c")), ("ch_3", None), ("ch_4", None)] {
        let Ok(Listing::Page(page)) = gateway.listed_charges(after.as_deref(), 100).await else {
            panic!("{id}")
        };
        let wanted = ListedCharge {
            key: "pay-1".to_owned(),
            reference: "order-1".to_owned(),
            id: id.to_owned(),
            amount: Money::new(1250, Currency::parse("USD").unwrap()),
            captured_minor: 1250,
            refunded_minor: 50,
        };
        assert_eq!((page.charges, page.next.as_deref()), (vec![wanted], next));
        after = page.next;
    }
    let asked: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.lines().next().unwrap_or_default().to_owned())
        .collect();
    let places = ["", "&after=7", "&after=a%26b%3Dc", ""];
    let wanted = places.map(|place| format!("GET /api/payments/charges?limit=100{place} HTTP/1.1"));
    assert_eq!(asked, wanted);
}

#[tokio::test]
async fn a_gateway_without_a_list_says_so_and_what_is_no_list_is_unknown() {
    for status in [404, 405] {
        let server = Server::with([say(status, r#"{"code":"unknown_route"}"#)]).await;
        assert_eq!(server.gateway().listed_charges(None, 9).await, Ok(Listing::CannotList), "{status}");
    }
    let euros = r#"{"items":[{"id":"c","reference":"r","amount_minor":1,"currency":"euro","captured_minor":1,"refunded_minor":0}]}"#;
    for (status, body) in [(200, "[]"), (200, "{}"), (200, euros), (403, "<html>"), (500, "")] {
        let server = Server::with([say(status, body)]).await;
        assert!(is_unknown(&server.gateway().listed_charges(None, 9).await), "{status} {body}");
    }
    let server = Server::with([say(404, r#"{"code":"unknown_key"}"#), say(404, "<html>")]).await;
    assert_eq!(server.gateway().listed_charge("pay-1").await, Ok(None));
    assert!(
        is_unknown(&server.gateway().listed_charge("pay-1").await),
        "a page of a proxy is no word on a charge"
    );
}
