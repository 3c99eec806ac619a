//! Counts over everything. Cheap however much is stored: what grows without end is tallied as it changes.

use std::collections::BTreeMap;

use application::ports::Overview;
use application::saga::SagaState;
use bus::Fault;
use deadpool_postgres::Object;
use domain::{CancelReason, OrderStatus};
use tokio_postgres::Row;

use super::super::column::Broken;
use super::super::tally;
use super::{query, views};

/// How messages that wait for a broker are called, as they have no queue yet.
const OUTBOX: &str = "outbox";

/// What is few enough to be counted on the spot.
const COUNTED: &str = "rows";

type Counts = BTreeMap<String, BTreeMap<String, i64>>;

/// All counts, of one moment. Closed sets are listed whole, with their zeros.
pub(super) async fn read(client: &Object) -> Result<Overview, Fault> {
    let sql = format!(
        "{} union all select '{COUNTED}', 'dead_letters', count(*) from dead_letters
         union all select '{COUNTED}', 'timers', count(*) from timers
         union all select '{COUNTED}', 'delayed_messages', count(*) from delayed_messages",
        tally::READ
    );
    let rows = query(client, "overview.read", &sql, &[]).await?;
    let mut counts = Counts::new();
    for (subject, name, amount) in views(&rows, "overview.read", counted)? {
        counts.entry(subject).or_default().insert(name, amount);
    }
    let mut of = |subject| counts.remove(subject).unwrap_or_default();
    let rows = of(COUNTED);
    let row_count = |table| natural(rows.get(table).copied().unwrap_or(0));
    Ok(Overview {
        orders: listed(&of("orders"), OrderStatus::ALL.iter().map(|status| status.as_str())),
        cancellations: listed(&of("cancellations"), CancelReason::ALL.iter().map(|reason| reason.as_str())),
        sagas: listed(&of("sagas"), SagaState::ALL.iter().map(|state| state.as_str())),
        money: money(of("captured"), &of("refunded")),
        queues: queues(of("queued")),
        dead_letters: row_count("dead_letters"),
        timers: row_count("timers"),
        waiting: row_count("delayed_messages"),
    })
}

fn counted(row: &Row) -> Result<(String, String, i64), Broken> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
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
