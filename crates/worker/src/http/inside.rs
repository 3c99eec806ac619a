//! The API, called from within the process: pages for people read and act through it, so they can neither show nor do
//! what the same person could not over HTTP.

use std::sync::Arc;

use application::ports::Scope;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

use super::access::access;
use super::personal;
use super::problem::{Code, Problem};
use super::route::Route;
use super::{Api, routes};
use crate::security::{Access, Identity};

/// Bytes of an answer at most; a page of a listing has far fewer.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The API without its gate.
#[derive(Clone)]
pub struct Inside {
    router: Router,
}

/// An answer of the API.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// Its status.
    pub status: StatusCode,
    /// Its body; null if it has none.
    pub body: Value,
}

impl Heard {
    /// Whether it was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// What a refusal says, with everything that is wrong.
    #[must_use]
    pub fn why(&self) -> String {
        let text = |value: &Value| value["detail"].as_str().map(str::to_owned);
        let wrongs = self.body["errors"].as_array().into_iter().flatten().filter_map(text);
        let mut said: Vec<String> = text(&self.body).into_iter().chain(wrongs).collect();
        // The detail of a problem with one mistake is that mistake.
        said.dedup();
        if said.is_empty() { format!("the service answers {}", self.status) } else { said.join("; ") }
    }
}

impl Inside {
    /// The handlers of this API.
    #[must_use]
    pub fn new(api: Arc<Api>) -> Self {
        let add =
            |router: Router<Arc<Api>>, Route { operation, handler }| router.route(operation.path, handler);
        Self { router: routes().into_iter().fold(Router::new(), add).with_state(api) }
    }

    /// The scope that a caller needs for this, if one is needed.
    #[must_use]
    pub fn needs(method: &Method, path: &str) -> Option<Scope> {
        match access(method, path.split('?').next().unwrap_or(path)) {
            Access::Anybody | Access::Page => None,
            Access::Part(_, scope) | Access::Scope(scope) => Some(scope),
        }
    }

    /// Asks for this as this caller; a caller without identity is on a service without keys and may do everything.
    pub async fn call(&self, request: Asked<'_>) -> Heard {
        let Asked { method, target, identity, key, body } = request;
        let path = target.split('?').next().unwrap_or(target);
        if let (Some(identity), Some(needed)) = (identity, Self::needs(&method, path))
            && !identity.scopes.allow(needed)
        {
            let lacks = format!("your key lacks the scope {needed}");
            return heard(Problem::new(Code::ScopeMissing, lacks).into_response(), path).await;
        }
        let mut builder = Request::builder().method(method).uri(target);
        if let Some(key) = key {
            builder = builder.header("idempotency-key", key);
        }
        if let Some(identity) = identity {
            builder = builder.extension(identity.clone());
        }
        let body = match body {
            Some(body) => {
                builder = builder.header(CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        match builder.body(body) {
            Ok(request) => {
                let answer = self.router.clone().oneshot(request).await;
                let mut heard = heard(answer.unwrap_or_else(|never| match never {}), path).await;
                if !personal::may_see(identity) {
                    personal::hide(&mut heard.body);
                }
                heard
            }
            Err(error) => {
                heard(Problem::new(Code::InvalidParameter, error.to_string()).into_response(), path).await
            }
        }
    }
}

/// A question to the API.
pub struct Asked<'a> {
    /// How.
    pub method: Method,
    /// Path and query.
    pub target: &'a str,
    /// Who asks.
    pub identity: Option<&'a Identity>,
    /// The key under which it is done once.
    pub key: Option<&'a str>,
    /// The body, as JSON.
    pub body: Option<&'a Value>,
}

async fn heard(mut response: axum::response::Response, path: &str) -> Heard {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.render(path);
    }
    let status = response.status();
    let bytes = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.unwrap_or_default();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Heard { status, body }
}
