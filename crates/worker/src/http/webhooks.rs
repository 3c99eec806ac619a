//! Provider webhooks: the signature is verified over the raw bytes before they are parsed. Webhooks that arrive
//! together share a transaction. An event that no longer applies must never get an error.

use std::sync::{Arc, PoisonError, RwLock};

use application::commands::{CommandPipeline, NewsFate, NewsTaken, TakeProviderNewsCommand};
use application::ports::{AnyUnit, Provider, ProviderNews};
use async_trait::async_trait;
use axum::Json;
use axum::extract::{Request, State};
use bus::{Coalesce, Coalescer, Fault, Overloaded, Stop};
use http::HeaderMap;
use providers::webhooks::{SignatureRefused, Verifier, parse_batch};
use serde::Serialize;
use tokio::time::Instant;

use super::limits::{WEBHOOK_BYTES_MAX, WEBHOOKS_AT_ONCE_MAX};
use super::problem::{Code, Problem};
use super::received::{Arrival, Glimpse, ReceivedLately};
use super::route::{self, Route};
use super::shape::{Schema, Shape, need};
use super::{Api, body};

/// What webhooks are verified with and handed to.
pub struct Webhooks {
    payments: Door,
    shipping: Door,
    received: ReceivedLately,
}

/// Where one provider's news come in.
struct Door {
    provider: Provider,
    verifier: SharedVerifier,
    news: Coalescer<TakeNewsHandler>,
}

/// What one provider's webhooks are verified with at present.
type SharedVerifier = Arc<RwLock<Verifier>>;

/// What both providers' webhooks are verified with, so that it can be replaced while the service runs.
#[derive(Clone)]
pub struct Verifiers {
    payments: SharedVerifier,
    shipping: SharedVerifier,
}

impl Verifiers {
    /// From now on webhooks are verified with these.
    pub fn replace(&self, payments: Verifier, shipping: Verifier) {
        for (shared, verifier) in [(&self.payments, payments), (&self.shipping, shipping)] {
            *shared.write().unwrap_or_else(PoisonError::into_inner) = verifier;
        }
    }
}

impl Webhooks {
    /// Takes the news of both providers. The loop that comes with it must be run, once.
    pub fn new(
        payments: Verifier,
        shipping: Verifier,
        commands: &CommandPipeline,
        stop: &Stop,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let handler = |provider| Arc::new(TakeNewsHandler { commands: commands.clone(), provider });
        let (paid, payments_loop) = Coalescer::stopping_with(handler(Provider::Payments), stop.clone());
        let (shipped, shipping_loop) = Coalescer::stopping_with(handler(Provider::Shipping), stop.clone());
        let door =
            |provider, verifier, news| Door { provider, verifier: Arc::new(RwLock::new(verifier)), news };
        let webhooks = Self {
            payments: door(Provider::Payments, payments, paid),
            shipping: door(Provider::Shipping, shipping, shipped),
            received: ReceivedLately::since(commands.context().clock.now()),
        };
        let both = async move {
            tokio::join!(payments_loop, shipping_loop);
        };
        (webhooks, both)
    }

    /// What was received lately.
    pub(super) const fn received(&self) -> &ReceivedLately {
        &self.received
    }

    /// What they are verified with.
    #[must_use]
    pub fn verifiers(&self) -> Verifiers {
        let [payments, shipping] = [&self.payments, &self.shipping].map(|door| Arc::clone(&door.verifier));
        Verifiers { payments, shipping }
    }
}

/// What came of each event of a webhook.
type Fates = Result<Vec<NewsFate>, Arc<Fault>>;

/// Takes the news of several webhooks in one transaction.
pub struct TakeNewsHandler {
    commands: CommandPipeline,
    provider: Provider,
}

impl TakeNewsHandler {
    fn command(&self, news: Vec<ProviderNews>) -> TakeProviderNewsCommand {
        TakeProviderNewsCommand { provider: self.provider, news }
    }

    /// One webhook that cannot be stored must not keep the others from it.
    async fn take_one_by_one(&self, requests: &[Vec<ProviderNews>]) -> Vec<Fates> {
        let mut replies = Vec::with_capacity(requests.len());
        for request in requests {
            let taken = self.commands.run(&self.command(request.clone())).await;
            replies.push(taken.map(|NewsTaken(fates)| fates).map_err(Arc::new));
        }
        replies
    }
}

#[async_trait]
impl Coalesce for TakeNewsHandler {
    type Request = Vec<ProviderNews>;
    type Reply = Fates;
    type Unit = Box<AnyUnit>;

