//! The provider adapters against the sandbox: the same contract read by two who share no code.

use std::sync::Arc;
use std::time::Duration;

use application::order_details::{Address, Contact};
use application::ports::{
    BookingOutcome, BookingRequest, CancelOutcome, ChargeOutcome, ChargeRequest, GatewayBooks, Listing,
    NewsKind, PaymentGateway, ProviderNews, ShipmentCancelOutcome, ShippingProvider, TrackingOutcome,
    Unanswered,
};
use bus::{Clock, SystemClock};
use domain::{Currency, Money};
use orderwright_providers::webhooks::{Verifier, parse_batch};
use orderwright_providers::{HttpPaymentGateway, HttpShippingProvider, Protocol, ProviderSettings};
use sandbox::{FaultSettings, Faults, Running, Sandbox, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A parcel that is never handed over while a test runs.
const NEVER_MS: (u64, u64) = (3_600_000, 3_600_000);

async fn start(settings: Settings) -> Running {
    Sandbox::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), settings).unwrap()
}

async fn quiet() -> Running {
    start(Settings { delivery_delay_ms: NEVER_MS, ..Settings::default() }).await
}

async fn faulty(faults: FaultSettings) -> Running {
    start(Settings { faults, delivery_delay_ms: NEVER_MS, ..Settings::default() }).await
}

fn settings(sandbox: &Running, protocol: Protocol) -> ProviderSettings {
    ProviderSettings { protocol, ..ProviderSettings::at(format!("http://{}", sandbox.addr)) }
}

fn gateway_by(sandbox: &Running, protocol: Protocol) -> HttpPaymentGateway {
    HttpPaymentGateway::new(settings(sandbox, protocol), Arc::new(SystemClock)).unwrap()
}

fn gateway(sandbox: &Running) -> HttpPaymentGateway {
    gateway_by(sandbox, Protocol::default())
}

fn carrier(sandbox: &Running) -> HttpShippingProvider {
    HttpShippingProvider::new(settings(sandbox, Protocol::default()), Arc::new(SystemClock)).unwrap()
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::parse("USD").unwrap())
}

fn charge(key: &str, payment_token: &str) -> ChargeRequest {
    ChargeRequest {
        key: key.to_owned(),
        reference: format!("order-of-{key}"),
        amount: usd(1250),
        payment_token: Some(payment_token.to_owned()),
    }
}

fn booking(key: &str) -> BookingRequest {
    BookingRequest { key: key.to_owned(), reference: format!("order-of-{key}"), ..BookingRequest::default() }
}

fn is_captured(outcome: &ChargeOutcome) -> bool {
    matches!(outcome, ChargeOutcome::Captured { reference, .. } if reference.starts_with("ch_"))
}

#[tokio::test]
async fn a_charge_lives_and_ends_alike_over_both_protocols() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let sandbox = quiet().await;
        let gateway = gateway_by(&sandbox, protocol);
        assert_eq!(gateway.look_up(&charge("pay/1", "tok")).await, Ok(None));
        let made = gateway.charge(&charge("pay/1", "tok")).await.unwrap();
        assert!(is_captured(&made), "{made:?}");
        assert_eq!(gateway.charge(&charge("pay/1", "tok")).await, Ok(made.clone()), "a repeat");
        assert_eq!(gateway.look_up(&charge("pay/1", "tok")).await, Ok(Some(made)));
        let part = gateway.refund("pay/1", "refund-1", 250).await;
        assert_eq!(part, Ok(CancelOutcome::Refunded { minor: 250 }));
        assert_eq!(gateway.cancel("pay/1").await, Ok(CancelOutcome::Refunded { minor: 1250 }));
        assert!(matches!(
            gateway.look_up(&charge("pay/1", "tok")).await,
            Ok(Some(ChargeOutcome::Refunded { .. }))
        ));
        assert_eq!(gateway.charge(&charge("pay/1", "tok")).await, Ok(ChargeOutcome::Closed));
        assert_eq!(sandbox.stats().payments.captured, 1);
    }
}

