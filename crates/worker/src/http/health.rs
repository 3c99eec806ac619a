//! Whether the service lives, whether it can serve, what it holds, and whether its books are in order. Changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use application::against_gateway::{Comparison, DifferenceKind, Incomparable};
use application::ports::{BrokenInvariantView, Overview, Readers};
use async_trait::async_trait;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bus::Stop;
use domain::OrderId;
use http::StatusCode;
use http::request::Parts;
use infrastructure::sqlite::FILE_GONE;
use serde::Serialize;
use uuid::Uuid;

use super::Api;
use super::limits::BROKEN_MAX;
use super::parameters::Query;
use super::problem::{Code, Problem};
use super::route::{self, Route};
use super::shape::{Schema, Shape, may, need};
use crate::against_gateway::{SECOND_LOOK_AFTER, compare};
use crate::health::FILE_GONE_WORDS;

/// Tells whether the service can serve.
#[async_trait]
pub trait Readiness: Send + Sync + 'static {
    /// What keeps it from serving; nothing is good.
    async fn unready(&self) -> Vec<Unready>;
}

/// Something that keeps the service from serving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unready {
    /// Which part.
    pub part: &'static str,
    /// What is wrong with it.
    pub detail: String,
}

/// Ready while the store answers and no stop was requested.
pub struct StoreReadiness {
    readers: Arc<dyn Readers>,
    stop: Stop,
}

impl StoreReadiness {
    /// Asks this store, and minds this wish to stop.
    #[must_use]
    pub fn new(readers: Arc<dyn Readers>, stop: Stop) -> Self {
        Self { readers, stop }
    }
}

#[async_trait]
impl Readiness for StoreReadiness {
    async fn unready(&self) -> Vec<Unready> {
        if self.stop.is_stopped() {
            return vec![Unready { part: "service", detail: "it is stopping".to_owned() }];
        }
        match self.readers.order(OrderId(Uuid::nil())).await {
            Ok(_) => Vec::new(),
            Err(fault) => {
                tracing::warn!(%fault, "the store does not answer");
                if fault.operation == FILE_GONE {
                    return vec![Unready { part: "store", detail: FILE_GONE_WORDS.to_owned() }];
                }
                vec![Unready { part: "store", detail: "it does not answer".to_owned() }]
            }
        }
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/health/live", "getLiveness", live)
            .about("Answers while the process lives.")
            .giving(200, &UP),
        Route::get("/health/ready", "getReadiness", ready)
            .about("Answers 200 while the service can serve.")
            .giving(200, &UP)
            .failing(&[Code::NotReady]),
        Route::get("/overview", "getOverview", overview)
            .about("Counts orders, sagas, money and what waits.")
            .giving(200, &OVERVIEW)
            .asking_the_store(),
        Route::get("/check", "getBrokenInvariants", check)
            .about(
                "Lists what breaks an invariant of the books; nothing is good. With 'against=provider', also what differs from \
                 the payment gateway's own books, both ways; that takes as long as the gateway takes to list its charges.",
            )
            .with(&[route::query("against", Shape::Choice(&["provider"]), "Compare with the payment gateway's books too.")])
            .giving(200, &CHECK)
            .failing(&[Code::InvalidParameter, Code::ProviderUnavailable, Code::ProviderCannotList])
            .asking_the_store(),
    ]
}

#[derive(Serialize)]
struct Up {
    status: &'static str,
}

async fn live() -> Json<Up> {
    Json(Up { status: "up" })
}

async fn ready(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    let unready = api.readiness.unready().await;
    if unready.is_empty() {
        return Ok((StatusCode::OK, Json(Up { status: "up" })).into_response());
    }
    let details: Vec<String> =
        unready.iter().map(|unready| format!("{}: {}", unready.part, unready.detail)).collect();
    Err(Problem::new(Code::NotReady, details.join("; ")))
}

#[derive(Serialize)]
struct OverviewAnswer {
    orders: BTreeMap<String, u64>,
    cancellations: BTreeMap<String, u64>,
    sagas: BTreeMap<String, u64>,
    money: Vec<MoneyAnswer>,
    queues: BTreeMap<String, u64>,
    dead_letters: u64,
    timers: u64,
    waiting: u64,
}

#[derive(Serialize)]
struct MoneyAnswer {
    currency: String,
    captured_minor: i64,
    refunded_minor: i64,
}

impl From<Overview> for OverviewAnswer {
    fn from(overview: Overview) -> Self {
        let money = |(currency, captured_minor, refunded_minor)| MoneyAnswer {
            currency,
            captured_minor,
            refunded_minor,
        };
        Self {
            orders: overview.orders.into_iter().collect(),
            cancellations: overview.cancellations.into_iter().collect(),
            sagas: overview.sagas.into_iter().collect(),
            money: overview.money.into_iter().map(money).collect(),
            queues: overview.queues.into_iter().collect(),
            dead_letters: overview.dead_letters,
            timers: overview.timers,
            waiting: overview.waiting,
        }
    }
}

