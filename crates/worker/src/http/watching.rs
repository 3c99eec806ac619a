//! What is known of the service from looking on: its metrics, and how its parts are. Asks no store, so that it answers when
//! nothing else does.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::Api;
use super::route::Route;
use super::shape::{Schema, Shape, need};
use crate::health::{HealthBoard, Status};
use crate::metrics::{self, Registry};

/// Where metrics are.
const METRICS: &str = "/metrics";

/// What is known from looking on.
#[derive(Clone, Default)]
pub struct Watch {
    /// What was counted.
    pub registry: Arc<Registry>,
    /// How the parts are.
    pub health: Arc<HealthBoard>,
    /// Where metrics are shown.
    pub place: MetricsPlace,
}

/// Where metrics are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsPlace {
    /// Beside the rest of the API.
    #[default]
    Api,
    /// On a listener of their own, and not here.
    Elsewhere,
}

impl Watch {
    /// Whether the API is to serve this route.
    pub(super) fn serves(&self, path: &str) -> bool {
        match self.place {
            MetricsPlace::Api => true,
            MetricsPlace::Elsewhere => path != METRICS,
        }
    }

    /// The same pages without the rest of the API, for a listener of their own.
    pub fn router(self) -> Router {
        let Self { registry, health: board, place: _ } = self;
        Router::new()
            .route(METRICS, axum::routing::get(move || async move { shown(&registry) }))
            .route("/health", axum::routing::get(move || async move { told(&board) }))
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(METRICS, "getMetrics", metrics)
            .about("Shows every metric in the text format of Prometheus.")
            .giving_text(200, "text/plain"),
        Route::get("/health", "getHealth", health)
            .about("Tells how each part is, as last checked; 503 if one of them is down.")
            .giving(200, &HEALTH)
            .giving(503, &HEALTH),
    ]
}

async fn metrics(State(api): State<Arc<Api>>) -> Response {
    shown(&api.watch.registry)
}

async fn health(State(api): State<Arc<Api>>) -> Response {
    told(&api.watch.health)
}

fn shown(registry: &Registry) -> Response {
    ([(CONTENT_TYPE, metrics::MEDIA_TYPE)], metrics::text(registry)).into_response()
}

fn told(board: &HealthBoard) -> Response {
    let report = board.read();
    let status = match report.verdict {
        Status::Up | Status::Degraded => StatusCode::OK,
        Status::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(report)).into_response()
}

const STATUSES: Shape = Shape::Choice(&["up", "degraded", "down"]);
const CHECK: Shape = Shape::Named(&Schema {
    name: "HealthCheck",
    shape: Shape::Object(&[
        need("name", Shape::Text, "The part."),
        need("status", STATUSES, "How it is."),
        need("detail", Shape::Text, "What was seen."),
        need("duration_us", Shape::Integer, "How long the check took, in microseconds."),
        need("since", Shape::Time, "Since when it is so."),
        need("checked_at", Shape::Time, "When it was last checked."),
    ]),
});
const USES: Shape = Shape::Named(&Schema {
    name: "ServiceUses",
    shape: Shape::Object(&[
        need("profile", Shape::Text, "What it runs for."),
        need("database", Shape::Text, "Where the data lies."),
        need("broker", Shape::Text, "What carries messages between workers."),
        need("payment_gateway", Shape::Text, "The payment gateway."),
        need("shipping_provider", Shape::Text, "The carrier."),
    ]),
});
static HEALTH: Schema = Schema {
    name: "Health",
    shape: Shape::Object(&[
        need("status", STATUSES, "As ill as the worst part."),
        need("version", Shape::Text, "The version of the program."),
        need("uses", USES, "What it works with; never a secret."),
        need("checks", Shape::List(&CHECK), "Every part."),
    ]),
};
