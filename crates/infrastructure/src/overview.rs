//! Makes an overview of the counts that a store has read: closed sets are listed whole, with their zeros.

use std::collections::BTreeMap;

use application::ports::Overview;
use application::saga::SagaState;
use domain::{CancelReason, OrderStatus};

/// How messages that wait for a broker are called, as they have no queue yet.
const OUTBOX: &str = "outbox";

/// The overview that these counts make: subject, name, amount. What is not tallied as it changes a store adds as `rows` of a
/// table.
pub(crate) fn overview(counts: impl IntoIterator<Item = (String, String, i64)>) -> Overview {
    let mut by_subject: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for (subject, name, amount) in counts {
        by_subject.entry(subject).or_default().insert(name, amount);
    }
    let mut of = |subject| by_subject.remove(subject).unwrap_or_default();
    let rows = of("rows");
    let row_count = |table| natural(rows.get(table).copied().unwrap_or(0));
    Overview {
        orders: listed(&of("orders"), OrderStatus::ALL.iter().map(|status| status.as_str())),
        cancellations: listed(&of("cancellations"), CancelReason::ALL.iter().map(|reason| reason.as_str())),
        sagas: listed(&of("sagas"), SagaState::ALL.iter().map(|state| state.as_str())),
        money: money(of("captured"), &of("refunded")),
        queues: queues(of("queued")),
        dead_letters: row_count("dead_letters"),
        timers: row_count("timers"),
        waiting: row_count("delayed_messages"),
    }
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
