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
    /// Minor units taken, in billions that are not among the others.
    CapturedBillions(Currency),
    /// Minor units given back, in billions that are not among the others.
    RefundedBillions(Currency),
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
            Self::CapturedBillions(_) => "captured_billions",
            Self::RefundedBillions(_) => "refunded_billions",
            Self::Queued(_) => "queued",
        }
    }

    /// Which one of its kind.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Orders(status) => status.as_str(),
            Self::Sagas(state) => state.as_str(),
            Self::Cancellations(reason) => reason.as_str(),
            Self::Captured(currency)
            | Self::Refunded(currency)
            | Self::CapturedBillions(currency)
            | Self::RefundedBillions(currency) => currency.code(),
            Self::Queued(queue) => queue,
        }
    }
}

/// Money is counted in two numbers, so that no sum of 64 bits overflows: a billion orders of the most that an order may come
/// to are 10^15 billions, and less than 10^18 besides. Most orders come to less than a billion and need but one.
pub(crate) const BILLION: i64 = 1_000_000_000;

/// The changes of one unit, or of several.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<Tallied, i64>);

impl Tally {
    /// Adds to a count; negative takes away.
    pub(crate) fn add(&mut self, what: Tallied, amount: i64) {
        *self.0.entry(what).or_insert(0) += amount;
    }

    /// Adds what was taken, in minor units.
    pub(crate) fn captured(&mut self, currency: Currency, minor: i64) {
        self.add(Tallied::Captured(currency), minor % BILLION);
        self.add(Tallied::CapturedBillions(currency), minor / BILLION);
    }

    /// Adds what was given back, in minor units.
    pub(crate) fn refunded(&mut self, currency: Currency, minor: i64) {
        self.add(Tallied::Refunded(currency), minor % BILLION);
        self.add(Tallied::RefundedBillions(currency), minor / BILLION);
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
