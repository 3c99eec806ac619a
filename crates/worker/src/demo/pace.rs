//! How fast it went, by the orders' own timelines, so that a later look gives the same numbers.

use anyhow::Result;
use application::ports::{HistoryView, OrderFilter, Readers};
use domain::{OrderId, OrderStatus};
use jiff::Timestamp;
use serde::Serialize;

/// Orders read at once.
const PAGE: usize = 500;

/// Speed of a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Pace {
    /// From the first acceptance to the last change, in milliseconds.
    pub(super) run_ms: i64,
    /// Orders that came to their end, per second.
    pub(super) orders_per_second: f64,
    /// From accepted to delivered, in milliseconds: half of the orders took no longer.
    pub(super) p50_ms: i64,
    /// From accepted to delivered, in milliseconds: 99 of 100 took no longer.
    pub(super) p99_ms: i64,
}

impl Pace {
    pub(super) async fn read(readers: &dyn Readers) -> Result<Self> {
        let (mut first, mut last) = (Timestamp::MAX, Timestamp::MIN);
        let mut took_ms = Vec::new();
        let mut orders = 0_u32;
        let mut filter = OrderFilter::default();
        loop {
            let page = readers.orders(&filter, PAGE).await?;
            for order in &page.items {
                let id = OrderId(order.order_id);
                let timeline = readers.history(id).await?.unwrap_or_default();
                orders += 1;
                first = first.min(order.created_at);
                last = timeline.last().map_or(last, |entry| last.max(entry.at));
                took_ms.extend(
                    delivered_at(&timeline).map(|at| at.duration_since(order.created_at).as_millis()),
                );
            }
            filter.after = page.next;
            if filter.after.is_none() {
                break;
            }
        }
        Ok(Self::of(orders, first, last, took_ms))
    }

    fn of(orders: u32, first: Timestamp, last: Timestamp, took_ms: Vec<i128>) -> Self {
        if orders == 0 {
            return Self::default();
        }
        let mut took_ms: Vec<i64> =
            took_ms.into_iter().map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)).collect();
        took_ms.sort_unstable();
        let run = last.duration_since(first);
        Self {
            run_ms: i64::try_from(run.as_millis()).unwrap_or(i64::MAX),
            orders_per_second: f64::from(orders) / run.as_secs_f64().max(0.001),
            p50_ms: percentile(&took_ms, 50),
            p99_ms: percentile(&took_ms, 99),
        }
    }
}

fn delivered_at(timeline: &[HistoryView]) -> Option<Timestamp> {
    let delivered = Some(OrderStatus::Delivered.as_str());
    timeline.iter().find(|entry| entry.status.as_deref() == delivered).map(|entry| entry.at)
}

/// A percentile: the smallest value that this many of a hundred do not exceed.
fn percentile(sorted: &[i64], percent: usize) -> i64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        let values: Vec<i64> = (1..=200).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99)), (100, 198));
        assert_eq!((percentile(&[7], 50), percentile(&[7], 99), percentile(&[], 99)), (7, 7, 0));
    }
}
