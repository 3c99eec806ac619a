//! Whether the books of stock and money are right, as the last check of the whole books found. That check is made by the
//! eldest worker; the others know nothing of it and say so.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Check, Finding, Scene};
use crate::observe::Books;

/// The invariant of the stock.
const OF_STOCK: [u8; 1] = [3];

/// The invariant of the money.
const OF_MONEY: [u8; 1] = [2];

/// Breaches that are named in words.
const NAMED_MAX: usize = 3;

/// Whether counters and ledger of the stock agree.
pub(super) struct InventoryCheck {
    books: Arc<Books>,
    stale: Duration,
}

impl InventoryCheck {
    /// A check of the books that is more than three rounds past counts for nothing.
    pub(super) fn new(books: Arc<Books>, checked_every: Duration) -> Self {
        let stale = checked_every.saturating_mul(3);
        Self { books, stale: stale.saturating_add(Duration::from_secs(30)) }
    }
}

#[async_trait]
impl Check for InventoryCheck {
    fn name(&self) -> &'static str {
        "inventory"
    }

    async fn look(&self, scene: &Scene) -> Finding {
        let age = self.books.last().map(|last| scene.at.duration_since(last.made_at));
        let fresh = match age {
            Some(age) if age > self.stale => {
                Finding::degraded(format!("the books were last checked {} s ago", age.as_secs()))
            }
            Some(_) | None => Finding::up(""),
        };
        Finding::worst_of([fresh, breaches(&self.books, &OF_STOCK)])
    }
}

/// Whether the money held is what it must be.
pub(super) struct MoneyCheck {
    books: Arc<Books>,
}

impl MoneyCheck {
    pub(super) const fn new(books: Arc<Books>) -> Self {
        Self { books }
    }
}

#[async_trait]
impl Check for MoneyCheck {
    fn name(&self) -> &'static str {
        "money"
    }

    async fn look(&self, _: &Scene) -> Finding {
        breaches(&self.books, &OF_MONEY)
    }
}

/// What the last check of the books found about these invariants.
pub(super) fn breaches(books: &Books, invariants: &[u8]) -> Finding {
    let Some(last) = books.last() else {
        return Finding::up("not checked by this worker yet; the eldest one checks the books for all");
    };
    let broken: Vec<String> = last
        .broken
        .iter()
        .filter(|breach| invariants.contains(&breach.invariant))
        .map(|breach| format!("{} {}", breach.subject, breach.detail))
        .collect();
    if broken.is_empty() {
        return Finding::up(format!("right when last checked, at {}", last.checked_at));
    }
    let named = broken.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
    Finding::down(format!("{} breaches at {}: {named}", broken.len(), last.checked_at))
}
