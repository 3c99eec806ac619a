//! A service on a store in memory, with a router that is called directly, and words for what the tests do to it.

use std::sync::Arc;

use application::commands::{CommandPipeline, CreateOrderHandler};
use application::hold_rules::HoldRules;
use application::pipeline::{Context, HandOver, PipelineSettings, topology};
use application::ports::{ApiKey, Channel, GatewayBooks, ListedCharge, Listing, Scope, Unanswered};
use application::saga::EventKind;
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bus::harness::MemoryErrorQueues;
use bus::{Clock, Coalescer, ErrorQueues, PauseBoard, RandomIds, Routing, Stop, VirtualClock};
use bytes::Bytes;
use domain::{OrderId, ProductId, Sku};
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use infrastructure::sqlite::{SqliteOptions, SqliteStore};
use jiff::Timestamp;
use orderwright::http::{
    Api, Awaited, CONNECTIONS_MAX, InFlightKeys, Integrations, StoreReadiness, Watch, Webhooks, router,
};
use orderwright::operations::Operations;
use orderwright::security::{Gate, GateSettings, KeyRing, KeyText};
use orderwright::webhook_endpoints::Plain;
use providers::webhooks::Verifier;
use serde_json::{Value, json};
use sha2::Sha256;
use testkit::happen::Happen;
use tower::ServiceExt;
use uuid::Uuid;

use crate::conformance;

pub(crate) const PAYMENTS_SECRET: &str = "secret of the gateway";
pub(crate) const SHIPPING_SECRET: &str = "secret of the carrier";

/// When every test begins.
pub(crate) const MORNING: &str = "2026-03-04T09:00:00Z";

pub(crate) struct Service {
    pub(crate) router: Router,
    pub(crate) api: Arc<Api>,
    pub(crate) store: SqliteStore,
    pub(crate) stop: Stop,
    pub(crate) clock: Arc<VirtualClock>,
    accepting: Option<BoxFuture<'static, ()>>,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// Expects a problem of this code, whole.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(
            self.headers.get("content-type").map(http::HeaderValue::as_bytes),
            Some(&b"application/problem+json"[..])
        );
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
        problem
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The pairs of pointer (or parameter) and code that a problem lists.
pub(crate) fn places(problem: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let place = |error: &Value| {
        if error["pointer"].is_string() { text(&error["pointer"]) } else { text(&error["parameter"]) }
    };
    problem["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|error| (place(error), text(&error["code"])))
        .collect()
}

pub(crate) fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(place, code)| ((*place).to_owned(), (*code).to_owned())).collect()
}

impl Service {
    /// A service with a small catalogue: CHAI (100 units) and TOFU (5 units, reorder at 10), both in dollars.
    pub(crate) async fn start() -> Self {
        let mut service = Self::without_acceptance().await;
        service.accept();
        service.stock().await;
        service
    }

    async fn stock(&self) {
        self.put_products(&json!({"products": [
            {"sku": "CHAI", "name": "Chai", "price": {"minor": 1800, "currency": "USD"}, "stock": 100},
            {"sku": "TOFU", "name": "Tofu", "price": {"minor": 2325, "currency": "USD"}, "stock": 5, "reorder_level": 10},
        ]}))
        .await;
    }

    /// Puts this gate before everything.
    pub(crate) fn behind(mut self, settings: GateSettings, ring: &Arc<KeyRing>) -> Self {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let gate = Arc::new(Gate::new(settings, Arc::clone(ring), clock));
        self.router = router(Arc::clone(&self.api), gate);
        self
    }

    /// A service in which orders wait at the door until [`Self::accept`].
    pub(crate) async fn without_acceptance() -> Self {
        Self::built(None).await
    }

    /// A service between which and its queues stands a broker with these error queues.
    pub(crate) async fn with_error_queues(error_queues: &MemoryErrorQueues) -> Self {
        let mut service = Self::built(Some(Arc::new(error_queues.clone()))).await;
        service.accept();
        service.stock().await;
        service
    }

