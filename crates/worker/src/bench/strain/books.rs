//! Reconciliation: the clients' count, our store, the provider. Counts only; changes nothing.

use std::collections::BTreeMap;
use std::fmt;

use application::ports::{BrokenInvariantView, Overview};
use domain::OrderStatus;
use serde::Serialize;
use serde_json::Value;

/// Violations listed per kind at most.
const TOLD_MAX: usize = 3;

/// The counts of all sides when it is over.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Books {
    /// Orders that clients were told are accepted.
    pub accepted: u64,
    /// Requests without an answer; each may or may not have become an order.
    pub unanswered: u64,
    /// Orders stored, by status.
    pub stored: BTreeMap<String, u64>,
    /// Broken invariants.
    pub broken: Vec<String>,
    /// Dead letters.
    pub dead_letters: u64,
    /// Charged, less what was given back, by currency: our word.
    pub kept: BTreeMap<String, i64>,
    /// The same: the provider's.
    pub kept_there: BTreeMap<String, i64>,
    /// Orders that the provider charged or shipped twice.
    pub doubled: u64,
}

impl Books {
    /// What all sides say.
    pub(super) fn of(
        overview: &Overview,
        broken: &[BrokenInvariantView],
        provider: &Value,
        (accepted, unanswered): (u64, u64),
    ) -> Self {
        let told = |mistake: &BrokenInvariantView| {
            format!("invariant {} of {}: {}", mistake.invariant, mistake.subject, mistake.detail)
        };
        let doubles = [
            &provider["payments"]["keys_charged_twice"],
            &provider["payments"]["references_charged_twice"],
            &provider["shipping"]["references_shipped_twice"],
        ];
        let kept = overview.money.iter().map(|(code, taken, returned)| (code.clone(), taken - returned));
        Self {
            accepted,
            unanswered,
            stored: overview.orders.iter().cloned().collect(),
            broken: broken.iter().map(told).collect(),
            dead_letters: overview.dead_letters,
            kept: kept.filter(|(_, minor)| *minor != 0).collect(),
            kept_there: kept_there(&provider["payments"]["money"]),
            doubled: doubles.iter().map(|count| count.as_u64().unwrap_or(1)).sum(),
        }
    }

    /// Everything that is wrong; nothing if all is well.
    pub(super) fn wrongs(&self) -> Vec<String> {
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
            wrongs.push(format!("{cancelled} orders were cancelled, and no strain wants that"));
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

    /// Orders of a status.
    pub(super) fn count(&self, status: OrderStatus) -> u64 {
        self.stored.get(status.as_str()).copied().unwrap_or(0)
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} accepted, {} delivered; the books of store and provider agree, no invariant is broken",
            self.accepted,
            self.count(OrderStatus::Delivered)
        )
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

    fn good() -> Books {
        let stored = BTreeMap::from([("delivered".to_owned(), 10)]);
        let kept = BTreeMap::from([("EUR".to_owned(), 900)]);
        Books { accepted: 10, stored, kept: kept.clone(), kept_there: kept, ..Books::default() }
    }

    #[test]
    fn books_that_agree_are_right() {
        assert!(good().wrongs().is_empty(), "{:?}", good().wrongs());
    }

    #[test]
    fn whatever_is_lost_doubled_or_left_is_found() {
        let and_one = |status: &str| BTreeMap::from([("delivered".to_owned(), 9), (status.to_owned(), 1)]);
        let all_cancelled = BTreeMap::from([("cancelled".to_owned(), 10)]);
        let wrong = [
            Books { accepted: 11, ..good() },
            Books { accepted: 9, ..good() },
            Books { stored: and_one("paid"), ..good() },
            Books { stored: and_one("cancelled"), ..good() },
            Books { stored: all_cancelled, ..good() },
            Books { stored: BTreeMap::new(), accepted: 0, ..good() },
            Books { kept_there: BTreeMap::new(), ..good() },
            Books { doubled: 1, ..good() },
            Books { dead_letters: 1, ..good() },
            Books { broken: vec!["invariant 3".to_owned()], ..good() },
        ];
        for (number, books) in wrong.iter().enumerate() {
            assert_eq!(books.wrongs().len(), 1, "number {number}: {:?}", books.wrongs());
        }
    }

    #[test]
    fn a_request_without_an_answer_may_have_become_an_order() {
        assert!(Books { accepted: 9, unanswered: 1, ..good() }.wrongs().is_empty());
        assert!(!Books { accepted: 8, unanswered: 1, ..good() }.wrongs().is_empty());
    }

    #[test]
    fn a_provider_that_says_nothing_of_doubles_is_not_believed() {
        let books = Books::of(&Overview::default(), &[], &Value::Null, (0, 0));
        assert!(books.doubled > 0);
    }
}
