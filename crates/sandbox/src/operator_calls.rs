//! Calls of the person who runs the sandbox: proofs, listings, faults, and what happens to money and parcels. No fault
//! ever strikes them, so a test can always heal what it broke.

use http::StatusCode;
use hyper::body::Incoming;
use serde::Serialize;

use crate::charge::Dispute;
use crate::faults::{FaultSettings, Pause};
use crate::payments::Outcome;
use crate::provider::Provider;
use crate::reply::{Failure, Reply};
use crate::shipments::Trouble;
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

/// What a person has happen to a charge, by its name in the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChargeTurn {
    Dispute(Dispute),
    Expire,
    ChargeAgain,
}

/// What a person has happen to a parcel, by its name in the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParcelTurn {
    Trouble(Trouble),
    Arrive,
}

impl ChargeTurn {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "dispute" => Self::Dispute(Dispute::Open),
            "dispute-won" => Self::Dispute(Dispute::Won),
            "dispute-lost" => Self::Dispute(Dispute::Lost),
            "expire" => Self::Expire,
            "charge-again" => Self::ChargeAgain,
            _ => return None,
        })
    }
}

impl ParcelTurn {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "exception" => Self::Trouble(Trouble::Exception),
            "return" => Self::Trouble(Trouble::Returned),
            "lose" => Self::Trouble(Trouble::Lost),
            "damage" => Self::Trouble(Trouble::Damaged),
            "deliver" => Self::Arrive,
            _ => return None,
        })
    }
}

pub(crate) fn turn_charge(provider: &Provider, key: &str, turn: ChargeTurn) -> Result<Reply, Failure> {
    let key = wire::key_segment(key)?;
    let now_micros = provider.clock.now_micros();
    Ok(match turn {
        ChargeTurn::Dispute(to) => told(provider, provider.payments().dispute(&key, to, now_micros)),
        ChargeTurn::Expire => told(provider, provider.payments().expire(&key, now_micros)),
        ChargeTurn::ChargeAgain => told(provider, provider.payments().charge_again(&key, now_micros)),
    })
}

pub(crate) fn turn_parcel(provider: &Provider, key: &str, turn: ParcelTurn) -> Result<Reply, Failure> {
    let key = wire::key_segment(key)?;
    let now_micros = provider.clock.now_micros();
    Ok(match turn {
        ParcelTurn::Trouble(trouble) => {
            told(provider, provider.shipments().trouble(&key, trouble, now_micros))
        }
        ParcelTurn::Arrive => told(provider, provider.shipments().arrive(&key, now_micros)),
    })
}

/// The answer, once what happened is announced.
fn told<T: Serialize>(provider: &Provider, (answer, event): Outcome<T>) -> Reply {
    if let Some(event) = event {
        provider.announce(event);
    }
    Reply::answer(StatusCode::OK, answer)
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
