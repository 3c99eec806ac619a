//! The provider adapters against a server that follows a script: every answer, and every way of not getting one.

mod charges;
mod network;
mod parcels;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use application::ports::{
    BookingOutcome, BookingRequest, CancelOutcome, ChargeOutcome, ChargeRequest, GatewayBooks, ListedCharge,
    Listing, ParcelItem, PaymentGateway, ShipmentCancelOutcome, ShippingProvider, TrackingOutcome,
    Unanswered,
};
use bus::{BreakerPolicy, BreakerState, VirtualClock};
use domain::{Currency, Money, ShippingFacts, Sku};
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
    BookingRequest { key: "ship-1".to_owned(), reference: "order-1".to_owned(), ..BookingRequest::default() }
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
