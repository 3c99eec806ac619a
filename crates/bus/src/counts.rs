//! What a store counts as it changes, so that a look at a million rows costs no more than one at ten: the changes of one unit,
//! summed up in memory. The bus counts what waits in its queues; whoever builds on it counts what it likes. How they are
//! written is each store's own.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Subject of the messages that wait, by queue.
pub const QUEUED: &str = "queued";

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count {
    subject: &'static str,
    name: Name,
}

/// Which one of its kind.
#[derive(Clone, Debug)]
enum Name {
    Fixed(&'static str),
    Shared(Arc<str>),
}

impl Count {
    /// One of a fixed set.
    #[must_use]
    pub const fn of(subject: &'static str, name: &'static str) -> Self {
        Self { subject, name: Name::Fixed(name) }
    }

    /// Messages that wait in this queue.
    #[must_use]
    pub const fn queued(queue: Arc<str>) -> Self {
        Self { subject: QUEUED, name: Name::Shared(queue) }
    }
}

impl Name {
    fn as_str(&self) -> &str {
        match self {
            Self::Fixed(name) => name,
            Self::Shared(name) => name,
        }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

/// The changes of one unit, or of several.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<Count, i64>);

impl Counts {
    /// Adds to a count; negative takes away.
    pub fn add(&mut self, what: impl Into<Count>, amount: i64) {
        *self.0.entry(what.into()).or_insert(0) += amount;
    }

    /// Adds all changes of another.
    pub fn add_all(&mut self, other: Self) {
        for (what, amount) in other.0 {
            self.add(what, amount);
        }
    }

    /// What changed: subject, name, by how much. What comes to nothing is left out.
    pub fn changes(&self) -> impl Iterator<Item = (&'static str, &str, i64)> + Clone {
        let changed = self.0.iter().filter(|(_, amount)| **amount != 0);
        changed.map(|(what, amount)| (what.subject, what.name.as_str(), *amount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_add_up_and_what_comes_to_nothing_is_left_out() {
        let mut counts = Counts::default();
        counts.add(Count::queued("q".into()), 2);
        counts.add(Count::of("doors", "open"), 1);
        let mut other = Counts::default();
        other.add(Count::of(QUEUED, "q"), 3);
        other.add(Count::of("doors", "open"), -1);
        counts.add_all(other);
        assert_eq!(counts.changes().collect::<Vec<_>>(), [(QUEUED, "q", 5)]);
    }
}