    fn batch_max(&self) -> usize {
        WEBHOOKS_AT_ONCE_MAX
    }

    async fn begin(&self) -> Result<Box<AnyUnit>, Fault> {
        self.commands.begin().await
    }

    async fn flush(&self, unit: Box<AnyUnit>, requests: &[Self::Request]) -> Result<Vec<Self::Reply>, Fault> {
        match self.commands.run_in(unit, &self.command(requests.concat())).await {
            Ok(NewsTaken(fates)) => {
                let mut fates = fates.into_iter();
                Ok(requests.iter().map(|news| Ok(fates.by_ref().take(news.len()).collect())).collect())
            }
            Err(fault) if fault.verdict == bus::Verdict::GiveUp && requests.len() > 1 => {
                Ok(self.take_one_by_one(requests).await)
            }
            Err(fault) => Err(fault),
        }
    }
}

/// What was made of a webhook.
#[derive(Serialize)]
struct Taken {
    received: usize,
    applicable: usize,
}

async fn payments(State(api): State<Arc<Api>>, request: Request) -> Result<Json<Taken>, Problem> {
    take(&api, &api.webhooks.payments, request).await
}

async fn shipping(State(api): State<Arc<Api>>, request: Request) -> Result<Json<Taken>, Problem> {
    take(&api, &api.webhooks.shipping, request).await
}

async fn take(api: &Api, door: &Door, request: Request) -> Result<Json<Taken>, Problem> {
    let (at, begun) = (api.commands.context().clock.now(), Instant::now());
    let arrival = || Arrival { provider: door.provider, at, took: begun.elapsed() };
    let (head, body) = request.into_parts();
    let received = &api.webhooks.received;
    let refused = |problem: Problem, why: String| {
        received.refused(arrival(), why);
        problem
    };
    let body = body::read(body, WEBHOOK_BYTES_MAX)
        .await
        .map_err(|problem| refused(problem, "the body did not arrive whole, or is too large".to_owned()))?;
    verify(api, &door.verifier, &head.headers, &body)
        .map_err(|why| refused(Problem::new(Code::SignatureRefused, why.to_string()), why.to_string()))?;
    // What is wrong with the body may quote it, so that stays out of what is kept.
    let news = parse_batch(&body).map_err(|why| {
        let problem = Problem::new(Code::MalformedWebhook, why.to_string());
        refused(problem, "the body is no batch of events".to_owned())
    })?;
    let count = news.len();
    let applicable = news.iter().filter(|news| news.kind.told_by().is_some()).count();
    if count > 0 {
        let glimpses: Vec<Glimpse> = news.iter().map(Glimpse::of).collect();
        let taken = door.news.submit(news).await.and_then(|fates| fates.map_err(Overloaded::Failed));
        match taken {
            Ok(fates) => received.took(arrival(), glimpses, &fates),
            Err(overloaded) => {
                received.failed(arrival(), glimpses);
                return Err(overloaded.into());
            }
        }
    }
    Ok(Json(Taken { received: count, applicable }))
}

fn verify(
    api: &Api,
    verifier: &RwLock<Verifier>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), SignatureRefused> {
    let [id, timestamp, signature] = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .map(|name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or(""));
    let now = api.commands.context().clock.now();
    verifier.read().unwrap_or_else(PoisonError::into_inner).verify(id, timestamp, signature, body, now)
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/webhooks/payments", "takePaymentNews", payments)
            .about("Takes events of the payment gateway, each once and in any order."),
        Route::post("/webhooks/shipping", "takeShippingNews", shipping)
            .about("Takes events of the shipping provider, each once and in any order."),
    ]
    .into_iter()
    .map(described)
    .collect()
}

fn described(route: Route) -> Route {
    route
        .with(&[
            route::header("webhook-id", "Id of this webhook, by the rules of Standard Webhooks."),
            route::header("webhook-timestamp", "When it was sent, in Unix seconds."),
            route::header("webhook-signature", "Signatures over id, time and body."),
        ])
        .taking_text("application/json")
        .giving(200, &TAKEN)
        .failing(&[Code::SignatureRefused, Code::MalformedWebhook, Code::Overloaded, Code::Stopping])
        .asking_the_store()
}

static TAKEN: Schema = Schema {
    name: "WebhookTaken",
    shape: Shape::Object(&[
        need("received", Shape::Integer, "Events in it."),
        need(
            "applicable",
            Shape::Integer,
            "Events of kinds that are known. What belongs to no order is kept as unmatched.",
        ),
    ]),
};
