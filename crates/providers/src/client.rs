//! One call to a provider: breaker, connection, time limit, and what is known afterwards. Knows nothing of payments
//! or parcels, and makes each call once.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use application::ports::Unanswered;
use bus::{Breaker, BreakerState, Clock};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::address::{Address, InvalidAddress};
use super::answer::{Answer, Failure, Stage, not_done};
use super::http1::Pool;
use super::http2::Trunk;
use super::settings::{Protocol, ProviderSettings};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The client of one provider, shared by all its callers.
pub(super) struct ProviderClient {
    pub(super) address: Address,
    host: Option<HeaderValue>,
    wire: Wire,
    seats: Semaphore,
    time_limit: Duration,
    breaker: Breaker,
    clock: Arc<dyn Clock>,
}

enum Wire {
    Http1(Pool),
    Http2(Trunk),
}

/// A call to be made.
pub(super) struct Call {
    request: Request<Full<Bytes>>,
}

impl ProviderClient {
    pub(super) fn new(settings: &ProviderSettings, clock: Arc<dyn Clock>) -> Result<Self, InvalidAddress> {
        let address = Address::parse(&settings.base_url, settings.protocol)?;
        let wire = match settings.protocol {
            Protocol::Http1 => Wire::Http1(Pool::new(address.clone(), settings.idle_max)),
            Protocol::Http2 => Wire::Http2(Trunk::new(address.clone())),
        };
        Ok(Self {
            host: address.host_header(),
            address,
            wire,
            seats: Semaphore::new(settings.connections_max.clamp(1, Semaphore::MAX_PERMITS)),
            time_limit: settings.time_limit,
            breaker: Breaker::new(settings.breaker),
            clock,
        })
    }

    /// Makes the call. An answer is what the provider said, yes or no.
    pub(super) async fn make(&self, call: Call) -> Result<Answer, Unanswered> {
        self.admit()?;
        let outcome = self.within_limit(call).await;
        self.report(&outcome);
        outcome?.settled(self.clock.now())
    }

    /// The state of the provider's breaker.
    pub(super) fn breaker_state(&self) -> BreakerState {
        self.breaker.state()
    }

    fn admit(&self) -> Result<(), Unanswered> {
        self.breaker
            .admit(self.clock.now())
            .map_err(|wait| Unanswered::NotDone { why: "breaker open".to_owned(), retry_after: Some(wait) })
    }

    async fn within_limit(&self, call: Call) -> Result<Answer, Failure> {
        let mut stage = Stage::Waiting;
        // Boxed here, so that only a pointer moves.
        let outcome = timeout(self.time_limit, pin!(self.exchange(call, &mut stage))).await;
        outcome.unwrap_or(Err(Failure::TimedOut(stage)))
    }

    async fn exchange(&self, call: Call, stage: &mut Stage) -> Result<Answer, Failure> {
        let _seat = self.seats.acquire().await.map_err(Failure::unreachable)?;
        let request = self.addressed(call.request);
        match &self.wire {
            Wire::Http1(pool) => pool.exchange(request, stage).await,
            Wire::Http2(trunk) => trunk.exchange(request, stage).await,
        }
    }

    fn addressed(&self, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
        if let Some(host) = &self.host {
            request.headers_mut().insert(HOST, host.clone());
        }
        request
    }

    /// Any answer shows that the provider is there, except that it is overloaded, which shows neither.
    fn report(&self, outcome: &Result<Answer, Failure>) {
        match outcome {
            Ok(answer) if answer.says_later(self.clock.now()) => {}
            Ok(answer) if answer.status.is_server_error() => self.breaker.fail(self.clock.now()),
            Ok(_) => self.breaker.succeed(),
            Err(Failure::Unreachable(_) | Failure::Lost(_) | Failure::TimedOut(_)) => {
                self.breaker.fail(self.clock.now());
            }
        }
    }
}

impl Call {
    pub(super) fn get(target: Uri) -> Self {
        Self::new(Method::GET, target, Bytes::new())
    }

    /// A call without a body.
    pub(super) fn post(target: Uri) -> Self {
        Self::new(Method::POST, target, Bytes::new())
    }

    pub(super) fn post_json(target: Uri, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("structs of texts and numbers have a JSON form");
        let mut call = Self::new(Method::POST, target, body.into());
        call.request.headers_mut().insert(CONTENT_TYPE, JSON);
        call
    }

    /// Under an idempotency key.
    pub(super) fn under(mut self, key: &str) -> Result<Self, Unanswered> {
        let key =
            HeaderValue::from_str(key).map_err(|_| not_done("the key does not fit a header".to_owned()))?;
        self.request.headers_mut().insert(IDEMPOTENCY_KEY, key);
        Ok(self)
    }

    fn new(method: Method, target: Uri, body: Bytes) -> Self {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target;
        Self { request }
    }
}
