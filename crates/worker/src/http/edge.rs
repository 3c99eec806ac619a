//! What stands around every handler: problems get the address that they happened at, panics become problems, and what no
//! route takes is told so. The hot path passes through here: must never allocate for a request that goes well.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::ALLOW;
use http::{Method, StatusCode, Uri};

use super::problem::{Code, Problem};

/// Puts the edge around a router.
pub(super) fn around(router: Router) -> Router {
    router.fallback(no_route).layer(from_fn(finish))
}

async fn no_route(method: Method, uri: Uri) -> Problem {
    Problem::new(Code::RouteNotFound, format!("nothing here takes {method} {}", uri.path()))
}

async fn finish(request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let mut response = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| panicked(panic.as_ref()));
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return problem.render(uri.path());
    }
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return wrong_method(&response).render(uri.path());
    }
    response
}

fn wrong_method(response: &Response) -> Problem {
    let allow = response.headers().get(ALLOW).cloned();
    let methods = allow.as_ref().and_then(|methods| methods.to_str().ok()).unwrap_or("others");
    Problem::new(Code::MethodNotAllowed, format!("this address takes {methods}")).allowing(allow)
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let text =
        text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text");
    tracing::error!(panic = text, "a request handler panicked");
    Problem::new(Code::Internal, "the log of the service says why").into_response()
}
