//! Counts over everything, kept as they change, so that an overview of a million orders costs no more than one of ten.
//! Changes are summed up in memory and added, never updated, in the transaction that made them: no two wait for each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use application::saga::SagaState;
use domain::{CancelReason, Currency, OrderStatus};

use super::array::Array;
use super::pipeline::Act;

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tallied {
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
    pub(super) const fn subject(&self) -> &'static str {
        match self {
            Self::Orders(_) => "orders",
            Self::Sagas(_) => "sagas",
            Self::Cancellations(_) => "cancellations",
            Self::Captured(_) => "captured",
            Self::Refunded(_) => "refunded",
            Self::Queued(_) => "queued",
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Orders(status) => status.as_str(),
            Self::Sagas(state) => state.as_str(),
            Self::Cancellations(reason) => reason.as_str(),
            Self::Captured(currency) | Self::Refunded(currency) => currency.code(),
            Self::Queued(queue) => queue,
        }
    }
}

/// The changes of one transaction.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<Tallied, i64>);

impl Tally {
    /// Adds to a count; negative takes away.
    pub(super) fn add(&mut self, what: Tallied, amount: i64) {
        *self.0.entry(what).or_insert(0) += amount;
    }

    /// The statement that writes what changed; none if nothing did.
    pub(super) fn store(&mut self) -> Option<Act> {
        let changes = std::mem::take(&mut self.0);
        let changed = || changes.iter().filter(|(_, amount)| **amount != 0);
        changed().next()?;
        let sql = "insert into tally_changes (subject, name, amount)
             select * from unnest($1::text[], $2::text[], $3::bigint[])";
        Some(Act::new(
            "tally.store",
            sql,
            vec![
                Box::new(Array::texts(changed().map(|(what, _)| what.subject()))),
                Box::new(Array::texts(changed().map(|(what, _)| what.name()))),
                Box::new(Array::numbers(changed().map(|(_, amount)| *amount))),
            ],
        ))
    }
}

/// Sums up the oldest changes, up to `$1` of them. Several processes may do so at once; each takes other rows.
pub(super) const FOLD: &str = "with folded as (
         delete from tally_changes where position in (
             select position from tally_changes order by position limit $1 for update skip locked
         ) returning subject, name, amount
     ), sums as (
         select subject, name, sum(amount)::bigint as amount from folded group by subject, name order by subject, name
     ), added as (
         insert into tallies (subject, name, amount) select subject, name, amount from sums
         on conflict (subject, name) do update set amount = tallies.amount + excluded.amount
     )
     select count(*) from folded";

/// All counts: subject, name, amount.
pub(super) const READ: &str = "select subject, name, sum(amount)::bigint from (
         select subject, name, amount from tallies union all select subject, name, amount from tally_changes
     ) as counted group by subject, name";
