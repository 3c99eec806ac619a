//! Reconciliation of what all sides have counted: the clients, our service, the provider. Reads only; changes nothing.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use application::ports::{BrokenInvariantView, OrderFilter, OrderView, Overview, Readers};
use domain::OrderStatus;
use serde::Serialize;
use serde_json::Value;

use crate::client::Client;

/// Orders read from a store at once.
const PAGE: usize = 1_000;

/// Shows every order that the filter lets through.
pub(crate) async fn each_order(
    readers: &dyn Readers,
    mut filter: OrderFilter,
    mut show: impl FnMut(&OrderView),
) -> Result<()> {
    loop {
        let page = readers.orders(&filter, PAGE).await?;
        page.items.iter().for_each(&mut show);
        filter.after = page.next;
        if filter.after.is_none() {
            return Ok(());
        }
    }
}

/// Violations listed per kind at most.
const TOLD_MAX: usize = 3;

/// The counts of all sides when it is over.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Totals {
    /// Orders that clients were told are accepted.
    pub(crate) accepted: u64,
    /// Requests without an answer; each may or may not have become an order.
    pub(crate) unanswered: u64,
    pub(crate) stored: BTreeMap<String, u64>,
    pub(crate) broken: Vec<String>,
    pub(crate) dead_letters: u64,
    /// Charged, less what was given back, by currency: our word.
    pub(crate) kept: BTreeMap<String, i64>,
    /// The same: the provider's.
    pub(crate) kept_there: BTreeMap<String, i64>,
    /// Orders that the provider charged or shipped twice.
    pub(crate) doubled: u64,
}

impl Totals {
    pub(crate) fn of(
        overview: &Overview,
        broken: &[BrokenInvariantView],
        provider: &Value,
        (accepted, unanswered): (u64, u64),
    ) -> Self {
        let told = |mistake: &BrokenInvariantView| {
            format!("invariant {} of {}: {}", mistake.invariant, mistake.subject, mistake.detail)
        };
        let kept = overview.money.iter().map(|(code, taken, returned)| (code.clone(), taken - returned));
        Self {
            accepted,
            unanswered,
            stored: overview.orders.iter().cloned().collect(),
            broken: broken.iter().map(told).collect(),
            dead_letters: overview.dead_letters,
            kept: kept.filter(|(_, minor)| *minor != 0).collect(),
            kept_there: kept_there(&provider["payments"]["money"]),
            doubled: doubles(provider).iter().map(|(_, count)| count.as_u64().unwrap_or(1)).sum(),
        }
    }

    /// Everything that is wrong; nothing if all is well.
    pub(crate) fn wrongs(&self) -> Vec<String> {
        let mut wrongs = Vec::new();
        let stored: u64 = self.stored.values().sum();
        let known = self.accepted..=self.accepted + self.unanswered;
        if stored == 0 || !known.contains(&stored) {
            let accepted = self.accepted;
            wrongs.push(format!("{accepted} orders were accepted, {stored} are stored"));
        }
        let cancelled = self.count(OrderStatus::Cancelled);
        let ended = self.count(OrderStatus::Delivered) + cancelled;
        if ended != stored {
            wrongs.push(format!("{} orders have not come to their end", stored.abs_diff(ended)));
        }
        // Stock is never short and no payment is declined, so a cancelled order has timed out under the load.
        if cancelled > 0 {
            wrongs.push(format!("{cancelled} orders were cancelled, and no stress test wants that"));
        }
        if self.kept != self.kept_there {
            wrongs.push(format!(
                "we think that {:?} was charged, the provider {:?}",
                self.kept, self.kept_there
            ));
        }
        if self.doubled > 0 {
            wrongs.push(format!("{} orders were charged or shipped twice", self.doubled));
        }
        if self.dead_letters > 0 {
            wrongs.push(format!("{} messages were set aside", self.dead_letters));
        }
        wrongs.extend(self.broken.iter().take(TOLD_MAX).cloned());
        wrongs
    }

