//! Counts over everything. Cheap however much is stored: what grows without end is tallied as it changes.

use std::collections::BTreeMap;

use application::ports::Overview;
use application::saga::SagaState;
use domain::{CancelReason, OrderStatus};
use rusqlite::{Connection, Result};

use super::super::tally;

/// How messages that wait for a broker are called, as they have no queue yet.
const OUTBOX: &str = "outbox";

/// All counts, of one moment. Closed sets are listed whole, with their zeros.
pub(super) fn read(connection: &Connection) -> Result<Overview> {
    let of = |subject| tally::read(connection, subject);
    let count = |sql| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0)).map(natural);
    Ok(Overview {
        orders: listed(&of("orders")?, OrderStatus::ALL.iter().map(|status| status.as_str())),
        cancellations: listed(&of("cancellations")?, CancelReason::ALL.iter().map(|reason| reason.as_str())),
        sagas: listed(&of("sagas")?, SagaState::ALL.iter().map(|state| state.as_str())),
        money: money(of("captured")?, &of("refunded")?),
        queues: queues(of("queued")?),
        dead_letters: count("select count(*) from dead_letters")?,
        timers: count("select count(*) from timers")?,
        waiting: count("select count(*) from delayed_messages")?,
    })
}

fn listed<'a>(counts: &BTreeMap<String, i64>, names: impl Iterator<Item = &'a str>) -> Vec<(String, u64)> {
    names.map(|name| (name.to_owned(), natural(counts.get(name).copied().unwrap_or(0)))).collect()
}

fn money(captured: BTreeMap<String, i64>, refunded: &BTreeMap<String, i64>) -> Vec<(String, i64, i64)> {
    captured
        .into_iter()
        .map(|(currency, taken)| {
            let returned = refunded.get(&currency).copied().unwrap_or(0);
            (currency, taken, returned)
        })
        .collect()
}

fn queues(counts: BTreeMap<String, i64>) -> Vec<(String, u64)> {
    let named = |name: String| if name.is_empty() { OUTBOX.to_owned() } else { name };
    counts.into_iter().map(|(name, waiting)| (named(name), natural(waiting))).collect()
}

/// A count that went below nothing would be a mistake of the tally, and is better shown as none than as 2^64.
fn natural(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
