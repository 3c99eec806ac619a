//! What is known of the service from looking on: its metrics. Asks no store, so that it answers when nothing else does.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use super::Api;
use super::route::Route;
use crate::metrics::{self, Registry};

/// What is known from looking on.
#[derive(Clone, Default)]
pub struct Watch {
    /// What was counted.
    pub registry: Arc<Registry>,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/metrics", "getMetrics", metrics)
            .about("Shows every metric in the text format of Prometheus.")
            .giving_text(200, "text/plain"),
    ]
}

async fn metrics(State(api): State<Arc<Api>>) -> Response {
    ([(CONTENT_TYPE, metrics::MEDIA_TYPE)], metrics::text(&api.watch.registry)).into_response()
}
