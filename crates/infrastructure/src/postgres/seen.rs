//! What a unit has read and written, so that the next step of the same unit need not ask again. True as long as the unit
//! lasts: its rows are locked, or cannot matter before it ends. Nothing of it outlives the unit.

use std::collections::HashMap;

use application::saga::OrderProcessingSaga;
use bus::CorrelationId;
use domain::{OrderId, Payment, Product, ProductId};
use tokio_postgres::{Error, Row};

/// What is known without asking.
#[derive(Default)]
pub(super) struct Seen {
    /// Sagas as they are now. Each is locked by this unit, or new.
    pub(super) sagas: HashMap<OrderId, OrderProcessingSaga>,
    /// Whether messages wait for these to move on.
    pub(super) parked: HashMap<CorrelationId, Parked>,
    /// Payments as they are now.
    pub(super) payments: HashMap<OrderId, Payment>,
    /// Products as they were when the first step of this unit read them: all steps go by one catalogue.
    pub(super) products: HashMap<ProductId, Product>,
}

/// Whether messages wait for a saga to move on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parked {
    /// None does.
    Nothing,
    /// Some do.
    Something,
}

impl Seen {
    /// Takes in the answer to the question for which of `asked` messages are parked.
    pub(super) fn note_parked(&mut self, asked: &[CorrelationId], rows: &[Row]) -> Result<(), Error> {
        self.parked.extend(asked.iter().map(|id| (*id, Parked::Nothing)));
        for row in rows {
            self.parked.insert(CorrelationId(row.try_get(0)?), Parked::Something);
        }
        Ok(())
    }
}
