//! The provider adapters against a server that follows a script: every answer, and every way of not getting one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use application::ports::{
    BookingOutcome, BookingRequest, CancelOutcome, ChargeOutcome, ChargeRequest, GatewayBooks, ListedCharge,
    Listing, PaymentGateway, ShipmentCancelOutcome, ShippingProvider, TrackingOutcome, Unanswered,
};
use bus::{BreakerPolicy, BreakerState, VirtualClock};
use domain::{Currency, Money};
use jiff::{SignedDuration, Timestamp};
use orderwright_providers::{HttpPaymentGateway, HttpShippingProvider, ProviderSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;

/// 1994-11-06T08:49:37Z.
const NOW_S: i64 = 784_111_777;

/// What the server does with one request.
enum Act {
    Say(String),
    /// Says it and hangs up.
    SayAndLeave(String),
    /// Says it and hangs up when told to, as HTTP allows at any time between two requests.
    SayAndLeaveLater(String),
    Hang,
    HangUp,
}

#[derive(Default)]
struct Script {
    acts: VecDeque<Act>,
    requests: Vec<String>,
    connections: usize,
}

/// A server that performs its acts one after the other, whoever asks.
#[derive(Clone)]
struct Server {
    base_url: String,
    script: Arc<Mutex<Script>>,
    leave: Arc<Notify>,
}

impl Server {
    async fn with(acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/api", listener.local_addr().unwrap());
        let script = Script { acts: acts.into_iter().collect(), ..Script::default() };
        let server = Self { base_url, script: Arc::new(Mutex::new(script)), leave: Arc::default() };
        tokio::spawn(server.clone().run(listener));
        server
    }

    async fn run(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            self.script.lock().unwrap().connections += 1;
            tokio::spawn(self.clone().serve(stream));
        }
    }

    async fn serve(self, mut stream: TcpStream) {
        while let Some(request) = read_request(&mut stream).await {
            match self.next_act(request) {
                Some(Act::Say(text)) => stream.write_all(text.as_bytes()).await.unwrap(),
                Some(Act::SayAndLeave(text)) => return stream.write_all(text.as_bytes()).await.unwrap(),
                Some(Act::SayAndLeaveLater(text)) => {
                    stream.write_all(text.as_bytes()).await.unwrap();
                    return self.leave.notified().await;
                }
                Some(Act::Hang) => std::future::pending().await,
                Some(Act::HangUp) | None => return,
            }
        }
    }

    fn next_act(&self, request: String) -> Option<Act> {
        let mut script = self.script.lock().unwrap();
        script.requests.push(request);
        script.acts.pop_front()
    }

    fn requests(&self) -> Vec<String> {
        self.script.lock().unwrap().requests.clone()
    }

    fn connections(&self) -> usize {
        self.script.lock().unwrap().connections
    }

    fn settings(&self) -> ProviderSettings {
        ProviderSettings::at(&self.base_url)
    }

    fn gateway(&self) -> HttpPaymentGateway {
        gateway(self.settings(), clock())
    }

    fn carrier(&self) -> HttpShippingProvider {
        HttpShippingProvider::new(self.settings(), clock()).unwrap()
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() == length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text.into_owned());
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
        }
    }
}

fn answer(status: u16, body: &str) -> String {
    answer_with(status, "", body)
}

