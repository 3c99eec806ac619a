//! Counts over everything, kept as they change, so that an overview of a million orders costs no more than one of ten.
//! Changes are summed up in memory and written once, in the transaction that makes them durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use application::saga::SagaState;
use domain::{CancelReason, Currency, OrderStatus};
use rusqlite::{Connection, Result, params};

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
    fn subject(&self) -> &'static str {
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

/// The changes of one unit, or of several.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<Tallied, i64>);

impl Tally {
    /// Adds to a count; negative takes away.
    pub(super) fn add(&mut self, what: Tallied, amount: i64) {
        *self.0.entry(what).or_insert(0) += amount;
    }

    /// Adds all changes of another.
    pub(super) fn add_all(&mut self, other: Self) {
        for (what, amount) in other.0 {
            self.add(what, amount);
        }
    }

    /// Writes what changed.
    pub(super) fn store(self, connection: &Connection) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut update = connection.prepare_cached(
            "insert into tallies values (?, ?, ?) on conflict (subject, name) do update set amount = amount + excluded.amount",
        )?;
        for (what, amount) in self.0 {
            if amount != 0 {
                update.execute(params![what.subject(), what.name(), amount])?;
            }
        }
        Ok(())
    }
}

/// All counts of a subject, by name.
pub(super) fn read(connection: &Connection, subject: &str) -> Result<BTreeMap<String, i64>> {
    connection
        .prepare_cached("select name, amount from tallies where subject = ?")?
        .query_map([subject], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
