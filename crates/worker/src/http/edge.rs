//! The middleware around every handler: adds the path to problems, turns panics into problems, answers for missing
//! routes. The hot path passes through here, so it must not allocate for a request that succeeds.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING};
use http::{HeaderValue, Method, StatusCode, Uri};

use tokio::time::Instant;

use super::access::access;
use super::addresses::Addresses;
use super::personal;
use super::problem::{Code, Problem};
use crate::security::{Gate, Hosts, Identity, Peer, Refused, Stranger};

/// Puts the edge around a router.
pub(super) fn around(router: Router, gate: Arc<Gate>, addresses: Addresses) -> Router {
    let edge = Arc::new(Edge { gate, addresses });
    let no_route = {
        let edge = Arc::clone(&edge);
        move |method: Method, uri: Uri| async move { edge.no_route(&method, uri.path()) }
    };
    router.fallback(no_route).layer(from_fn_with_state(edge, finish))
}

/// Keeps out of a page beside the API what is not meant for this machine or comes from a page of elsewhere.
pub fn for_here(router: Router, hosts: Hosts) -> Router {
    router.layer(from_fn_with_state(Arc::new(hosts), stay_here))
}

async fn stay_here(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let access = access(request.method(), request.uri().path());
    match hosts.check(access, (request.method(), request.uri(), request.headers())) {
        Ok(()) => next.run(request).await,
        Err(stranger) => strange(stranger).render(request.uri().path()),
    }
}

/// What the edge knows.
struct Edge {
    gate: Arc<Gate>,
    addresses: Addresses,
}

impl Edge {
    fn no_route(&self, method: &Method, path: &str) -> Problem {
        let detail = match self.addresses.without_slash(path) {
            Some(meant) => {
                format!("nothing here takes {method} {path}; without the slash at its end it is {meant}")
            }
            None => format!("nothing here takes {method} {path}"),
        };
        Problem::new(Code::RouteNotFound, detail)
    }

    /// The answer does not name the allowed methods yet.
    fn wrong_method(&self, method: &Method, path: &str) -> Problem {
        let methods = self.addresses.methods(path).unwrap_or_else(|| "GET, HEAD".to_owned());
        let detail = format!("this address takes {methods}, not {method}");
        Problem::new(Code::MethodNotAllowed, detail).telling(ALLOW, &methods)
    }
}

/// Refuses a body that is packed, which no route takes but the one for files.
fn unpacked(request: &Request) -> Result<(), Problem> {
    let takes_files = request.uri().path() == "/imports";
    let packed = |value: &&HeaderValue| {
        let mut codings = value.to_str().unwrap_or("unreadable").split(',').map(str::trim);
        let taken = |coding: &str| {
            coding.is_empty()
                || coding.eq_ignore_ascii_case("identity")
                || takes_files && coding.eq_ignore_ascii_case("gzip")
        };
        !codings.all(taken)
    };
    let Some(packed) = request.headers().get_all(CONTENT_ENCODING).iter().find(packed) else { return Ok(()) };
    let (taken, instead) = if takes_files {
        ("gzip, identity", "only gzip is unpacked here; send it as gzip or as it is")
    } else {
        ("identity", "none is unpacked here; send it as it is, without Content-Encoding")
    };
    let named = packed.to_str().unwrap_or("unreadable");
    let detail = format!("the body is packed (Content-Encoding: {named}), and {instead}");
    Err(Problem::new(Code::UnsupportedMediaType, detail).telling(ACCEPT_ENCODING, taken))
}

async fn finish(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let (uri, method) = (request.uri().clone(), request.method().clone());
    if let Err(problem) = let_in(&edge.gate, &mut request) {
        return problem.render(uri.path());
    }
    if let Err(problem) = unpacked(&request) {
        return problem.render(uri.path());
    }
    let sees_personal = personal::may_see(request.extensions().get::<Identity>());
    let mut response = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| panicked(panic.as_ref()));
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return problem.render(uri.path());
    }
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return edge.wrong_method(&method, uri.path()).render(uri.path());
    }
    if sees_personal { response } else { personal::hidden(response).await }
}

/// Passes a request through the gate; handlers find the caller in its extensions.
fn let_in(gate: &Gate, request: &mut Request) -> Result<(), Problem> {
    let access = access(request.method(), request.uri().path());
    if !gate.is_closed() {
        let request = (request.method(), request.uri(), request.headers());
        return gate.is_of_here(access, request).map_err(strange);
    }
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

fn strange(stranger: Stranger) -> Problem {
    match stranger {
        Stranger::Host => Problem::new(
            Code::HostUnknown,
            "while no API key is there, this service is reached as localhost, 127.0.0.1 or [::1] only, or under a name in security.hosts",
        ),
        Stranger::Page => Problem::new(
            Code::CrossSite,
            "while no API key is there, no page of another site may use this service (Origin, Sec-Fetch-Site)",
        ),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let text =
        text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text");
    tracing::error!(panic = text, "a request handler panicked");
    Problem::new(Code::Internal, "the log of the service says why").into_response()
}