#[tokio::test]
async fn money_can_be_held_and_taken_or_let_go() {
    let sandbox = quiet().await;
    let gateway = gateway(&sandbox);
    for key in ["pay-1", "pay-2"] {
        let held = gateway.authorise(&charge(key, "tok")).await.unwrap();
        assert!(matches!(held, ChargeOutcome::Authorised { .. }), "{held:?}");
    }
    assert!(is_captured(&gateway.capture(&charge("pay-1", "tok")).await.unwrap()));
    assert!(is_captured(&gateway.capture(&charge("pay-1", "tok")).await.unwrap()), "a repeat");
    assert_eq!(gateway.cancel("pay-2").await, Ok(CancelOutcome::Voided));
    assert_eq!(gateway.look_up(&charge("pay-2", "tok")).await, Ok(Some(ChargeOutcome::Closed)));
    let late = gateway.capture(&charge("pay-2", "tok")).await;
    assert_eq!(late, Ok(ChargeOutcome::Declined { code: "not_capturable".to_owned() }));
}

#[tokio::test]
async fn a_declined_card_is_a_definite_no() {
    let sandbox = quiet().await;
    let gateway = gateway(&sandbox);
    let declined = ChargeOutcome::Declined { code: "card_declined".to_owned() };
    assert_eq!(gateway.charge(&charge("pay-1", "tok_decline")).await, Ok(declined));
    assert!(matches!(
        gateway.look_up(&charge("pay-1", "tok")).await,
        Ok(Some(ChargeOutcome::Declined { .. }))
    ));
}

#[tokio::test]
async fn a_key_closed_before_its_charge_arrives_stays_closed() {
    let sandbox = quiet().await;
    let gateway = gateway(&sandbox);
    assert_eq!(gateway.cancel("pay-1").await, Ok(CancelOutcome::Voided));
    assert_eq!(gateway.charge(&charge("pay-1", "tok")).await, Ok(ChargeOutcome::Closed));
    assert_eq!(sandbox.stats().payments.charges, 0);
}

#[tokio::test]
async fn a_key_used_for_something_else_leaves_the_outcome_unknown_and_can_be_looked_up() {
    let sandbox = quiet().await;
    let gateway = gateway(&sandbox);
    gateway.charge(&charge("pay-1", "tok")).await.unwrap();
    let other = ChargeRequest { amount: usd(99), ..charge("pay-1", "tok") };
    assert!(matches!(gateway.charge(&other).await, Err(Unanswered::Unknown { .. })));
    assert!(
        matches!(gateway.look_up(&charge("pay-1", "tok")).await, Ok(Some(charge)) if is_captured(&charge))
    );
}

#[tokio::test]
async fn a_lost_answer_is_unknown_until_it_is_looked_up() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let sandbox = quiet().await;
        let gateway = gateway_by(&sandbox, protocol);
        let lost = gateway.charge(&charge("pay-1", "tok_lose")).await;
        assert!(matches!(lost, Err(Unanswered::Unknown { .. })), "{lost:?}");
        assert!(
            matches!(gateway.look_up(&charge("pay-1", "tok")).await, Ok(Some(charge)) if is_captured(&charge))
        );
    }
}

#[tokio::test]
async fn a_hung_call_is_unknown_and_holds_up_no_other() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let sandbox = quiet().await;
        let patience = Duration::from_millis(100);
        let settings = ProviderSettings { time_limit: patience, ..settings(&sandbox, protocol) };
        let gateway = HttpPaymentGateway::new(settings, Arc::new(SystemClock)).unwrap();
        let hung = gateway.charge(&charge("pay-1", "tok_hang")).await;
        assert_eq!(hung, Err(Unanswered::Unknown { why: "timed out".to_owned() }));
        assert!(is_captured(&gateway.charge(&charge("pay-2", "tok")).await.unwrap()));
    }
}

