//! The service's API from a client's side: sends, tries again what is worth it, and tells yes from no.
//! Every request may be sent again without harm; one that could not is not made here.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bus::{Clock, IdSource, RandomIds, SystemClock};
use bytes::Bytes;
use domain::Availability;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::known::{KnownOrder, KnownProduct};
use crate::config::shown;
use crate::security::HIDDEN;

/// Bytes of one answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long one answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// Attempts at one request, and the pauses between them; they double.
const ATTEMPTS_MAX: u32 = 12;
const PAUSE_MIN: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Where orders are sent.
const ORDERS: &str = "/orders";

/// The header that says that an order is one of an import.
pub(crate) const IMPORTED_ORDER: &str = "order-import";

/// Products in one request.
const PRODUCTS_MAX: usize = 500;

/// Entries of one page of a listing.
const PAGE_MAX: usize = 200;

/// Low products asked for at once.
const LOW_MAX: usize = 200;

/// A client of one service. Connections are kept and shared.
pub struct ApiClient {
    http: Client<HttpConnector, Full<Bytes>>,
    base: String,
    key: Option<HeaderValue>,
    orders: Orders,
}

/// Whose orders a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Orders {
    /// Its own.
    Own,
    /// Those of a file.
    Imported,
}

/// What the service made of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderAnswer {
    /// It is new.
    New(Uuid),
    /// It was there before.
    Replayed(Uuid),
    /// It is not had.
    Refused(Refusal),
}

/// What the service made of a cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It is being undone.
    Accepted,
    /// It was cancelled before.
    Already,
    /// It cannot be.
    Refused(Refusal),
}

/// A no, with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// Stable code.
    pub code: String,
    /// In words.
    #[serde(default)]
    pub detail: String,
}

/// A product as it is sent.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ProductBody<'a> {
    /// Its name in the trade.
    pub sku: &'a str,
    /// Its name.
    pub name: &'a str,
    /// More about it.
    pub description: &'a str,
    /// What one costs.
    pub price: PriceBody<'a>,
    /// Units that it starts with.
    pub stock: i64,
    /// At this many or fewer it is time to reorder.
    pub reorder_level: i64,
    /// `active` or `discontinued`.
    pub availability: &'a str,
}

/// A price as it is sent.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PriceBody<'a> {
    /// Minor units.
    pub minor: i64,
    /// ISO 4217 code.
    pub currency: &'a str,
}

/// A product that is low.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LowProduct {
    /// Its name in the trade.
    pub sku: String,
    /// Units for sale.
    pub available: i64,
    /// At this many or fewer it is low.
    pub reorder_level: i64,
}

struct Answer {
    status: StatusCode,
    replayed: bool,
    body: Bytes,
}

/// Why an attempt is worth another.
enum Again {
    /// The service asked for it, perhaps with a pause.
    Asked(Option<Duration>),
    /// It could not be reached.
    Unreachable(anyhow::Error),
}

