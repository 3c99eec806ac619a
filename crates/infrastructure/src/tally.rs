//! What every store counts as it changes, so that an overview of a million orders costs no more than one of ten: the
//! subjects, and the changes of one unit summed up in memory. How they are written is each store's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use application::saga::SagaState;
use domain::{CancelReason, Currency, OrderStatus};

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tallied {
    /// Orders of a status.
    Orders(OrderStatus),
    /// Sagas in a state.
    Sagas(SagaState),
    /// Orders called off for a reason.
    Cancellations(CancelReason),
    /// Minor units taken.
    Captured(Currency),
    /// Minor units given back.
    Refunded(Currency),
    /// Messages waiting in a queue.
    Queued(Arc<str>),
}

impl Tallied {
    /// The kind of thing.
    pub(crate) const fn subject(&self) -> &'static str {
        match self {
            Self::Orders(_) => "orders",
            Self::Sagas(_) => "sagas",
            Self::Cancellations(_) => "cancellations",
            Self::Captured(_) => "captured",
            Self::Refunded(_) => "refunded",
            Self::Queued(_) => "queued",
        }
    }

    /// Which one of its kind.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Orders(status) => status.as_str(),
            Self::Sagas(state) => state.as_str(),
            Self::Cancellations(reason) => reason.as_str(),
            Self::Captured(currency) | Self::Refunded(currency) => currency.code(),
            Self::Queued(queue) => queue,
        }
    }
}

/// The changes of one unit, or of several.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<Tallied, i64>);

impl Tally {
    /// Adds to a count; negative takes away.
    pub(crate) fn add(&mut self, what: Tallied, amount: i64) {
        *self.0.entry(what).or_insert(0) += amount;
    }

    /// Adds all changes of another.
    pub(crate) fn add_all(&mut self, other: Self) {
        for (what, amount) in other.0 {
            self.add(what, amount);
        }
    }

    /// What changed: subject, name, by how much. What comes to nothing is left out.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (&'static str, &str, i64)> + Clone {
        let changed = self.0.iter().filter(|(_, amount)| **amount != 0);
        changed.map(|(what, amount)| (what.subject(), what.name(), *amount))
    }
}