#[tokio::test]
async fn throttling_says_that_nothing_was_done_and_a_server_error_says_nothing() {
    let throttling = Faults { throttle_permille: 1_000, ..Faults::default() };
    let failing = Faults { server_error_permille: 1_000, ..Faults::default() };
    let faults = FaultSettings { payments: throttling, shipping: failing, ..FaultSettings::default() };
    let sandbox = faulty(faults).await;
    let throttled = gateway(&sandbox).charge(&charge("pay-1", "tok")).await.unwrap_err();
    assert_eq!(throttled.retry_after(), Some(Duration::from_secs(1)));
    let failed = carrier(&sandbox).create_shipment(&booking("ship-1")).await;
    assert!(matches!(failed, Err(Unanswered::Unknown { .. })), "{failed:?}");
}

#[tokio::test]
async fn a_hundred_twins_make_one_charge() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let sandbox = quiet().await;
        let gateway = Arc::new(gateway_by(&sandbox, protocol));
        let mut twins = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let gateway = Arc::clone(&gateway);
            twins.spawn(async move { gateway.charge(&charge("pay-1", "tok")).await });
        }
        while let Some(outcome) = twins.join_next().await {
            assert!(is_captured(&outcome.unwrap().unwrap()));
        }
        let stats = sandbox.stats().payments;
        assert_eq!((stats.charges, stats.keys_charged_twice), (1, 0));
    }
}

#[tokio::test]
async fn a_parcel_can_be_booked_looked_up_and_called_off() {
    let sandbox = quiet().await;
    let carrier = carrier(&sandbox);
    assert_eq!(carrier.look_up("ship-1").await, Ok(TrackingOutcome::UnknownKey));
    let BookingOutcome::Booked { tracking_number, carrier: by } =
        carrier.create_shipment(&booking("ship-1")).await.unwrap()
    else {
        panic!("not booked");
    };
    let found = carrier.look_up("ship-1").await;
    assert_eq!(found, Ok(TrackingOutcome::Booked { tracking_number, carrier: by }));
    assert_eq!(carrier.cancel("ship-1").await, Ok(ShipmentCancelOutcome::Cancelled));
    assert_eq!(carrier.look_up("ship-1").await, Ok(TrackingOutcome::Cancelled));
    assert_eq!(carrier.create_shipment(&booking("ship-1")).await, Ok(BookingOutcome::Closed));
}

#[tokio::test]
async fn a_rejected_address_is_a_definite_no() {
    let rejecting = Faults { decline_permille: 1_000, ..Faults::default() };
    let sandbox = faulty(FaultSettings { shipping: rejecting, ..FaultSettings::default() }).await;
    let refused = carrier(&sandbox).create_shipment(&booking("ship-1")).await;
    assert_eq!(refused, Ok(BookingOutcome::Refused { code: "address_rejected".to_owned() }));
}

#[tokio::test]
async fn the_provider_reads_where_the_goods_go() {
    let sandbox = quiet().await;
    let carrier = carrier(&sandbox);
    let to = |street: &str| BookingRequest {
        address: Some(Address {
            lines: vec![street.to_owned()],
            country: "IE".to_owned(),
            ..Address::default()
        }),
        contact: Some(Contact { phone: Some("+353 1 000 0000".to_owned()), ..Contact::default() }),
        ..booking(street)
    };
    let booked = carrier.create_shipment(&to("1 Road")).await;
    assert!(matches!(booked, Ok(BookingOutcome::Booked { .. })), "{booked:?}");
    let refused = carrier.create_shipment(&to("REJECT-ADDRESS")).await;
    assert_eq!(refused, Ok(BookingOutcome::Refused { code: "address_rejected".to_owned() }));
}