impl ApiClient {
    /// A client of the service at this address, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// If it is no such address.
    pub fn new(base: &str) -> Result<Self> {
        let uri: Uri = base.parse().with_context(|| format!("'{}' is not an address", shown(base)))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            bail!("'{}' is not an address; write http://HOST:PORT", shown(base));
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(ANSWER_TIME_MAX));
        let http = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), key: None, orders: Orders::Own })
    }

    /// Shows this key with every request.
    ///
    /// # Errors
    /// If it could not be any service's.
    pub fn with_key(mut self, key: &str) -> Result<Self> {
        let mut key = HeaderValue::from_str(key.trim()).context("an API key has no such characters")?;
        key.set_sensitive(true);
        self.key = Some(key);
        Ok(self)
    }

    /// Sends orders as those of a file: they bear the references of an import, and the key needs its scope.
    #[must_use]
    pub const fn importing(mut self) -> Self {
        self.orders = Orders::Imported;
        self
    }

    /// Sends products in batches; returns how many were new.
    ///
    /// # Errors
    /// If the service cannot be reached or would not have them.
    pub async fn put_products(&self, import: &str, products: &[ProductBody<'_>]) -> Result<u64> {
        #[derive(Serialize)]
        struct Batch<'a> {
            import: &'a str,
            products: &'a [ProductBody<'a>],
        }
        #[derive(Deserialize)]
        struct Imported {
            created: u64,
        }
        let mut created = 0;
        for products in products.chunks(PRODUCTS_MAX) {
            let body = serde_json::to_vec(&Batch { import, products })?;
            let imported: Imported =
                self.send(Method::PUT, "/products", None, body.into()).await?.expect_ok()?;
            created += imported.created;
        }
        Ok(created)
    }

    /// Shows each product of the catalogue.
    ///
    /// # Errors
    /// If the service cannot be reached.
    pub async fn each_product(&self, show: &mut (dyn FnMut(KnownProduct) + Send)) -> Result<()> {
        #[derive(Deserialize)]
        struct Page {
            items: Vec<Product>,
            next_cursor: Option<String>,
        }
        #[derive(Deserialize)]
        struct Product {
            sku: String,
            price: Price,
            availability: String,
        }
        #[derive(Deserialize)]
        struct Price {
            currency: String,
        }
        let mut path = format!("/products?limit={PAGE_MAX}");
        loop {
            let page: Page = self.send(Method::GET, &path, None, Bytes::new()).await?.expect_ok()?;
            for Product { sku, price, availability } in page.items {
                let discontinued = availability == Availability::Discontinued.as_str();
                show(KnownProduct { sku, currency: price.currency, discontinued });
            }
            match page.next_cursor {
                Some(cursor) => path = format!("/products?limit={PAGE_MAX}&cursor={}", encoded(&cursor)),
                None => return Ok(()),
            }
        }
    }

    /// The order of this reference.
    ///
    /// # Errors
    /// If the service cannot be reached, or the key may not read orders.
    pub async fn find_order(&self, reference: &str) -> Result<Option<Uuid>> {
        #[derive(Deserialize)]
        struct Page {
            items: Vec<Order>,
        }
        #[derive(Deserialize)]
        struct Order {
            order_id: Uuid,
        }
        let path = format!("/orders?limit=1&external_reference={}", encoded(reference));
        let answer = self.send(Method::GET, &path, None, Bytes::new()).await?;
        if answer.status == StatusCode::FORBIDDEN {
            bail!("the API key may not look for orders that are here already; give it the scope orders:read");
        }
        let page: Page = answer.expect_ok()?;
        Ok(page.items.first().map(|order| order.order_id))
    }

    /// An order that was found.
    ///
    /// # Errors
    /// If the service cannot be reached, does not know the order, or hides from this key whose it is.
    pub async fn order(&self, order_id: Uuid) -> Result<KnownOrder> {
        let path = format!("/orders/{order_id}");
        let known: KnownOrder = self.send(Method::GET, &path, None, Bytes::new()).await?.expect_ok()?;
        if known.customer_id == HIDDEN {
            bail!("the API key may not see whose orders are here already; give it the scope personal:read");
        }
        Ok(known)
    }

    /// Sends an order under a key.
    ///
    /// # Errors
    /// If the service cannot be reached, or answers what it never should.
    pub async fn create_order(&self, key: &str, body: Bytes) -> Result<OrderAnswer> {
        #[derive(Deserialize)]
        struct Accepted {
            order_id: Uuid,
        }
        let answer = self.send(Method::POST, ORDERS, Some(key), body).await?;
        if answer.status == StatusCode::FORBIDDEN {
            bail!("the service does not let this API key place the orders: {}", answer.refusal()?.detail);
        }
        if answer.status.is_client_error() {
            return Ok(OrderAnswer::Refused(answer.refusal()?));
        }
        let replayed = answer.replayed;
        let Accepted { order_id } = answer.expect_ok()?;
        Ok(if replayed { OrderAnswer::Replayed(order_id) } else { OrderAnswer::New(order_id) })
    }

    /// Cancels an order in the customer's name.
    ///
    /// # Errors
    /// If the service cannot be reached, or does not know the order.
    pub async fn cancel_order(&self, order_id: Uuid, actor: &str, note: &str) -> Result<Cancelled> {
        let body =
            serde_json::to_vec(&serde_json::json!({"reason": "customer", "actor": actor, "note": note}))?;
        let path = format!("/orders/{order_id}/cancel");
        let answer = self.send(Method::POST, &path, None, body.into()).await?;
        match answer.status {
            StatusCode::ACCEPTED => Ok(Cancelled::Accepted),
            StatusCode::OK => Ok(Cancelled::Already),
            StatusCode::CONFLICT => Ok(Cancelled::Refused(answer.refusal()?)),
            _ => Err(answer.unexpected()),
        }
    }

    /// Products at or below their reorder level.
    ///
    /// # Errors
    /// If the service cannot be reached.
    pub async fn low_products(&self) -> Result<Vec<LowProduct>> {
        #[derive(Deserialize)]
        struct Levels {
            items: Vec<LowProduct>,
        }
        let path = format!("/inventory?low=true&limit={LOW_MAX}");
        let levels: Levels = self.send(Method::GET, &path, None, Bytes::new()).await?.expect_ok()?;
        Ok(levels.items)
    }

    /// Takes goods in.
    ///
    /// # Errors
    /// If the service cannot be reached or would not have them.
    pub async fn receive_goods(&self, sku: &str, quantity: i64, actor: &str, reason: &str) -> Result<()> {
        let body = serde_json::json!({"quantity": quantity, "reason": reason, "actor": actor});
        let path = format!("/inventory/{}/receive", encoded(sku).replace('+', "%20"));
        self.act::<serde_json::Value>(&path, &body).await.map(drop)
    }

    /// Has something done once, however often it is sent, and returns what the service says of it.
    ///
    /// # Errors
    /// If the service cannot be reached or would not do it.
    pub async fn act<T: for<'a> Deserialize<'a>>(&self, path: &str, body: &serde_json::Value) -> Result<T> {
        let key = RandomIds::from_system().next(SystemClock.now()).to_string();
        self.send(Method::POST, path, Some(&key), serde_json::to_vec(body)?.into()).await?.expect_ok()
    }

    async fn send(&self, method: Method, path: &str, key: Option<&str>, body: Bytes) -> Result<Answer> {
        let mut pause = PAUSE_MIN;
        for attempt in 1.. {
            let again = match self.attempt(&method, path, key, body.clone()).await? {
                Ok(answer) => return Ok(answer),
                Err(again) => again,
            };
            let asked = match again {
                Again::Asked(asked) if attempt < ATTEMPTS_MAX => asked,
                Again::Unreachable(_) if attempt < ATTEMPTS_MAX => None,
                Again::Asked(_) => bail!("the service at {} stays too busy", shown(&self.base)),
                Again::Unreachable(error) => {
                    return Err(
                        error.context(format!("no service answers at {}; is it running?", shown(&self.base)))
                    );
                }
            };
            tokio::time::sleep(asked.unwrap_or(pause)).await;
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
        unreachable!("the last attempt returns")
    }

    async fn attempt(
        &self,
        method: &Method,
        path: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<Result<Answer, Again>> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key);
        }
        if self.orders == Orders::Imported && path == ORDERS {
            request = request.header(IMPORTED_ORDER, "true");
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body)).context("the request cannot be written")?;
        let exchange = async {
            let response = self.http.request(request).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            anyhow::Ok((head, body.map_err(anyhow::Error::from_boxed)?.to_bytes()))
        };
        let (head, body) = match tokio::time::timeout(ANSWER_TIME_MAX, exchange).await {
            Ok(Ok(exchanged)) => exchanged,
            Ok(Err(error)) => return Ok(Err(Again::Unreachable(error))),
            Err(late) => return Ok(Err(Again::Unreachable(late.into()))),
        };
        let pause = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        if matches!(head.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
            || (head.status == StatusCode::CONFLICT && pause.is_some())
        {
            return Ok(Err(Again::Asked(pause.map(Duration::from_secs))));
        }
        let replayed = head.headers.contains_key("idempotent-replayed");
        Ok(Ok(Answer { status: head.status, replayed, body }))
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl Answer {
    fn expect_ok<T: for<'a> Deserialize<'a>>(self) -> Result<T> {
        if !self.status.is_success() {
            return Err(self.unexpected());
        }
        serde_json::from_slice(&self.body).context("the service answered something else than expected")
    }

    fn refusal(&self) -> Result<Refusal> {
        /// A problem with its parts.
        #[derive(Deserialize)]
        struct Problem {
            #[serde(flatten)]
            refusal: Refusal,
            #[serde(default)]
            errors: Vec<Part>,
        }
        #[derive(Deserialize)]
        struct Part {
            #[serde(default)]
            code: String,
            #[serde(default)]
            detail: String,
        }
        let problem: Problem = serde_json::from_slice(&self.body).map_err(|_| self.unexpected())?;
        let parts: Vec<String> =
            problem.errors.iter().map(|part| format!("{}: {}", part.code, part.detail)).collect();
        let detail = if parts.is_empty() { problem.refusal.detail } else { parts.join("; ") };
        Ok(Refusal { detail, ..problem.refusal })
    }

    fn unexpected(&self) -> anyhow::Error {
        let body = String::from_utf8_lossy(&self.body);
        let shown: String = body.chars().take(300).collect();
        anyhow::anyhow!("the service answered {}: {}", self.status, shown.replace('\n', " "))
    }
}
