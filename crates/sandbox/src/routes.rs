//! Which call a request is. Nothing is decided here but that.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::operator_calls::{ChargeTurn, ParcelTurn};
use crate::problem::Problem;
use crate::provider::Provider;
use crate::reply::{Failure, Reply, ResponseLost};
use crate::{operator_calls, payment_calls, shipping_calls};

/// Answers a request, or loses the answer on purpose.
pub(crate) async fn answer(
    provider: Arc<Provider>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, ResponseLost> {
    let reply = match provider.requests.try_acquire() {
        Ok(_seat) => dispatch(&provider, request).await,
        Err(_) => Err(Problem::Overloaded.into()),
    };
    match reply {
        Ok(reply) => Ok(reply.into_response()),
        Err(Failure::Problem(problem)) => Ok(Reply::from(problem).into_response()),
        Err(Failure::ResponseLost) => Err(ResponseLost),
    }
}

async fn dispatch(provider: &Arc<Provider>, request: Request<Incoming>) -> Result<Reply, Failure> {
    let (head, body) = request.into_parts();
    let segments: Vec<&str> = head.uri.path().split('/').skip(1).collect();
    let (headers, query) = (&head.headers, head.uri.query());
    match (head.method.as_str(), segments.as_slice()) {
        ("POST", ["payments", "charges"]) => payment_calls::charge(provider, headers, body).await,
        ("GET", ["payments", "charges"]) => payment_calls::list(provider, query).await,
        ("GET", ["payments", "charges", "by-key", key]) => payment_calls::look_up(provider, key).await,
        ("POST", ["payments", "charges", "by-key", key, "cancel"]) => {
            payment_calls::cancel(provider, key).await
        }
        ("POST", ["payments", "charges", "by-key", key, "capture"]) => {
            payment_calls::capture(provider, key, body).await
        }
        ("POST", ["payments", "charges", "by-key", key, "refund"]) => {
            payment_calls::refund(provider, key, headers, body).await
        }
        ("POST", ["shipments"]) => shipping_calls::book(provider, headers, body).await,
        ("GET", ["shipments", "by-key", key]) => shipping_calls::look_up(provider, key).await,
        ("POST", ["shipments", "by-key", key, "cancel"]) => shipping_calls::cancel(provider, key).await,
        ("GET", ["shipments"]) => operator_calls::shipments(provider, query),
        ("GET", ["charges"]) => operator_calls::charges(provider, query),
        ("POST", ["charges", "by-key", key, turn]) if let Some(turn) = ChargeTurn::named(turn) => {
            operator_calls::turn_charge(provider, key, turn)
        }
        ("POST", ["shipments", "by-key", key, turn]) if let Some(turn) = ParcelTurn::named(turn) => {
            operator_calls::turn_parcel(provider, key, turn)
        }
        ("GET", ["stats"]) => Ok(operator_calls::stats(provider)),
        ("GET", ["health"] | ["health", "live" | "ready"]) => Ok(operator_calls::health()),
        ("GET", ["faults"]) => Ok(operator_calls::faults(provider)),
        ("PUT", ["faults"]) => operator_calls::replace_faults(provider, body).await,
        ("POST", ["pause"]) => operator_calls::pause(provider, body).await,
        (_, path) => Err(unknown(path).into()),
    }
}

fn unknown(path: &[&str]) -> Problem {
    match path {
        ["payments", "charges", ..]
        | ["shipments", ..]
        | ["charges" | "stats" | "health" | "faults" | "pause"] => Problem::MethodNotAllowed,
        _ => Problem::UnknownRoute,
    }
}
