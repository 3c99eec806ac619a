//! The payment calls: read the request, let it meet its fate, write the books, announce what happened.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use serde::Serialize;

use crate::charge::RefundVerdict;
use crate::events::Topic;
use crate::faults::{Forced, Operation, Verdict};
use crate::payments::Outcome;
use crate::problem::Problem;
use crate::provider::Provider;
use crate::reply::{Failure, Reply};
use crate::{operator_calls, wire};

pub(crate) async fn charge(
    provider: &Arc<Provider>,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Reply, Failure> {
    let key = wire::idempotency_key(headers)?;
    let call = wire::charge_call(&wire::body(body).await?)?;
    provider.open(Topic::Payments).await?;
    let of = key.clone();
    let act = move |provider: &Provider| {
        let verdict = provider.verdict(Operation::Charge, &key, call.forced_verdict);
        let outcome = provider.payments().charge(&key, call.ask, verdict, provider.clock.now_micros());
        reply(provider, StatusCode::CREATED, outcome)
    };
    provider.perform(Operation::Charge, &of, call.forced, act).await
}

/// A page of the charges, as a client reconciles its books by them.
pub(crate) async fn list(provider: &Provider, query: Option<&str>) -> Result<Reply, Failure> {
    provider.open(Topic::Payments).await?;
    provider.take_lookup_time(Operation::Charge, "").await?;
    operator_calls::charges(provider, query)
}

pub(crate) async fn look_up(provider: &Provider, key: &str) -> Result<Reply, Failure> {
    let key = wire::key_segment(key)?;
    provider.open(Topic::Payments).await?;
    provider.take_lookup_time(Operation::Charge, &key).await?;
    let answer = provider.payments().look_up(&key);
    Ok(provider.look_up(&key, Reply::answer(StatusCode::OK, answer)))
}

pub(crate) async fn cancel(provider: &Arc<Provider>, key: &str) -> Result<Reply, Failure> {
    let key = wire::key_segment(key)?;
    provider.open(Topic::Payments).await?;
    let of = key.clone();
    let act = move |provider: &Provider| {
        let verdict = refund_verdict(provider, Operation::CancelCharge, &key);
        let outcome = provider.payments().cancel(&key, verdict, provider.clock.now_micros());
        reply(provider, StatusCode::OK, outcome)
    };
    provider.perform(Operation::CancelCharge, &of, Forced::Nothing, act).await
}

pub(crate) async fn capture(provider: &Arc<Provider>, key: &str, body: Incoming) -> Result<Reply, Failure> {
    let key = wire::key_segment(key)?;
    let amount_minor = wire::amount(&wire::body(body).await?)?;
    provider.open(Topic::Payments).await?;
    let of = key.clone();
    let act = move |provider: &Provider| {
        let outcome = provider.payments().capture(&key, amount_minor, provider.clock.now_micros());
        reply(provider, StatusCode::OK, outcome)
    };
    provider.perform(Operation::Capture, &of, Forced::Nothing, act).await
}

pub(crate) async fn refund(
    provider: &Arc<Provider>,
    key: &str,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Reply, Failure> {
    let key = wire::key_segment(key)?;
    let refund_key = wire::idempotency_key(headers)?;
    let amount_minor = wire::amount(&wire::body(body).await?)?.ok_or(Problem::InvalidRequest)?;
    provider.open(Topic::Payments).await?;
    let of = refund_key.clone();
    let act = move |provider: &Provider| {
        let verdict = refund_verdict(provider, Operation::Refund, &key);
        let now_micros = provider.clock.now_micros();
        let outcome = provider.payments().refund(&key, &refund_key, amount_minor, verdict, now_micros);
        reply(provider, StatusCode::OK, outcome)
    };
    provider.perform(Operation::Refund, &of, Forced::Nothing, act).await
}

fn refund_verdict(provider: &Provider, operation: Operation, key: &str) -> RefundVerdict {
    let settings = provider.faults();
    let listed = &settings.refund_fails_references;
    let barred = !listed.is_empty()
        && provider
            .payments()
            .reference_of(key)
            .is_some_and(|reference| listed.iter().any(|one| one == reference));
    match provider.verdict(operation, key, Verdict::Accept) {
        Verdict::Accept | Verdict::Refuse if barred => RefundVerdict::Unavailable,
        Verdict::Accept => RefundVerdict::Accept,
        Verdict::Refuse => RefundVerdict::Refuse,
    }
}

fn reply<T: Serialize>(provider: &Provider, status: StatusCode, (answer, event): Outcome<T>) -> Reply {
    if let Some(event) = event {
        provider.announce(event);
    }
    Reply::answer(status, answer)
}
