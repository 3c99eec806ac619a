//! Rows that a unit has written and not stored: an order and a saga that change several times within one unit are stored
//! once, as they are in the end. How they are stored is each store's own. Never decides when; a store must not answer a
//! question about rows that are still here.

use std::collections::BTreeMap;

use application::ports::{NewOrderRow, StatusMove};
use application::saga::OrderProcessingSaga;
use bus::Fault;
use domain::{Cancellation, OrderChange, OrderId, OrderStatus};
use jiff::Timestamp;

/// What waits to be stored.
#[derive(Default)]
pub(crate) struct Unsaved {
    new_orders: BTreeMap<OrderId, NewOrderRow>,
    moves: BTreeMap<OrderId, StatusMove>,
    cancellations: Vec<CancellationRow>,
    sagas: BTreeMap<OrderId, UnsavedSaga>,
}

/// Why an order was called off.
pub(crate) struct CancellationRow {
    /// The order.
    pub(crate) order_id: OrderId,
    /// The record.
    pub(crate) record: Cancellation,
    /// When.
    pub(crate) at: Timestamp,
}

/// A saga as it is to be stored.
pub(crate) struct UnsavedSaga {
    /// The instance.
    pub(crate) saga: OrderProcessingSaga,
    /// When it was written last.
    pub(crate) at: Timestamp,
    row: SagaRow,
}

/// Whether there is a row already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SagaRow {
    New,
    Stored,
}

/// All that is to be stored, each row once and in the order of its key; what is named first must be stored first.
pub(crate) struct Rows {
    /// Orders without a row, as they are by now.
    pub(crate) new_orders: Vec<NewOrderRow>,
    /// Moves of orders that have one, several joined to one.
    pub(crate) moves: Vec<StatusMove>,
    /// Cancellations of either.
    pub(crate) cancellations: Vec<CancellationRow>,
    /// Sagas without a row.
    pub(crate) new_sagas: Vec<UnsavedSaga>,
    /// Sagas that have one.
    pub(crate) changed_sagas: Vec<UnsavedSaga>,
}

impl Unsaved {
    /// An order that is new.
    ///
    /// # Errors
    /// A conflict if one of that id is here.
    pub(crate) fn create_order(&mut self, row: &NewOrderRow) -> Result<(), Fault> {
        let id = row.order.id();
        match self.new_orders.insert(id, row.clone()) {
            None => Ok(()),
            Some(_) => Err(Fault::conflict("orders.create", format!("order {id} is created twice"))),
        }
    }

    /// A change of status, joined to those before.
    ///
    /// # Errors
    /// A conflict if the order is known to stand elsewhere.
    pub(crate) fn move_order(&mut self, step: &StatusMove) -> Result<(), Fault> {
        let OrderChange { order_id, at, .. } = step.change;
        if let Some(row) = self.new_orders.get_mut(&order_id) {
            stands_there(step, row.order.status())?;
            row.order.apply(&step.change).map_err(|refused| Fault::give_up("orders.update", refused))?;
        } else if let Some(earlier) = self.moves.get_mut(&order_id) {
            stands_there(step, earlier.to)?;
            earlier.to = step.to;
            earlier.change = OrderChange { at: earlier.change.at.max(at), ..step.change.clone() };
        } else {
            self.moves.insert(order_id, step.clone());
        }
        if let Some(record) = step.change.cancellation.clone() {
            self.cancellations.push(CancellationRow { order_id, record, at });
        }
        Ok(())
    }

    /// A saga that is new.
    ///
    /// # Errors
    /// A conflict if one of that order is here.
    pub(crate) fn insert_saga(&mut self, saga: &OrderProcessingSaga, at: Timestamp) -> Result<(), Fault> {
        let fresh = UnsavedSaga { saga: saga.clone(), at, row: SagaRow::New };
        match self.sagas.insert(saga.order_id, fresh) {
            None => Ok(()),
            Some(_) => {
                let text = format!("the saga of order {} is inserted twice", saga.order_id);
                Err(Fault::conflict("sagas.insert", text))
            }
        }
    }

    /// A saga that has changed.
    pub(crate) fn update_saga(&mut self, saga: &OrderProcessingSaga, at: Timestamp) {
        let row = self.sagas.get(&saga.order_id).map_or(SagaRow::Stored, |earlier| earlier.row);
        self.sagas.insert(saga.order_id, UnsavedSaga { saga: saga.clone(), at, row });
    }

    /// Whether the saga of this order waits to be stored for the first time.
    pub(crate) fn is_new(&self, id: OrderId) -> bool {
        self.sagas.get(&id).is_some_and(|unsaved| unsaved.row == SagaRow::New)
    }

    /// Whether an order waits whose lines the table does not have.
    pub(crate) fn has_new_orders(&self) -> bool {
        !self.new_orders.is_empty()
    }

    /// The payment tokens of orders that wait here; `ids` has the others afterwards.
    pub(crate) fn payment_tokens(&self, ids: &mut Vec<OrderId>) -> Vec<(OrderId, String)> {
        let mut tokens = Vec::new();
        ids.retain(|id| match self.new_orders.get(id) {
            Some(row) => {
                tokens.extend(row.payment_token.clone().map(|token| (*id, token)));
                false
            }
            None => true,
        });
        tokens
    }

    /// All of it; none is here any more.
    pub(crate) fn take(&mut self) -> Rows {
        let Self { new_orders, moves, cancellations, sagas } = std::mem::take(self);
        let (new_sagas, changed_sagas) = sagas.into_values().partition(|unsaved| unsaved.row == SagaRow::New);
        Rows {
            new_orders: new_orders.into_values().collect(),
            moves: moves.into_values().collect(),
            cancellations,
            new_sagas,
            changed_sagas,
        }
    }
}

fn stands_there(step: &StatusMove, stands: OrderStatus) -> Result<(), Fault> {
    if stands == step.from {
        return Ok(());
    }
    let text = format!("{} is to move from {} and is {stands}", step.change.order_id, step.from);
    Err(Fault::conflict("orders.update", text))
}