async fn overview(State(api): State<Arc<Api>>) -> Result<Json<OverviewAnswer>, Problem> {
    Ok(Json(api.readers.overview().await?.into()))
}

#[derive(Serialize)]
struct CheckAnswer {
    broken: Vec<BrokenInvariantView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Comparison>,
}

/// What the books are held against, beside themselves.
#[derive(Clone, Copy)]
enum Against {
    Provider,
}

fn against(text: &str) -> Result<Against, String> {
    match text {
        "provider" => Ok(Against::Provider),
        other => Err(format!("provider, not '{other}'")),
    }
}

async fn check(State(api): State<Arc<Api>>, parts: Parts) -> Result<Json<CheckAnswer>, Problem> {
    let mut query = Query::of(&parts, &["against"]);
    let against = query.take("against", against);
    query.finish()?;
    let now = api.commands.context().clock.now();
    let broken = api.readers.broken_invariants(now, BROKEN_MAX).await?;
    let provider = match against {
        Some(Against::Provider) => Some(compared(&api).await?),
        None => None,
    };
    Ok(Json(CheckAnswer { broken, provider }))
}

async fn compared(api: &Api) -> Result<Comparison, Problem> {
    let (readers, books) = (api.readers.as_ref(), api.books.as_ref());
    compare(readers, books, SECOND_LOOK_AFTER, BROKEN_MAX).await.map_err(|why| match why {
        Incomparable::Store(fault) => Problem::from(&fault),
        Incomparable::CannotList => Problem::new(Code::ProviderCannotList, why.to_string()),
        Incomparable::Unanswered(_) | Incomparable::Circle(_) | Incomparable::Empty(_) => {
            Problem::new(Code::ProviderUnavailable, why.to_string())
        }
    })
}

static UP: Schema =
    Schema { name: "Up", shape: Shape::Object(&[need("status", Shape::Choice(&["up"]), "It is.")]) };
const MONEY: Shape = Shape::Named(&Schema {
    name: "MoneyTotals",
    shape: Shape::Object(&[
        need("currency", Shape::Text, "ISO 4217 code."),
        need("captured_minor", Shape::Integer, "Minor units taken."),
        need("refunded_minor", Shape::Integer, "Minor units given back."),
    ]),
});
static OVERVIEW: Schema = Schema {
    name: "Overview",
    shape: Shape::Object(&[
        need("orders", Shape::Counts, "Orders by headline status."),
        need("cancellations", Shape::Counts, "Cancelled orders by reason."),
        need("sagas", Shape::Counts, "Sagas by state."),
        need("money", Shape::List(&MONEY), "Money by currency."),
        need("queues", Shape::Counts, "Messages waiting, by queue."),
        need("dead_letters", Shape::Integer, "Messages set aside."),
        need("timers", Shape::Integer, "Timers running."),
        need("waiting", Shape::Integer, "Messages delayed or parked."),
    ]),
};
const DIFFERENCE: Shape = Shape::Named(&Schema {
    name: "ChargeDifference",
    shape: Shape::Object(&[
        need("kind", Shape::Choice(DifferenceKind::NAMES), "What is different."),
        may("order_id", Shape::Id, "Our order, if it is one."),
        need("key", Shape::Text, "The idempotency key of the charge."),
        may(
            "missing_order_id",
            Shape::Id,
            "The order that the gateway says it is for, if there is none of that id here: it may have been lost.",
        ),
        may("charge_id", Shape::Text, "The gateway's name for it."),
        need("detail", Shape::Text, "Both sides, in words."),
    ]),
});
const COMPARISON: Shape = Shape::Named(&Schema {
    name: "GatewayComparison",
    shape: Shape::Object(&[
        need("charges", Shape::Integer, "Charges in the gateway's list."),
        need("payments", Shape::Integer, "Payments of ours whose money was taken."),
        need(
            "under_way",
            Shape::Integer,
            "Those that differ while their orders' money is on the move: left out.",
        ),
        need("differences", Shape::List(&DIFFERENCE), "What differs; nothing is good."),
        need("more", Shape::Boolean, "Whether the comparison stopped at the most that is listed."),
    ]),
});
const BROKEN: Shape = Shape::Named(&Schema {
    name: "BrokenInvariant",
    shape: Shape::Object(&[
        need("invariant", Shape::Integer, "Which of the six."),
        need("subject", Shape::Text, "The order or product."),
        need("detail", Shape::Text, "What is wrong."),
    ]),
});
static CHECK: Schema = Schema {
    name: "Check",
    shape: Shape::Object(&[
        need("broken", Shape::List(&BROKEN), "What is wrong; nothing is good."),
        may("provider", COMPARISON, "What came of the comparison, if one was asked for."),
    ]),
};