    async fn built(error_queues: Option<Arc<dyn ErrorQueues>>) -> Self {
        let store = SqliteStore::in_memory(SqliteOptions::new(topology(), Routing::Store)).expect("a store");
        store.migrate().await.expect("tables");
        let clock = Arc::new(VirtualClock::starting_at(MORNING.parse().expect("a time")));
        let ids = Arc::new(RandomIds::seeded(7));
        let context = Arc::new(Context {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ids,
            // One step at a time, so that each can be looked at.
            settings: PipelineSettings { hand_over: HandOver::ByQueue, ..PipelineSettings::default() },
            pauses: PauseBoard::default(),
            hold_rules: HoldRules::default(),
        });
        let commands = CommandPipeline::new(Arc::new(store.clone()), Arc::clone(&context));
        let handler = CreateOrderHandler::new(Arc::new(store.clone()), context);
        let stop = Stop::new();
        let (create, accepting) = Coalescer::new(Arc::new(handler));
        let verifier = |secret| Verifier::new(secret).expect("a secret");
        let (webhooks, listening) =
            Webhooks::new(verifier(PAYMENTS_SECRET), verifier(SHIPPING_SECRET), &commands, &stop);
        tokio::spawn(listening);
        let (awaited, looking) = Awaited::new(Arc::new(store.clone()), CONNECTIONS_MAX, stop.clone());
        tokio::spawn(looking);
        let (integrations, following) = Integrations::new(
            Arc::new(store.clone()),
            Arc::new(store.clone()),
            Plain::Allowed,
            CONNECTIONS_MAX,
            stop.clone(),
        );
        tokio::spawn(following);
        let api = Arc::new(Api {
            commands,
            create,
            readers: Arc::new(store.clone()),
            dead_letters: Arc::new(store.clone()),
            operations: Operations {
                queues: topology().all_queues().into(),
                pauses: Arc::new(store.clone()),
                workers: Arc::new(store.clone()),
                worker_id: Uuid::nil(),
                error_queues,
            },
            webhooks,
            readiness: Arc::new(StoreReadiness::new(Arc::new(store.clone()), stop.clone())),
            channels: [Channel::Log, Channel::Smtp].into(),
            books: Arc::new(NoList),
            in_flight: InFlightKeys::default(),
            awaited,
            integrations,
            watch: Watch::default(),
        });
        let gate = Arc::new(Gate::open(Arc::clone(&clock) as Arc<dyn Clock>));
        let router = router(Arc::clone(&api), gate);
        Self { router, api, store, stop, clock, accepting: Some(Box::pin(accepting)) }
    }

    /// Lets the orders in that wait at the door, and all that follow.
    pub(crate) fn accept(&mut self) {
        tokio::spawn(self.accepting.take().expect("accepting begins once"));
    }

    /// Closes the door: nobody accepts orders any more.
    pub(crate) fn refuse(&mut self) {
        drop(self.accepting.take().expect("not accepting yet"));
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.expect("a router answers");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        if let Ok(value) = serde_json::from_slice(&answer.body)
            && let Some(complaint) = conformance::complaint(&method, &path, answer.status.as_u16(), &value)
        {
            panic!("{method} {path}: {complaint}\n{value:#}");
        }
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, &[], Body::empty())).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(request(Method::POST, path, &[JSON], Body::from(body.to_string()))).await
    }

    pub(crate) async fn put_products(&self, body: &Value) -> Answer {
        self.send(request(Method::PUT, "/products", &[JSON], Body::from(body.to_string()))).await
    }

    pub(crate) async fn order(&self, key: &str, body: &Value) -> Answer {
        self.send(order_request(key, body.to_string())).await
    }

    /// Places an order of so many units of CHAI and returns its id.
    pub(crate) async fn placed(&self, key: &str, quantity: i64) -> String {
        let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": quantity}]});
        let accepted = self.order(key, &order).await.expect(201);
        accepted["order_id"].as_str().expect("an id").to_owned()
    }

    /// Lets these things happen to an order, as if consumers had told.
    pub(crate) async fn happen(&self, order_id: &str, kinds: &[EventKind]) {
        let order_id: OrderId = order_id.parse().expect("an order id");
        for kind in kinds {
            self.api.commands.run(&Happen { order_id, kind: *kind }).await.expect("it happens");
        }
    }

    pub(crate) async fn webhook(&self, path: &str, secret: &str, id: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let sent_at = self.clock.now().as_second().to_string();
        let signature = signature(secret, id, &sent_at, body.as_bytes());
        let headers =
            [JSON, ("webhook-id", id), ("webhook-timestamp", &sent_at), ("webhook-signature", &signature)];
        self.send(request(Method::POST, path, &headers, Body::from(body))).await
    }
}

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

pub(crate) fn request(method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).expect("a request")
}

pub(crate) fn order_request(key: &str, body: impl Into<Body>) -> Request<Body> {
    request(Method::POST, "/orders", &[JSON, ("idempotency-key", key)], body.into())
}

pub(crate) fn signature(secret: &str, id: &str, sent_at: &str, body: &[u8]) -> String {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(secret.as_bytes()).expect("any key does");
    for part in [id.as_bytes(), b".", sent_at.as_bytes(), b".", body] {
        mac.update(part);
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The books of a gateway that cannot list.
pub(crate) struct NoList;

#[async_trait]
impl GatewayBooks for NoList {
    async fn listed_charges(&self, _: Option<&str>, _: usize) -> Result<Listing, Unanswered> {
        Ok(Listing::CannotList)
    }

    async fn listed_charge(&self, _: &str) -> Result<Option<ListedCharge>, Unanswered> {
        Ok(None)
    }
}

pub(crate) fn product_id(sku: &str) -> String {
    ProductId::of(&Sku::parse(sku).expect("a sku")).to_string()
}

/// A key of this name and these scopes; keys of different numbers are different.
pub(crate) fn api_key(number: u8, name: &str, scopes: &[Scope]) -> (KeyText, ApiKey) {
    let text = KeyText::make(|bytes| {
        bytes.fill(number);
        Ok::<(), ()>(())
    });
    let text = text.expect("it was filled");
    let stored = ApiKey {
        id: text.id().to_owned(),
        name: name.to_owned(),
        digest: text.digest(),
        scopes: scopes.iter().copied().collect(),
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        revoked_at: None,
    };
    (text, stored)
}
