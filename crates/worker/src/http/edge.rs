//! What stands around every handler: problems get the address that they happened at, panics become problems, and what no
//! route takes is told so. The hot path passes through here: must never allocate for a request that goes well.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::ALLOW;
use http::{Method, StatusCode, Uri};

use tokio::time::Instant;

use super::access::access;
use super::problem::{Code, Problem};
use crate::security::{Gate, Peer, Refused};

/// Puts the edge around a router.
pub(super) fn around(router: Router, gate: Arc<Gate>) -> Router {
    router.fallback(no_route).layer(from_fn_with_state(gate, finish))
}

async fn no_route(method: Method, uri: Uri) -> Problem {
    Problem::new(Code::RouteNotFound, format!("nothing here takes {method} {}", uri.path()))
}

async fn finish(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    if gate.is_closed()
        && let Err(problem) = let_in(&gate, &mut request)
    {
        return problem.render(uri.path());
    }
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

/// Has the gate look at a request; handlers find out who asks from its extensions.
fn let_in(gate: &Gate, request: &mut Request) -> Result<(), Problem> {
    let access = access(request.method(), request.uri().path());
    let peer = request.extensions().get::<Peer>().copied();
    let identity = gate.admit(access, request.headers(), peer, Instant::now()).map_err(refused)?;
    if let Some(identity) = identity {
        request.extensions_mut().insert(identity);
    }
    Ok(())
}

fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::KeyMissing => {
            Problem::new(Code::KeyMissing, "send a key: Authorization: Bearer KEY, or X-Api-Key: KEY")
        }
        Refused::KeyUnknown => {
            Problem::new(Code::KeyUnknown, "this key is unknown, revoked or past its time")
        }
        Refused::ScopeMissing(scope) => {
            Problem::new(Code::ScopeMissing, format!("this key lacks the scope {scope}"))
        }
        Refused::TooOften(wait) => {
            let seconds = u32::try_from(wait.as_secs().saturating_add(1)).unwrap_or(u32::MAX);
            Problem::new(Code::TooManyRequests, format!("wait {seconds} s")).retry_after_s(seconds)
        }
    }
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
