//! An answer on its way to the client: status, JSON body, and nothing else.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use crate::problem::Problem;

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: StatusCode,
    body: Bytes,
    retry_after_s: Option<u32>,
}

/// Why a call does not end with the answer it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Problem(Problem),
    ResponseLost,
}

/// No answer is given: the connection (h1) or stream (h2) ends instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the response was lost on purpose")]
pub(crate) struct ResponseLost;

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

#[derive(Serialize)]
struct ProblemBody {
    code: &'static str,
}

impl Reply {
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self { status, body: body.into(), retry_after_s: None },
            Err(_) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Self { status, body: Bytes::new(), retry_after_s: None }
            }
        }
    }

    pub(crate) fn answer(status: StatusCode, answer: Result<impl Serialize, Problem>) -> Self {
        match answer {
            Ok(body) => Self::json(status, &body),
            Err(problem) => problem.into(),
        }
    }

    /// The same, but each amount in it is one minor unit lower. An answer without an amount stays as it is.
    pub(crate) fn with_other_amounts(self) -> Self {
        let Ok(serde_json::Value::Object(mut body)) = serde_json::from_slice(&self.body) else { return self };
        for name in ["amount_minor", "captured_minor", "refunded_minor"] {
            if let Some(amount) = body.get_mut(name).filter(|amount| amount.as_i64() != Some(0))
                && let Some(minor) = amount.as_i64()
            {
                *amount = (minor - 1).into();
            }
        }
        Self::json(self.status, &body)
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        let reply = Self::json(problem.status(), &ProblemBody { code: problem.code() });
        Self { retry_after_s: problem.retry_after_s(), ..reply }
    }
}
