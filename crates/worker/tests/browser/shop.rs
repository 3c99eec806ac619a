//! Two workers of one shop on servers of the test's own, with a sandbox for a provider, and orders in every state that an
//! operator meets.

use std::sync::{Arc, OnceLock};

use application::commands::{Command, CommandPipeline};
use application::messages::{Amount, PaymentProcessingRequested, correlation};
use application::pipeline::Context;
use application::ports::UnitOfWork;
use application::saga::{EventKind, Facts, Happening, SagaEvent, carry_out};
use async_trait::async_trait;
use bus::{Envelope, Fault, MessageId};
use bytes::Bytes;
use domain::OrderId;
use orderwright::config::Config;
use orderwright::wiring::{self, Service};
use sandbox::{Availability, Pause, Running, Sandbox};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use testkit::servers::browser::Browser;
use testkit::servers::rabbitmq::RabbitMq;
use testkit::servers::{Durability, Postgres};
use tokio::net::TcpListener;

/// The key that operators of the test sign in with.
pub(crate) const KEY: &str = "a key of the test's own, long enough to be one";

/// The driver that the tests here share.
pub(crate) fn browser() -> &'static Browser {
    static BROWSER: OnceLock<Browser> = OnceLock::new();
    BROWSER.get_or_init(|| Browser::start().expect("a browser"))
}

/// Two workers at work.
pub(crate) struct Shop {
    pub(crate) one: Service,
    pub(crate) other: Service,
    pub(crate) sandbox: Running,
    context: Arc<Context>,
    _servers: (Postgres, RabbitMq),
}

/// A setting, as a file has it.
fn read<T: DeserializeOwned>(said: impl Serialize) -> T {
    serde_json::from_value(json!(said)).expect("a setting")
}

async fn port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let postgres = Postgres::start(Durability::None).expect("a server of our own");
        let node = RabbitMq::start().expect("a node of our own");
        let (one, other) = (port().await, port().await);
        let database = read(postgres.database().expect("a database"));
        let mut config = Config { database, ..Config::default() };
        config.rabbitmq.addresses = read(&[node.vhost().expect("a virtual host")]);
        config.security.admin_key = KEY.to_owned().into();
        config.security.session_secret = "a secret that both workers share, long enough".to_owned().into();
        let webhooks = format!("http://{}/webhooks", one.local_addr().expect("an address"));
        let secret =
            config.providers.webhook_secrets(application::ports::Provider::Payments).now.expose().to_owned();
        let settings = sandbox::Settings {
            webhook_url: Some(webhooks),
            webhook_secret: secret,
            ..sandbox::Settings::default()
        };
        let sandbox = Sandbox::start(port().await, settings).expect("a sandbox");
        let address = format!("http://{}", sandbox.addr);
        config.providers.payment_url.clone_from(&address);
        config.providers.shipping_url = address;
        let context = wiring::context(&config);
        let one = Service::start(&config, one).await.expect("a worker");
        let other = Service::start(&config, other).await.expect("another worker");
        let shop = Self { one, other, sandbox, context, _servers: (postgres, node) };
        shop.send("PUT", "/products", "catalogue", &json!({"products": [
            {"sku": "TEA-1", "name": "Tea", "price": {"minor": 450, "currency": "EUR"}, "stock": 1_000, "reorder_level": 3},
            {"sku": "MUG-1", "name": "Mug", "price": {"minor": 900, "currency": "EUR"}, "stock": 3, "reorder_level": 5},
        ]}))
        .await;
        shop
    }

    /// The address of the first worker.
    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.one.addr)
    }

    /// Sends JSON to the API; it must be taken.
    pub(crate) async fn send(&self, method: &str, path: &str, key: &str, body: &Value) -> Value {
        let client: hyper_util::client::legacy::Client<_, http_body_util::Full<Bytes>> =
            hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address()))
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .header("x-api-key", KEY)
            .body(http_body_util::Full::from(body.to_string()))
            .expect("a request");
        let response = client.request(request).await.expect("an answer");
        let status = response.status();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("a body").to_bytes();
        assert!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or_default()
    }

    /// The gateway is away, or there again.
    pub(crate) fn gateway(&self, availability: Availability) {
        self.sandbox.faults().pause(Pause { payments: Some(availability), shipping: None });
    }

    /// Places an order under this reference and returns its id.
    pub(crate) async fn order(&self, reference: &str, sku: &str) -> String {
        let order = json!({"customer_id": "ALFKI", "external_reference": reference, "lines": [{"sku": sku, "quantity": 1}]});
        let accepted = self.send("POST", "/orders", reference, &order).await;
        accepted["order_id"].as_str().expect("an id").to_owned()
    }

    /// Lets this happen to an order, as if a provider had told.
    pub(crate) async fn happens(&self, order_id: &str, kind: EventKind) {
        let order_id: OrderId = order_id.parse().expect("an id");
        self.commands().run(&Happens { order_id, kind }).await.expect("it happens");
    }

    /// Leaves messages about orders that are not there, which no consumer can handle.
    pub(crate) async fn leave_dead_letters(&self, count: u32) {
        self.commands().run(&LeaveDeadLetters(count)).await.expect("they are left");
    }

    fn commands(&self) -> CommandPipeline {
        CommandPipeline::new(Arc::clone(&self.one.store.units), Arc::clone(&self.context))
    }

    pub(crate) async fn close(self) {
        self.one.stop().await;
        self.other.stop().await;
        self.sandbox.stop().await;
    }
}

struct Happens {
    order_id: OrderId,
    kind: EventKind,
}

#[async_trait]
impl Command for Happens {
    type Reply = ();

    const NAME: &'static str = "Happens";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<(), Fault> {
        let now = context.clock.now();
        let id = MessageId(context.ids.next(now));
        let cause = Envelope::first(id, correlation(self.order_id), Self::NAME, Bytes::new(), now);
        let event = SagaEvent::of(self.kind);
        let happening = Happening { order_id: self.order_id, event, cause: &cause, facts: Facts::default() };
        carry_out(unit, &[happening], now).await.map(|_| ())
    }
}

struct LeaveDeadLetters(u32);

#[async_trait]
impl Command for LeaveDeadLetters {
    type Reply = ();

    const NAME: &'static str = "LeaveDeadLetters";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<(), Fault> {
        let now = context.clock.now();
        let message = |_| {
            let order_id = OrderId(context.ids.next(now));
            let asked = PaymentProcessingRequested {
                order_id: order_id.0,
                amount: Amount { minor: 450, currency: "EUR".to_owned() },
                idempotency_key: format!("pay-{order_id}"),
                payment_token: Some("tok_of_nobody".to_owned()),
                capture: domain::Capture::AtOnce,
            };
            let body = serde_json::to_vec(&asked).expect("it is JSON").into();
            let id = MessageId(context.ids.next(now));
            let kind = PaymentProcessingRequested::KIND;
            // One that was tried before is held against our own rows, as if it had come from elsewhere.
            Envelope { attempt: 1, ..Envelope::first(id, correlation(order_id), kind, body, now) }
        };
        unit.publish((0..self.0).map(message).collect()).await
    }
}