    pub(crate) fn count(&self, status: OrderStatus) -> u64 {
        self.stored.get(status.as_str()).copied().unwrap_or(0)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} accepted, {} delivered; the totals of store and provider agree, no invariant is broken",
            self.accepted,
            self.count(OrderStatus::Delivered)
        )
    }
}

/// What the provider must not have: keys and references that were charged or shipped twice.
pub(crate) fn doubles(stats: &Value) -> [(&'static str, &Value); 3] {
    let count = |group: &str, name: &'static str| (name, &stats[group][name]);
    [
        count("payments", "keys_charged_twice"),
        count("payments", "references_charged_twice"),
        count("shipping", "references_shipped_twice"),
    ]
}

/// What both sides have on record, entry by entry, as they show it.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) orders: Vec<Value>,
    pub(crate) overview: Value,
    pub(crate) check: Value,
    pub(crate) charges: Vec<Value>,
    pub(crate) shipments: Vec<Value>,
    pub(crate) stats: Value,
}

impl Ledger {
    pub(crate) async fn read(service: &Client, provider: &Client) -> Result<Self> {
        Ok(Self {
            orders: orders(service).await?,
            overview: service.get("/overview").await?,
            check: service.get("/check").await?,
            charges: provider.listing("/charges").await?,
            shipments: provider.listing("/shipments").await?,
            stats: provider.get("/stats").await?,
        })
    }
}

async fn orders(service: &Client) -> Result<Vec<Value>> {
    const PATH: &str = "/orders?limit=200";
    let (mut orders, mut next) = (Vec::new(), PATH.to_owned());
    loop {
        let page = service.get(&next).await?;
        orders.extend(page["items"].as_array().cloned().context("a listing has items")?);
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("{PATH}&cursor={cursor}"),
            None => return Ok(orders),
        }
    }
}

fn kept_there(money: &Value) -> BTreeMap<String, i64> {
    let minor = |tally: &Value, name: &str| tally[name].as_i64().unwrap_or(0);
    let kept =
        money.as_object().into_iter().flatten().map(|(code, tally)| {
            (code.clone(), minor(tally, "captured_minor") - minor(tally, "refunded_minor"))
        });
    kept.filter(|(_, minor)| *minor != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Totals {
        let stored = BTreeMap::from([("delivered".to_owned(), 10)]);
        let kept = BTreeMap::from([("EUR".to_owned(), 900)]);
        Totals { accepted: 10, stored, kept: kept.clone(), kept_there: kept, ..Totals::default() }
    }

    #[test]
    fn totals_that_agree_are_right() {
        assert!(good().wrongs().is_empty(), "{:?}", good().wrongs());
    }

    #[test]
    fn whatever_is_lost_doubled_or_left_is_found() {
        let and_one = |status: &str| BTreeMap::from([("delivered".to_owned(), 9), (status.to_owned(), 1)]);
        let all_cancelled = BTreeMap::from([("cancelled".to_owned(), 10)]);
        let wrong = [
            Totals { accepted: 11, ..good() },
            Totals { accepted: 9, ..good() },
            Totals { stored: and_one("paid"), ..good() },
            Totals { stored: and_one("cancelled"), ..good() },
            Totals { stored: all_cancelled, ..good() },
            Totals { stored: BTreeMap::new(), accepted: 0, ..good() },
            Totals { kept_there: BTreeMap::new(), ..good() },
            Totals { doubled: 1, ..good() },
            Totals { dead_letters: 1, ..good() },
            Totals { broken: vec!["invariant 3".to_owned()], ..good() },
        ];
        for (number, totals) in wrong.iter().enumerate() {
            assert_eq!(totals.wrongs().len(), 1, "number {number}: {:?}", totals.wrongs());
        }
    }

    #[test]
    fn a_request_without_an_answer_may_have_become_an_order() {
        assert!(Totals { accepted: 9, unanswered: 1, ..good() }.wrongs().is_empty());
        assert!(!Totals { accepted: 8, unanswered: 1, ..good() }.wrongs().is_empty());
    }

    #[test]
    fn a_provider_that_says_nothing_of_doubles_is_not_believed() {
        let totals = Totals::of(&Overview::default(), &[], &Value::Null, (0, 0));
        assert!(totals.doubled > 0);
    }
}
