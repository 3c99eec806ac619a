//! What every store counts of orders as it changes, so that an overview of a million orders costs no more than one of ten.
//! How counts are written is each store's own.

use application::saga::SagaState;
use bus::{Count, Counts};
use domain::{CancelReason, Currency, OrderStatus};

/// What is counted.
#[derive(Clone, Copy, Debug)]
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
}

impl Tallied {
    /// The kind of thing.
    const fn subject(&self) -> &'static str {
        match self {
            Self::Orders(_) => "orders",
            Self::Sagas(_) => "sagas",
            Self::Cancellations(_) => "cancellations",
            Self::Captured(_) => "captured",
            Self::Refunded(_) => "refunded",
            Self::CapturedBillions(_) => "captured_billions",
            Self::RefundedBillions(_) => "refunded_billions",
        }
    }

    /// Which one of its kind.
    fn name(&self) -> &'static str {
        match self {
            Self::Orders(status) => status.as_str(),
            Self::Sagas(state) => state.as_str(),
            Self::Cancellations(reason) => reason.as_str(),
            Self::Captured(currency)
            | Self::Refunded(currency)
            | Self::CapturedBillions(currency)
            | Self::RefundedBillions(currency) => currency.code(),
        }
    }
}

/// Money is counted in two numbers, so that no sum of 64 bits overflows: a billion orders of the most that an order may come
/// to are 10^15 billions, and less than 10^18 besides. Most orders come to less than a billion and need but one.
pub(crate) const BILLION: i64 = 1_000_000_000;

impl From<Tallied> for Count {
    fn from(what: Tallied) -> Self {
        Self::of(what.subject(), what.name())
    }
}

/// Adds what was taken, in minor units.
pub(crate) fn count_captured(counts: &mut Counts, currency: Currency, minor: i64) {
    counts.add(Tallied::Captured(currency), minor % BILLION);
    counts.add(Tallied::CapturedBillions(currency), minor / BILLION);
}

/// Adds what was given back, in minor units.
pub(crate) fn count_refunded(counts: &mut Counts, currency: Currency, minor: i64) {
    counts.add(Tallied::Refunded(currency), minor % BILLION);
    counts.add(Tallied::RefundedBillions(currency), minor / BILLION);
}