#[tokio::test]
async fn a_delivered_parcel_is_announced_by_a_webhook_that_can_be_believed() {
    let inbox = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sandbox = start(Settings {
        webhook_url: Some(format!("http://{}", inbox.local_addr().unwrap())),
        webhook_secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        delivery_delay_ms: (0, 0),
        ..Settings::default()
    })
    .await;
    let carrier = carrier(&sandbox);
    carrier.create_shipment(&booking("ship-1")).await.unwrap();
    let event = next_event(&inbox).await;
    assert_eq!((event.idempotency_key.as_str(), event.reference.as_str()), ("ship-1", "order-of-ship-1"));
    let NewsKind::ShipmentDelivered { tracking_number } = event.kind else { panic!("{event:?}") };
    let found = carrier.look_up("ship-1").await.unwrap();
    assert!(
        matches!(found, TrackingOutcome::Delivered { tracking_number: looked_up, .. } if looked_up == tracking_number)
    );
    assert_eq!(carrier.cancel("ship-1").await, Ok(ShipmentCancelOutcome::AlreadyHandedOver));
}

#[tokio::test]
async fn charges_and_declines_are_announced_with_what_they_are_about() {
    let inbox = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let webhook_url = Some(format!("http://{}", inbox.local_addr().unwrap()));
    let webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
    let sandbox = start(Settings { webhook_url, webhook_secret, ..Settings::default() }).await;
    let gateway = gateway(&sandbox);
    let ChargeOutcome::Captured { reference, .. } = gateway.charge(&charge("pay-1", "tok")).await.unwrap()
    else {
        panic!("not captured");
    };
    let captured = NewsKind::PaymentCaptured { reference: reference.clone(), amount: usd(1250) };
    assert_eq!(next_event(&inbox).await.kind, captured);
    gateway.refund("pay-1", "refund-1", 250).await.unwrap();
    let refunded = NewsKind::PaymentRefunded { reference, amount: usd(250), total: Some(usd(250)) };
    assert_eq!(next_event(&inbox).await.kind, refunded);
    gateway.charge(&charge("pay-2", "tok_decline")).await.unwrap();
    let declined = next_event(&inbox).await;
    assert_eq!(declined.idempotency_key, "pay-2");
    assert!(matches!(declined.kind, NewsKind::PaymentDeclined { .. }));
}

/// Takes one post, believes it or panics, and gives its only event. The connection ends with the answer, so that the
/// next post comes with a new one.
async fn next_event(inbox: &TcpListener) -> ProviderNews {
    let (mut stream, _) = inbox.accept().await.unwrap();
    let (head, body) = read_post(&mut stream).await;
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in {head}"))
    };
    Verifier::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .unwrap()
        .verify(
            header("webhook-id"),
            header("webhook-timestamp"),
            header("webhook-signature"),
            &body,
            SystemClock.now(),
        )
        .unwrap();
    stream.write_all(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut events = parse_batch(&body).unwrap();
    assert_eq!(events.len(), 1);
    events.remove(0)
}

async fn read_post(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut post = Vec::new();
    loop {
        let split = post.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(at) = split {
            let head = String::from_utf8(post[..at].to_vec()).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if post.len() == at + 4 + length.parse::<usize>().unwrap() {
                return (head, post.split_off(at + 4));
            }
        }
        assert_ne!(stream.read_buf(&mut post).await.unwrap(), 0, "the post ends early");
    }
}

#[tokio::test]
async fn the_list_of_charges_is_the_sandboxs_books_by_either_protocol() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let sandbox = quiet().await;
        let gateway = gateway_by(&sandbox, protocol);
        for number in 0..25 {
            gateway.charge(&charge(&format!("k{number}"), "tok_visa")).await.unwrap();
        }
        gateway.refund("k3", "back", 250).await.unwrap();
        let (mut listed, mut after) = (Vec::new(), None::<String>);
        loop {
            let Ok(Listing::Page(page)) = gateway.listed_charges(after.as_deref(), 10).await else {
                panic!("no page")
            };
            listed.extend(page.charges);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed.len(), 25);
        let third = gateway.listed_charge("k3").await.unwrap().unwrap();
        assert_eq!((third.captured_minor, third.refunded_minor), (1250, 250));
        assert_eq!(listed[3], third);
        assert_eq!(gateway.listed_charge("nobody").await, Ok(None));
    }
}
