//! The operator's calls: proofs, listings, and faults on and off. Faults never affect them, so a test can always heal
//! what it broke.

use http::StatusCode;
use hyper::body::Incoming;
use serde::Serialize;

use crate::faults::{FaultSettings, Pause};
use crate::provider::Provider;
use crate::reply::{Failure, Reply};
use crate::wire::{self, PageAsk};

/// Rows taken from the books per lock, so that a long listing does not hold up the calls being measured.
const ROWS_PER_LOCK_MAX: usize = 250;

#[derive(Serialize)]
struct Page<T> {
    items: Vec<T>,
    /// Pass it as `after` to go on; null at the end.
    next: Option<u64>,
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

pub(crate) fn health() -> Reply {
    Reply::json(StatusCode::OK, &Health { status: "up" })
}

pub(crate) fn stats(provider: &Provider) -> Reply {
    Reply::json(StatusCode::OK, &provider.stats())
}

pub(crate) fn charges(provider: &Provider, query: Option<&str>) -> Result<Reply, Failure> {
    let page = gathered(wire::page(query)?, |after, limit| provider.payments().page(after, limit));
    Ok(Reply::json(StatusCode::OK, &page))
}

pub(crate) fn shipments(provider: &Provider, query: Option<&str>) -> Result<Reply, Failure> {
    let page = gathered(wire::page(query)?, |after, limit| provider.shipments().page(after, limit));
    Ok(Reply::json(StatusCode::OK, &page))
}

pub(crate) fn faults(provider: &Provider) -> Reply {
    Reply::json(StatusCode::OK, &*provider.faults())
}

pub(crate) async fn replace_faults(provider: &Provider, body: Incoming) -> Result<Reply, Failure> {
    let faults: FaultSettings = wire::json(&wire::body(body).await?)?;
    provider.replace_faults(faults);
    Ok(self::faults(provider))
}

pub(crate) async fn pause(provider: &Provider, body: Incoming) -> Result<Reply, Failure> {
    let pause: Pause = wire::json(&wire::body(body).await?)?;
    provider.pause(pause);
    Ok(Reply::json(StatusCode::OK, &pause))
}

fn gathered<T>(ask: PageAsk, mut take: impl FnMut(u64, usize) -> (Vec<T>, Option<u64>)) -> Page<T> {
    let (mut items, mut after) = (Vec::new(), ask.after);
    loop {
        let wanted = ROWS_PER_LOCK_MAX.min(ask.limit - items.len());
        let (rows, next) = take(after, wanted);
        items.extend(rows);
        match next {
            Some(next) if items.len() < ask.limit => after = next,
            next => return Page { items, next },
        }
    }
}
