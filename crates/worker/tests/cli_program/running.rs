//! The service at work while somebody does something to it from outside: takes its file away, hangs up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bus::{Clock, SystemClock};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::program::Folder;

/// A service, ended with the test.
pub(crate) struct Running {
    child: Child,
    address: String,
}

impl Running {
    pub(crate) fn on(folder: &Folder, more: &[&str]) -> Self {
        let serve = ["serve", "--listen", "localhost:0", "--database", "o.db"];
        Self::of(folder, &[&serve[..], more].concat())
    }

    /// Any command that serves and greets with its address.
    pub(crate) fn of(folder: &Folder, arguments: &[&str]) -> Self {
        let mut child = folder.start(arguments);
        let out = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(out).lines();
        let first = lines.next().expect("it greets").expect("it is text");
        let address = first.split("http://").nth(1).expect("an address");
        let address: String = address.chars().take_while(|c| !matches!(c, ' ' | '"')).collect();
        // So that it never stands before a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Status and body of an answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.ask_under(&format!("k{}", body.len()), method, path, body)
    }

    /// The same, under a key.
    pub(crate) fn ask_under(&self, key: &str, method: &str, path: &str, body: &str) -> (u16, String) {
        self.ask_with(&format!("idempotency-key: {key}"), method, path, body)
    }

    /// The same, with these headers.
    fn ask_with(&self, headers: &str, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let length = body.len();
        let host = &self.address;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
    }

