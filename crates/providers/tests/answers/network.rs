//! How a call gets there and back, or not.

use super::*;

#[tokio::test]
async fn a_call_goes_out_with_its_key_to_the_place_it_names() {
    let captured = charge_json("captured");
    let server =
        Server::with([say(201, &captured), say(200, &captured), say(200, r#"{"refunded_minor":5}"#)]).await;
    let gateway = server.gateway();
    gateway.charge(&charge()).await.unwrap();
    gateway.capture(&ChargeRequest { key: "a/b c".to_owned(), ..charge() }).await.unwrap();
    gateway.refund("pay-1", "refund-1", 5).await.unwrap();
    let requests = server.requests();
    let host = server.base_url.trim_start_matches("http://").trim_end_matches("/api");
    assert!(requests[0].starts_with("POST /api/payments/charges HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("idempotency-key: pay-1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains(&format!("host: {host}\r\n")), "{}", requests[0]);
    assert!(requests[0].ends_with(
        r#"{"reference":"order-1","amount_minor":1250,"currency":"USD","capture":true,"payment_token":"tok_visa"}"#
    ));
    assert!(
        requests[1].starts_with("POST /api/payments/charges/by-key/a%2Fb%20c/capture "),
        "{}",
        requests[1]
    );
    assert!(requests[2].starts_with("POST /api/payments/charges/by-key/pay-1/refund "), "{}", requests[2]);
    assert!(requests[2].contains("idempotency-key: refund-1\r\n"), "{}", requests[2]);
    assert_eq!(server.connections(), 1, "one connection serves calls that follow each other");
}

#[tokio::test]
async fn a_key_that_fits_no_header_is_not_sent() {
    let server = Server::with([]).await;
    let request = ChargeRequest { key: "a\r\nb: c".to_owned(), ..charge() };
    assert_eq!(server.gateway().charge(&request).await, Err(not_done("the key does not fit a header")));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_throttled_call_was_not_done_and_tells_how_long_to_wait() {
    let cases = [
        ("retry-after: 7\r\n", Some(7)),
        ("retry-after: Sun, 06 Nov 1994 08:50:37 GMT\r\n", Some(60)),
        ("retry-after: Sunday, 06-Nov-94 08:50:37 GMT\r\n", Some(60)),
        ("retry-after: Sun Nov  6 08:49:00 1994\r\n", Some(0)),
        ("retry-after: 99999999999999999999999\r\n", Some(3_600)),
        ("retry-after: later\r\n", None),
        ("", None),
    ];
    for (header, seconds) in cases {
        let server = Server::with([Act::Say(answer_with(429, header, r#"{"code":"throttled"}"#))]).await;
        // Real time may pass between clock and call, so that a date is a little nearer.
        let wait = server.gateway().charge(&charge()).await.unwrap_err().retry_after();
        let rounded_up = wait.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        assert_eq!(rounded_up, seconds, "{header}");
    }
}

#[tokio::test]
async fn who_says_when_to_come_back_has_done_nothing_and_is_not_away() {
    let settings_of = |server: &Server| ProviderSettings {
        breaker: BreakerPolicy { failures_max: 1, open_for: Duration::from_secs(60) },
        ..server.settings()
    };
    for (status, header, done) in [
        (429, "", false),
        (429, "retry-after: 0\r\n", false),
        (503, "retry-after: 0\r\n", false),
        (503, "", true),
    ] {
        let server = Server::with([Act::Say(answer_with(status, header, ""))]).await;
        let gateway = gateway(settings_of(&server), clock());
        let outcome = gateway.charge(&charge()).await;
        assert_eq!(outcome.unwrap_err().was_let_through(), done, "{status} {header}");
        let closed = matches!(gateway.breaker_state(), BreakerState::Closed { .. });
        assert_eq!(closed, !done, "{status} {header}");
    }
}

#[tokio::test]
async fn nobody_there_means_nothing_was_done() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let outcome = gateway(ProviderSettings::at(base_url), clock()).charge(&charge()).await;
    assert!(matches!(&outcome, Err(Unanswered::NotDone { .. })), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_given_up_after_the_time_limit() {
    let server = Server::with([Act::Hang]).await;
    let settings = ProviderSettings { time_limit: Duration::from_secs(3), ..server.settings() };
    let started = Instant::now();
    assert_eq!(gateway(settings, clock()).charge(&charge()).await, Err(unknown("timed out")));
    assert_eq!(started.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_got_its_turn_was_not_done() {
    let server = Server::with([Act::Hang]).await;
    let settings = ProviderSettings { connections_max: 1, ..server.settings() };
    let gateway = gateway(settings, clock());
    let request = charge();
    let (first, second) = tokio::join!(gateway.charge(&request), gateway.charge(&request));
    assert_eq!(first, Err(unknown("timed out")));
    assert_eq!(second, Err(not_done("no connection in time")));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_connection_that_the_provider_closed_meanwhile_is_replaced_unnoticed() {
    let captured = charge_json("captured");
    let acts = [
        Act::SayAndLeaveLater(answer(201, &captured)),
        Act::SayAndLeave(answer_with(201, "connection: close\r\n", &captured)),
        say(201, &captured),
        say(201, &captured),
    ];
    let server = Server::with(acts).await;
    let gateway = server.gateway();
    for _ in 0..4 {
        assert!(gateway.charge(&charge()).await.is_ok());
        server.leave.notify_one();
        look_at_the_network().await;
    }
    assert_eq!(server.connections(), 3);
}

/// Ends when whatever had happened to any socket before is known to the runtime: an event of a later one came through.
async fn look_at_the_network() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    far.write_all(b"x").await.unwrap();
    near.read_exact(&mut [0]).await.unwrap();
}

#[tokio::test]
async fn after_failures_in_a_row_the_provider_is_left_alone_until_a_probe_succeeds() {
    let captured = charge_json("captured");
    let acts = [say(503, ""), Act::HangUp, say(500, ""), say(201, &captured), say(201, &captured)];
    let server = Server::with(acts).await;
    let clock = clock();
    let breaker = BreakerPolicy { failures_max: 2, open_for: Duration::from_secs(60) };
    let gateway = gateway(ProviderSettings { breaker, ..server.settings() }, Arc::clone(&clock));
    for _ in 0..2 {
        assert!(is_unknown(&gateway.charge(&charge()).await));
    }
    let refused = gateway.charge(&charge()).await.unwrap_err();
    assert!(refused.retry_after().is_some_and(|wait| wait > Duration::from_secs(50)), "{refused:?}");
    assert_eq!(server.requests().len(), 2, "nobody asks while it is open");

    clock.jump(SignedDuration::from_secs(60));
    assert!(is_unknown(&gateway.charge(&charge()).await), "the probe fails");
    assert!(matches!(gateway.breaker_state(), BreakerState::Open { .. }));

    clock.jump(SignedDuration::from_secs(60));
    assert!(gateway.charge(&charge()).await.is_ok(), "the probe succeeds");
    assert_eq!(gateway.breaker_state(), BreakerState::Closed { failures: 0 });
    assert!(gateway.charge(&charge()).await.is_ok());
}

#[tokio::test]
async fn a_no_is_no_failure_of_the_provider_and_neither_is_being_throttled() {
    let acts = [402, 429, 404, 429, 409, 429].map(|status| say(status, r#"{"code":"x"}"#));
    let server = Server::with(acts).await;
    let breaker = BreakerPolicy { failures_max: 1, open_for: Duration::from_secs(60) };
    let gateway = gateway(ProviderSettings { breaker, ..server.settings() }, clock());
    for _ in 0..6 {
        let _ = gateway.charge(&charge()).await;
        assert_eq!(gateway.breaker_state(), BreakerState::Closed { failures: 0 });
    }
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn addresses_that_are_none_are_refused_at_once() {
    for address in ["", "bank.example", "https://bank.example", "http://u:p@bank.example"] {
        assert!(HttpPaymentGateway::new(ProviderSettings::at(address), clock()).is_err(), "{address:?}");
    }
}

#[tokio::test]
async fn what_no_store_could_keep_of_an_answer_is_replaced_and_what_has_no_end_is_cut() {
    let long = "x".repeat(1_000);
    let kept = |text: String| format!("{}…", &text[..254]);
    let cases = [
        (r#"{"id":"ch\u0000_1","status":"captured"}"#.to_owned(), "ch\u{fffd}_1".to_owned()),
        (
            "{\"id\":\"ch\u{9b}_1\\u001b[2J\",\"status\":\"captured\"}".to_owned(),
            "ch\u{fffd}_1\u{fffd}[2J".to_owned(),
        ),
        (format!(r#"{{"id":"{long}","status":"captured"}}"#), kept(long.clone())),
    ];
    for (body, reference) in cases {
        // Whatever else an answer has to tell stands in the one that all tests send.
        let mut whole: serde_json::Value = serde_json::from_str(&charge_json("captured")).unwrap();
        let said: serde_json::Value = serde_json::from_str(&body).unwrap();
        whole["id"] = said["id"].clone();
        let server = Server::with([say(201, &whole.to_string())]).await;
        let outcome = server.gateway().charge(&charge()).await;
        let Ok(ChargeOutcome::Captured { reference: kept, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(kept, reference);
    }
}
