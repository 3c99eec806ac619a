//! Measures every request by route, from the first byte of its head to the head of its answer. It is the outermost
//! layer, so refused requests are measured too; it must not allocate for a route that was measured before.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::Method;
use tokio::time::Instant;

use crate::metrics::{Metric, Registry};

/// The route label for requests without a route.
const NO_ROUTE: &str = "unmatched";

/// How long an answer was held back because the client wished it: no part of what it took.
#[derive(Clone, Copy)]
pub(super) struct Wished(pub(super) Duration);

/// Measures what goes through this router.
pub(super) fn around(router: Router, registry: Arc<Registry>) -> Router {
    router.layer(from_fn_with_state(registry, measured))
}

async fn measured(State(registry): State<Arc<Registry>>, request: Request, next: Next) -> Response {
    let began_at = Instant::now();
    let method = known(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let status = response.status();
    let labels = [method, route, status.as_str()];
    let wished = response.extensions().get::<Wished>().map_or(Duration::ZERO, |Wished(wait)| *wait);
    registry.observe(Metric::HttpRequestDuration, &labels, began_at.elapsed().saturating_sub(wished));
    response
}

/// Clients can invent methods; labels must have few values.
const fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "_OTHER",
    }
}