    /// The status of the answer to a payment webhook without events that is signed with this secret.
    fn told_under(&self, secret: &str) -> u16 {
        let (id, sent_at, body) = ("w-1", SystemClock.now().as_second().to_string(), r#"{"events":[]}"#);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any secret will do");
        mac.update(format!("{id}.{sent_at}.{body}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let signed =
            format!("webhook-id: {id}\r\nwebhook-timestamp: {sent_at}\r\nwebhook-signature: {signature}");
        self.ask_with(&signed, "POST", "/webhooks/payments", body).0
    }

    fn signal(&self, name: &str) {
        let told = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()));
    }

    pub(crate) fn end(mut self) -> (bool, String) {
        self.signal("-TERM");
        let mut log = String::new();
        self.child.stderr.take().expect("it is piped").read_to_string(&mut log).expect("it is text");
        (self.child.wait().expect("it is our child").success(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PRODUCTS: &str =
    r#"{"products":[{"sku":"TEA","name":"Tea","price":{"minor":450,"currency":"EUR"},"stock":10}]}"#;
const ORDER: &str = r#"{"customer_id":"ALFKI","lines":[{"sku":"TEA","quantity":1}]}"#;

#[test]
fn a_service_whose_file_is_gone_accepts_nothing() {
    let folder = Folder::new("gone");
    folder.run(&["migrate", "--database", "other.db"]).answer();
    let service = Running::on(&folder, &[]);
    assert!(service.ask("PUT", "/products", PRODUCTS).0 < 300);
    assert_eq!(service.ask("POST", "/orders", ORDER).0, 201);
    assert_eq!(service.ask("GET", "/health/ready", "").0, 200);
    let place = folder.path().join("o.db");
    std::fs::rename(folder.path().join("other.db"), &place).expect("it is put in place");
    let strange = std::fs::read(&place).expect("it is there");

    let (status, answer) = service.ask("POST", "/orders", &ORDER.replace(":1", ":2"));
    assert_eq!(status, 503, "{answer}");
    assert!(answer.contains("database file was moved, deleted, replaced"), "{answer}");
    assert_eq!(service.ask("PUT", "/products", PRODUCTS).0, 503);
    assert_eq!(service.ask("GET", "/orders", "").0, 503);
    let (status, answer) = service.ask("GET", "/health/ready", "");
    assert_eq!(status, 503, "{answer}");
    assert!(answer.contains("started anew"), "{answer}");
    until("health to be down", || service.ask("GET", "/health", "").0 == 503);
    let (stopped, log) = service.end();
    assert!(stopped && log.contains("o.db was replaced while it was in use"), "{log}");
    assert_eq!(
        std::fs::read(&place).expect("it is there"),
        strange,
        "nothing was written into the other file"
    );
}

#[test]
fn a_service_whose_file_is_overwritten_in_place_accepts_nothing_and_leaves_what_lies_there_as_it_is() {
    let folder = Folder::new("overwritten");
    folder.run(&["migrate", "--database", "other.db"]).answer();
    let service = Running::on(&folder, &[]);
    assert!(service.ask("PUT", "/products", PRODUCTS).0 < 300);
    assert_eq!(service.ask("POST", "/orders", ORDER).0, 201);
    assert_eq!(service.ask("GET", "/health/ready", "").0, 200);
    folder.shell("cp other.db o.db").answer();
    let (status, answer) = service.ask("POST", "/orders", &ORDER.replace(":1", ":2"));
    assert_eq!(status, 503, "{answer}");
    assert!(answer.contains("replaced or overwritten"), "{answer}");
    assert_eq!(service.ask("GET", "/health/ready", "").0, 503);
    until("health to be down", || service.ask("GET", "/health", "").0 == 503);
    let (stopped, log) = service.end();
    assert!(stopped && log.contains("o.db was overwritten while it was in use"), "{log}");
    let read = |name: &str| std::fs::read(folder.path().join(name)).expect("it is there");
    assert_eq!(read("o.db"), read("other.db"), "nothing was written into the other file");
    let orders = folder.run(&["orders", "list", "--json", "--database", "o.db"]).answer();
    assert!(!orders.contains("ALFKI"), "the log of the file that is gone came back: {orders}");
}

/// Looks until it is so; each look is a request and takes its time.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began_at = std::time::Instant::now();
    while !is_so() {
        assert!(began_at.elapsed() < std::time::Duration::from_secs(60), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn the_first_line_of_the_log_and_health_say_what_is_in_use() {
    let folder = Folder::new("uses");
    let service = Running::on(&folder, &["--payment-url", "http://127.0.0.1:1", "--json"]);
    let (_, health) = service.ask("GET", "/health", "");
    let (stopped, log) = service.end();
    assert!(stopped);
    let health: Value = serde_json::from_str(&health).expect("JSON");
    let first: Value = serde_json::from_str(log.lines().next().expect("a line")).expect("JSON");
    for told in [&health["uses"], &first] {
        for (what, with) in [
            ("profile", "development"),
            ("database", "o.db"),
            ("broker", "none: the database carries the messages"),
            ("payment_gateway", "http://127.0.0.1:1"),
            ("shipping_provider", "http://127.0.0.1:8090"),
        ] {
            assert_eq!(told[what], with, "{told}");
        }
    }
}

#[test]
fn a_hang_up_is_no_sudden_death_and_reads_anew_what_can_be() {
    let folder = Folder::new("hang-up");
    folder.file("o.toml", "[telemetry]\norder_events = \"failures\"\n");
    let service = Running::on(&folder, &["--config", "o.toml"]);
    folder.file("o.toml", "[telemetry]\norder_events = \"all\"\n");
    service.signal("-HUP");
    assert!(service.ask("PUT", "/products", PRODUCTS).0 < 300);
    assert_eq!(service.ask("GET", "/health/live", "").0, 200);
    let (stopped, log) = service.end();
    assert!(stopped && log.contains("were read anew"), "{log}");
    let wrong = Running::on(&folder, &["--config", "o.toml"]);
    folder.file("o.toml", "[telemetry]\norder_events = \"some\"\n");
    wrong.signal("-HUP");
    assert_eq!(wrong.ask("GET", "/health/live", "").0, 200);
    let (stopped, log) = wrong.end();
    assert!(stopped && log.contains("what was in force stays"), "{log}");
}

#[test]
fn a_hang_up_reads_webhook_secrets_anew_and_names_what_counts_only_after_a_restart() {
    let folder = Folder::new("hang-up-secrets");
    let settings = |order_ms: u32| {
        let secrets = "payment_webhook_secret_file = \"paid\"\nshipping_webhook_secret_file = \"shipped\"";
        format!("[providers]\n{secrets}\n[limits]\norder_ms = {order_ms}\n")
    };
    folder.file("o.toml", settings(1_800_000));
    folder.file("paid", "of-the-gateway-1");
    folder.file("shipped", "of-the-carrier-1");
    let service = Running::on(&folder, &["--config", "o.toml", "--json"]);
    assert_eq!(service.told_under("of-the-gateway-1"), 200);
    assert_eq!(service.told_under("of-the-gateway-2"), 401);
    folder.file("paid", "of-the-gateway-2");
    service.signal("-HUP");
    until("the new secret to be believed", || service.told_under("of-the-gateway-2") == 200);
    assert_eq!(service.told_under("of-the-gateway-1"), 401, "the old one is not believed any more");
    folder.file("o.toml", settings(1_700_000));
    folder.file("shipped", "");
    service.signal("-HUP");
    folder.file("shipped", "of-the-carrier-1");
    service.signal("-HUP");
    assert_eq!(service.told_under("of-the-gateway-2"), 200);
    let (stopped, log) = service.end();
    assert!(stopped, "{log}");
    let told = |member: &str, words: &str| {
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut lines =
            lines.filter(|line| line["message"].as_str().is_some_and(|said| said.contains(words)));
        lines.any(|line| line[member] != Value::Null && !line[member].to_string().contains("of-the"))
    };
    assert!(log.contains("\"changed\":\"providers.payment_webhook_secret\""), "{log}");
    assert!(told("changed", "were read anew"), "{log}");
    assert!(log.contains("\"settings\":\"limits.order_ms\""), "{log}");
    assert!(told("settings", "count only after a restart"), "{log}");
    assert!(!log.contains("of-the-gateway"), "no secret is told: {log}");
}

#[test]
fn the_sandbox_does_not_die_of_a_hang_up_either() {
    let folder = Folder::new("hang-up-sandbox");
    let mut child = folder.start(&["sandbox", "--listen", "127.0.0.1:0", "--json"]);
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let first = lines.next().expect("it greets").expect("it is text");
    let greeting: Value = serde_json::from_str(&first).expect("JSON");
    let address = greeting["address"].as_str().expect("an address").to_owned();
    let running = Running { child, address: address.replace("http://", "") };
    running.signal("-HUP");
    for path in ["/health", "/health/ready"] {
        assert_eq!(running.ask("GET", path, "").0, 200);
    }
    let elsewhere = folder.run(&["health", "--url", "http://127.0.0.1:1", "--or-url", &address]);
    elsewhere.answer();
    assert!(running.end().0);
}
