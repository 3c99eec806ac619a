//! A whole service with the sandbox as its providers, and a client for it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use orderwright::config::{Config, Telemetry};
use orderwright::demo::Stage;
use serde_json::{Value, json};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(25);

/// A running service.
pub(crate) struct Running {
    pub(crate) stage: Stage,
    folder: Option<PathBuf>,
}

/// Settings under which everything is looked at many times a second.
pub(crate) fn config(database: &str) -> Config {
    let mut config = Config { database: database.into(), ..Config::default() };
    config.providers.call_limit_ms = 250;
    config.telemetry = Telemetry {
        collect_ms: 100,
        check_ms: 100,
        check_limit_ms: 1_000,
        books_check_ms: 100,
        stall_ms: 1_500,
        ..Telemetry::default()
    };
    config
}

impl Running {
    /// A folder of its own.
    pub(crate) fn folder() -> PathBuf {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("orderwright-observing-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder of our own");
        folder
    }

    /// On a file of its own.
    pub(crate) async fn on_file() -> Self {
        let folder = Self::folder();
        let file = folder.join("orders.db");
        let stage = open(config(&file.to_string_lossy())).await;
        Self { stage, folder: Some(folder) }
    }

    /// With these settings.
    pub(crate) async fn with(config: Config) -> Self {
        Self { stage: open(config).await, folder: None }
    }

    pub(crate) async fn stop(self) {
        self.stage.close().await;
        if let Some(folder) = self.folder {
            std::fs::remove_dir_all(folder).expect("the folder is ours");
        }
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        send(&self.stage.address(), method.as_str(), path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.call(Method::GET, path, None).await
    }

    /// CHAI, of which there are a thousand, and TOFU, of which there are two.
    pub(crate) async fn stock(&self) {
        let products = json!({"products": [
            {"sku": "CHAI", "name": "Chai", "price": {"minor": 1800, "currency": "USD"}, "stock": 1000},
            {"sku": "TOFU", "name": "Tofu", "price": {"minor": 2325, "currency": "USD"}, "stock": 2, "reorder_level": 10},
        ]});
        let (status, answer) = self.call(Method::PUT, "/products", Some(&products)).await;
        assert!(status.is_success(), "{answer}");
    }

    /// Places an order and returns its id.
    pub(crate) async fn order(&self, key: &str, sku: &str, quantity: u32) -> String {
        let order = json!({
            "key": key,
            "customer_id": "ALFKI",
            "lines": [{"sku": sku, "quantity": quantity}],
        });
        let (status, answer) = self.call(Method::POST, "/orders", Some(&order)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer["order_id"].as_str().expect("an id").to_owned()
    }

    /// Waits until so many orders have this status.
    pub(crate) async fn until_orders(&self, status: &str, count: u64) {
        until(&format!("{count} orders to be {status}"), async || {
            self.get("/overview").await.1["orders"][status] == count
        })
        .await;
    }

    /// The status of every health check.
    pub(crate) async fn health(&self) -> Vec<(String, String)> {
        let (_, report) = self.get("/health").await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let checks = report["checks"].as_array().into_iter().flatten();
        checks.map(|check| (text(&check["name"]), text(&check["status"]))).collect()
    }

    /// The checks that are not up.
    pub(crate) async fn ill(&self) -> Vec<String> {
        self.health().await.into_iter().filter(|(_, status)| status != "up").map(|(name, _)| name).collect()
    }

    /// Waits until exactly these checks are not up.
    pub(crate) async fn until_ill(&self, wanted: &[&str]) {
        let mut seen = Vec::new();
        let began_at = tokio::time::Instant::now();
        while began_at.elapsed() < PATIENCE {
            seen = self.ill().await;
            if seen == wanted {
                return;
            }
            look().await;
        }
        panic!("waited for {wanted:?} to be ill; ill are {seen:?}:\n{:#}", self.get("/health").await.1);
    }
}

/// Sends a request and reads the answer; the members `key` and `traceparent` of the body become the headers.
pub(crate) async fn send(base: &str, method: &str, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
    let member = |name: &str| body.and_then(|body| body[name].as_str()).map(str::to_owned);
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{base}{path}"))
        .header("content-type", "application/json")
        .header("idempotency-key", member("key").unwrap_or_else(|| "none".to_owned()));
    if let Some(context) = member("traceparent") {
        request = request.header("traceparent", context);
    }
    let request = request
        .body(Full::new(body.map_or_else(Bytes::new, |body| Bytes::from(strip(body).to_string()))))
        .expect("a request");
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.expect("the service answers");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a whole answer").to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// Waits for this to hold.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began_at = tokio::time::Instant::now();
    while began_at.elapsed() < PATIENCE {
        if holds().await {
            return;
        }
        look().await;
    }
    panic!("waited in vain for {what}");
}

/// Until the next look. There is no event to wait for: what is watched here is told to whoever asks.
async fn look() {
    let mut pause = tokio::time::interval(LOOK);
    pause.tick().await;
    pause.tick().await;
}

async fn open(config: Config) -> Stage {
    let sandbox = sandbox::Settings { delivery_delay_ms: (10, 30), ..sandbox::Settings::default() };
    Stage::open(config, Some(sandbox)).await.expect("a service")
}

/// The body without what travels as headers.
fn strip(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(members) = body.as_object_mut() {
        members.remove("key");
        members.remove("traceparent");
    }
    body
}
