//! A sandbox and a service beside it, both the real program, and words for what happens to money and parcels there.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::program::{Folder, Ran};
use crate::running::{Running, until};

/// Delivered at once.
pub(crate) const PROMPT: [&str; 4] = ["--delivery-min-ms", "1", "--delivery-max-ms", "2"];
/// Handed over and delivered long after the test.
pub(crate) const SLOW: [&str; 4] = ["--delivery-min-ms", "600000", "--delivery-max-ms", "900000"];

/// A shop that sells tea at 4.50 euros, and its providers.
pub(crate) struct Shop {
    pub(crate) folder: Folder,
    service: Running,
    provider: Running,
}

impl Shop {
    /// With a carrier of this pace.
    pub(crate) fn open(name: &str, pace: [&str; 4]) -> Self {
        Self::with(name, pace, "")
    }

    /// The same, with settings for the service.
    pub(crate) fn with(name: &str, pace: [&str; 4], settings: &str) -> Self {
        let folder = Folder::new(name);
        let listen = format!("127.0.0.1:{}", free_port());
        let webhooks = format!("http://{listen}/webhooks");
        let sandbox = ["sandbox", "--json", "--listen", "127.0.0.1:0", "--webhook-url", &webhooks];
        let provider = Running::of(&folder, &[&sandbox[..], &pace].concat());
        folder.file("shop.toml", settings);
        let url = provider.url();
        let serve = ["serve", "--listen", &listen, "--database", "o.db", "--config", "shop.toml"];
        let service =
            Running::of(&folder, &[&serve[..], &["--payment-url", &url, "--shipping-url", &url]].concat());
        let products = r#"{"products":[{"sku":"TEA","name":"Tea","price":{"minor":450,"currency":"EUR"},"stock":1000}]}"#;
        assert!(service.ask("PUT", "/products", products).0 < 300);
        Self { folder, service, provider }
    }

    /// The address of the providers.
    pub(crate) fn provider_url(&self) -> String {
        self.provider.url()
    }

    /// The address of the service.
    pub(crate) fn url(&self) -> String {
        self.service.url()
    }

    /// An order for one tea, paid like this.
    pub(crate) fn order(&self, key: &str, token: &str) -> String {
        let order = json!({
            "customer_id": "ALFKI", "payment_token": token, "lines": [{"sku": "TEA", "quantity": 1}],
        });
        let (status, answer) = self.post(key, "/orders", &order);
        assert_eq!(status, 201, "{answer}");
        answer["order_id"].as_str().expect("an id").to_owned()
    }

    /// An order for one tea that has come to this status.
    pub(crate) fn order_that_is(&self, key: &str, status: &str) -> String {
        let id = self.order(key, "tok_visa");
        self.until_order(&id, "/status", status);
        id
    }

    /// What the service answers.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, answer) = self.service.ask("GET", path, "");
        assert_eq!(status, 200, "{path}: {answer}");
        serde_json::from_str(&answer).expect("JSON")
    }

    pub(crate) fn post(&self, key: &str, path: &str, body: &Value) -> (u16, Value) {
        let (status, answer) = self.service.ask_under(key, "POST", path, &body.to_string());
        (status, serde_json::from_str(&answer).expect("JSON"))
    }

    /// Has something happen at the provider; it must be possible.
    pub(crate) fn provider(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = self.provider.ask_under(path, method, path, &body);
        assert!((200..300).contains(&status), "{path}: {answer}");
        serde_json::from_str(&answer).expect("JSON")
    }

    /// Asks the provider under a key.
    pub(crate) fn post_to_provider(&self, key: &str, path: &str, body: &Value) -> (u16, String) {
        self.provider.ask_under(key, "POST", path, &body.to_string())
    }

    /// Has this happen to the charge of an order: `dispute`, `charge-again` and the like.
    pub(crate) fn charge(&self, order_id: &str, turn: &str) -> Value {
        self.provider("POST", &format!("/charges/by-key/pay-{order_id}/{turn}"), &Value::Null)
    }

    /// Has this happen to the parcel of an order: `lose`, `return` and the like.
    pub(crate) fn parcel(&self, order_id: &str, turn: &str) -> Value {
        self.provider("POST", &format!("/shipments/by-key/ship-{order_id}/{turn}"), &Value::Null)
    }

    /// Gives money back at the gateway, by hand.
    pub(crate) fn give_back(&self, key: &str, minor: i64) -> Value {
        let path = format!("/payments/charges/by-key/{key}/refund");
        self.provider("POST", &path, &json!({"amount_minor": minor}))
    }

    /// No webhook arrives from now on.
    pub(crate) fn lose_webhooks(&self) {
        self.provider("PUT", "/faults", &json!({"webhooks": {"drop_permille": 1000}}));
    }

    /// Runs a command on the shop's database.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.folder.run(&[arguments, &["--database", "o.db"]].concat())
    }

    pub(crate) fn until_order(&self, id: &str, pointer: &str, wanted: impl Into<Value>) {
        self.until(&format!("/orders/{id}"), pointer, wanted);
    }

    /// Looks at an address until this stands there.
    pub(crate) fn until(&self, path: &str, pointer: &str, wanted: impl Into<Value>) {
        let wanted = wanted.into();
        let seen = || self.get(path).pointer(pointer).cloned().unwrap_or_default();
        until(&format!("{path} to tell {wanted} at {pointer}"), || seen() == wanted);
    }

    /// What a person is asked about an order.
    pub(crate) fn until_a_person_is_asked(&self, id: &str, cause: &str) {
        self.until(&format!("/orders/{id}/saga"), "/attention/cause", cause);
        self.until_order(id, "/saga_state", "needs_attention");
    }

    /// All that the history of an order tells.
    pub(crate) fn history(&self, id: &str) -> String {
        self.get(&format!("/orders/{id}/history")).to_string()
    }
}

/// The providers must know where the service listens before it does.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