fn answer_with(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

fn say(status: u16, body: &str) -> Act {
    Act::Say(answer(status, body))
}

fn clock() -> Arc<VirtualClock> {
    Arc::new(VirtualClock::starting_at(Timestamp::from_second(NOW_S).unwrap()))
}

fn gateway(settings: ProviderSettings, clock: Arc<VirtualClock>) -> HttpPaymentGateway {
    HttpPaymentGateway::new(settings, clock).unwrap()
}

fn charge() -> ChargeRequest {
    ChargeRequest {
        key: "pay-1".to_owned(),
        reference: "order-1".to_owned(),
        amount: Money::new(1250, Currency::parse("USD").unwrap()),
        payment_token: Some("tok_visa".to_owned()),
    }
}

fn booking() -> BookingRequest {
    BookingRequest { key: "ship-1".to_owned(), reference: "order-1".to_owned() }
}

fn unknown(why: &str) -> Unanswered {
    Unanswered::Unknown { why: why.to_owned() }
}

fn not_done(why: &str) -> Unanswered {
    Unanswered::NotDone { why: why.to_owned(), retry_after: None }
}

fn refused(code: &str) -> Unanswered {
    Unanswered::Refused { code: code.to_owned() }
}

fn is_unknown<T>(outcome: &Result<T, Unanswered>) -> bool {
    matches!(outcome, Err(Unanswered::Unknown { .. }))
}

fn declined(code: &str) -> ChargeOutcome {
    ChargeOutcome::Declined { code: code.to_owned() }
}

fn charge_json(status: &str) -> String {
    let (captured, refunded) = match status {
        "captured" => (1250, 0),
        "refunded" => (1250, 1250),
        _ => (0, 0),
    };
    charge_sums(status, captured, refunded)
}

fn charge_sums(status: &str, captured: i64, refunded: i64) -> String {
    format!(
        r#"{{"id":"ch_1","status":"{status}","amount_minor":1250,"captured_minor":{captured},"refunded_minor":{refunded}}}"#
    )
}

/// The answer to a charge, with one member said otherwise.
fn charge_with(member: &str, value: &str) -> String {
    let mut charge = serde_json::json!({
        "id": "ch_1", "status": "captured", "key": "pay-1", "reference": "order-1", "amount_minor": 1250,
        "currency": "USD", "captured_minor": 1250, "refunded_minor": 0,
    });
    charge[member] = serde_json::from_str(value).unwrap();
    charge.to_string()
}

fn shipment_json(status: &str) -> String {
    format!(r#"{{"id":"sh_1","tracking_number":"T1","carrier":"C","status":"{status}"}}"#)
}

#[tokio::test]
async fn a_charge_ends_as_the_gateway_says() {
    let reference = "ch_1".to_owned();
    let cases = [
        (
            201,
            charge_json("captured"),
            Ok(ChargeOutcome::Captured { reference: reference.clone(), refunded_minor: 0 }),
        ),
        (201, charge_json("authorised"), Ok(ChargeOutcome::Authorised { reference: reference.clone() })),
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
        ("amount_minor", "1"),
        ("amount_minor", "1251"),
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
async fn a_parcel_of_another_order_is_no_answer() {
    for (member, value) in [("reference", "order-2"), ("key", "ship-2")] {
        let body = format!(
            r#"{{"id":"sh_1","tracking_number":"T1","carrier":"C","status":"booked","{member}":"{value}"}}"#
        );
        let server = Server::with([say(201, &body)]).await;
        let outcome = server.carrier().create_shipment(&booking()).await;
        assert!(is_unknown(&outcome), "{member}: {outcome:?}");
    }
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
async fn a_booking_ends_as_the_provider_says() {
    let booked = BookingOutcome::Booked { tracking_number: "T1".to_owned(), carrier: "C".to_owned() };
    let refused = |code: &str| BookingOutcome::Refused { code: code.to_owned() };
    let cases = [
        (201, shipment_json("booked"), Ok(booked.clone())),
        (200, shipment_json("in_transit"), Ok(booked)),
        (422, r#"{"code":"address_rejected"}"#.to_owned(), Ok(refused("address_rejected"))),
        (400, String::new(), Err(unknown("answered 400"))),
        (409, r#"{"code":"key_closed"}"#.to_owned(), Ok(BookingOutcome::Closed)),
        (409, r#"{"code":"in_progress"}"#.to_owned(), Err(unknown("answered 409 in_progress"))),
        (502, String::new(), Err(unknown("answered 502"))),
    ];
    for (status, body, expected) in cases {
        let server = Server::with([say(status, &body)]).await;
        assert_eq!(server.carrier().create_shipment(&booking()).await, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn a_parcel_is_where_the_provider_says() {
    let tracking_number = "T1".to_owned();
    let carrier = "C".to_owned();
    let booked =
        TrackingOutcome::Booked { tracking_number: tracking_number.clone(), carrier: carrier.clone() };
    let cases = [
        (200, shipment_json("booked"), Ok(booked.clone())),
        (200, shipment_json("in_transit"), Ok(booked)),
        (200, shipment_json("delivered"), Ok(TrackingOutcome::Delivered { tracking_number, carrier })),
        (200, shipment_json("cancelled"), Ok(TrackingOutcome::Cancelled)),
        (200, shipment_json("rejected"), Ok(TrackingOutcome::UnknownKey)),
        (404, r#"{"code":"unknown_key"}"#.to_owned(), Ok(TrackingOutcome::UnknownKey)),
        (404, String::new(), Err(unknown("answered 404"))),
    ];
    for (status, body, expected) in cases {
        let server = Server::with([say(status, &body)]).await;
        assert_eq!(server.carrier().look_up("ship-1").await, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn a_parcel_can_be_called_off_until_it_is_handed_over() {
    let cases = [
        (200, r#"{"outcome":"cancelled"}"#, Ok(ShipmentCancelOutcome::Cancelled)),
        (409, r#"{"code":"already_handed_over"}"#, Ok(ShipmentCancelOutcome::AlreadyHandedOver)),
        (200, r#"{"outcome":"perhaps"}"#, Err(unknown(""))),
        (400, "", Err(unknown("answered 400"))),
        (400, r#"{"code":"invalid_request"}"#, Err(refused("protocol_400"))),
    ];
    for (status, body, expected) in cases {
        let server = Server::with([say(status, body)]).await;
        let outcome = server.carrier().cancel("ship-1").await;
        match expected {
            Err(Unanswered::Unknown { .. }) => assert!(is_unknown(&outcome), "{outcome:?}"),
            expected => assert_eq!(outcome, expected, "{status} {body}"),
        }
    }
}

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
