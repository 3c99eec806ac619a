//! The shipping calls: read the request, let it meet its fate, write the books, send the parcel on its way.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;

use crate::events::Topic;
use crate::faults::{Forced, Operation};
use crate::provider::Provider;
use crate::reply::{Failure, Reply};
use crate::wire;

pub(crate) async fn book(
    provider: &Arc<Provider>,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Reply, Failure> {
    let key = wire::idempotency_key(headers)?;
    let call = wire::booking_call(&wire::body(body).await?)?;
    provider.open(Topic::Shipping).await?;
    let of = key.clone();
    let act = move |provider: &Provider| {
        let verdict = provider.verdict(Operation::Book, &key, call.forced_verdict);
        let (answer, departure) = provider.shipments().book(&key, &call.ask, verdict);
        if let Some(departure) = departure {
            provider.depart(departure, &key);
        }
        Reply::answer(StatusCode::CREATED, answer)
    };
    provider.perform(Operation::Book, &of, call.forced, act).await
}

pub(crate) async fn look_up(provider: &Provider, key: &str) -> Result<Reply, Failure> {
    let key = wire::key_segment(key)?;
    provider.open(Topic::Shipping).await?;
    provider.take_lookup_time(Operation::Book, &key).await?;
    let answer = provider.shipments().look_up(&key);
    Ok(Reply::answer(StatusCode::OK, answer))
}

pub(crate) async fn cancel(provider: &Arc<Provider>, key: &str) -> Result<Reply, Failure> {
    let key = wire::key_segment(key)?;
    provider.open(Topic::Shipping).await?;
    let of = key.clone();
    let act = move |provider: &Provider| {
        let answer = provider.shipments().cancel(&key);
        Reply::answer(StatusCode::OK, answer)
    };
    provider.perform(Operation::CancelShipment, &of, Forced::Nothing, act).await
}
