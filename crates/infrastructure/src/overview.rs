//! Makes an overview of the counts that a store has read: closed sets are listed whole, with their zeros.

use std::collections::BTreeMap;

use application::ports::Overview;
use application::saga::SagaState;
use domain::{CancelReason, OrderStatus};

use crate::tally::BILLION;

/// How messages that wait for a broker are called, as they have no queue yet.
const OUTBOX: &str = "outbox";

/// The overview that these counts make: subject, name, amount. What is not tallied as it changes a store adds as `rows` of a
/// table.
pub(crate) fn overview(counts: impl IntoIterator<Item = (String, String, i64)>) -> Overview {
    let mut by_subject: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for (subject, name, amount) in counts {
        by_subject.entry(subject).or_default().insert(name, amount);
    }
    let mut of = |subject: &str| by_subject.remove(subject).unwrap_or_default();
    let rows = of("rows");
    let row_count = |table| natural(rows.get(table).copied().unwrap_or(0));
    Overview {
        orders: listed(&of("orders"), OrderStatus::ALL.iter().map(|status| status.as_str())),
        cancellations: listed(&of("cancellations"), CancelReason::ALL.iter().map(|reason| reason.as_str())),
        sagas: listed(&of("sagas"), SagaState::ALL.iter().map(|state| state.as_str())),
        money: money(&mut of),
        queues: queues(of("queued")),
        dead_letters: row_count("dead_letters"),
        timers: row_count("timers"),
        waiting: row_count("delayed_messages"),
    }
}

fn listed<'a>(counts: &BTreeMap<String, i64>, names: impl Iterator<Item = &'a str>) -> Vec<(String, u64)> {
    names.map(|name| (name.to_owned(), natural(counts.get(name).copied().unwrap_or(0)))).collect()
}

/// By currency, what was taken and what of it was given back. Is exact up to the most that 64 bits hold, and that beyond.
fn money(mut of: impl FnMut(&str) -> BTreeMap<String, i64>) -> Vec<(String, i64, i64)> {
    let mut sums = |subject: &str| {
        let (below, billions) = (of(subject), of(&format!("{subject}_billions")));
        let mut sums: BTreeMap<String, i128> = BTreeMap::new();
        for (counts, unit) in [(below, 1), (billions, i128::from(BILLION))] {
            for (currency, amount) in counts {
                *sums.entry(currency).or_default() += i128::from(amount) * unit;
            }
        }
        sums
    };
    let (captured, refunded) = (sums("captured"), sums("refunded"));
    let shown = |sum: i128| i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX });
    captured
        .into_iter()
        .map(|(currency, taken)| {
            let returned = refunded.get(&currency).copied().unwrap_or(0);
            (currency, shown(taken), shown(returned))
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
