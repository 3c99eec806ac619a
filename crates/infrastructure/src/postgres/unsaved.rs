//! Rows that a unit has written and not sent: an order, a saga and a timer that change several times within one unit reach
//! the server once, as they are in the end. Never holds back what somebody is about to read from the server.

use std::collections::BTreeMap;

use application::ports::{NewOrderRow, StatusMove};
use application::saga::OrderProcessingSaga;
use bus::{Fault, Timer, TimerKey};
use domain::OrderId;
use jiff::Timestamp;

use super::pipeline::Act;
use super::{orders, sagas, timers};

/// What waits to be sent.
#[derive(Default)]
pub(super) struct Unsaved {
    orders: BTreeMap<OrderId, NewOrderRow>,
    moves: BTreeMap<OrderId, StatusMove>,
    sagas: BTreeMap<OrderId, UnsavedSaga>,
    timers: BTreeMap<TimerKey, Option<Timer>>,
}

/// A saga as it is to be stored.
pub(super) struct UnsavedSaga {
    /// The instance.
    pub(super) saga: OrderProcessingSaga,
    /// When it was written last.
    pub(super) at: Timestamp,
    row: Row,
}

/// Whether the server has a row already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Row {
    Fresh,
    Stored,
}

impl Unsaved {
    /// An order that is new.
    pub(super) fn create_order(&mut self, row: &NewOrderRow) -> Result<(), Fault> {
        let id = row.order.id();
        match self.orders.insert(id, row.clone()) {
            None => Ok(()),
            Some(_) => Err(Fault::conflict("orders.create", format!("order {id} is created twice"))),
        }
    }

    /// A change of status, joined to those before.
    pub(super) fn move_order(&mut self, step: &StatusMove) -> Result<(), Fault> {
        let fresh = self.orders.get(&step.order_id).map(|row| row.order.status());
        let stands = self.moves.get(&step.order_id).map(|earlier| earlier.to).or(fresh);
        if let Some(stands) = stands.filter(|stands| *stands != step.from) {
            let text = format!("{} is to move from {} and is {stands}", step.order_id, step.from);
            return Err(Fault::conflict("orders.update", text));
        }
        let joined = self.moves.entry(step.order_id).or_insert_with(|| step.clone());
        joined.to = step.to;
        joined.at = joined.at.max(step.at);
        joined.cancellation = step.cancellation.clone().or(joined.cancellation.take());
        Ok(())
    }

    /// A saga that is new.
    pub(super) fn insert_saga(&mut self, saga: &OrderProcessingSaga, at: Timestamp) -> Result<(), Fault> {
        let fresh = UnsavedSaga { saga: saga.clone(), at, row: Row::Fresh };
        match self.sagas.insert(saga.order_id, fresh) {
            None => Ok(()),
            Some(_) => {
                let text = format!("the saga of order {} is inserted twice", saga.order_id);
                Err(Fault::conflict("sagas.insert", text))
            }
        }
    }

    /// A saga that has changed.
    pub(super) fn update_saga(&mut self, saga: &OrderProcessingSaga, at: Timestamp) {
        let row = self.sagas.get(&saga.order_id).map_or(Row::Stored, |earlier| earlier.row);
        self.sagas.insert(saga.order_id, UnsavedSaga { saga: saga.clone(), at, row });
    }

    /// A timer, in the place of one of the same key.
    pub(super) fn set_timer(&mut self, timer: Timer) {
        self.timers.insert(timer.key.clone(), Some(timer));
    }

    /// No timer of this key.
    pub(super) fn cancel_timer(&mut self, key: TimerKey) {
        self.timers.insert(key, None);
    }

    /// Whether an order waits whose lines the server does not have.
    pub(super) fn has_fresh_orders(&self) -> bool {
        !self.orders.is_empty()
    }

    /// The statements that write all of it.
    pub(super) fn take(&mut self) -> Vec<Act> {
        let Self { orders, moves, sagas, timers } = std::mem::take(self);
        let mut acts = order_acts(orders, moves);
        let is_fresh =
            |key: &TimerKey| sagas.get(&OrderId(key.saga.0)).is_some_and(|unsaved| unsaved.row == Row::Fresh);
        let (set, cancelled): (Vec<_>, Vec<_>) = timers.into_iter().partition(|(_, timer)| timer.is_some());
        // A saga that the server has not heard of has no timers there.
        let cancelled: Vec<TimerKey> =
            cancelled.into_iter().map(|(key, _)| key).filter(|key| !is_fresh(key)).collect();
        let (fresh, changed): (Vec<_>, Vec<_>) =
            sagas.into_values().partition(|unsaved| unsaved.row == Row::Fresh);
        acts.extend((!fresh.is_empty()).then(|| sagas::insert(&fresh)));
        acts.extend((!changed.is_empty()).then(|| sagas::update(&changed)));
        let set: Vec<Timer> = set.into_iter().filter_map(|(_, timer)| timer).collect();
        acts.extend((!set.is_empty()).then(|| timers::set(&set)));
        acts.extend((!cancelled.is_empty()).then(|| timers::cancel(&cancelled)));
        acts
    }
}

fn order_acts(fresh: BTreeMap<OrderId, NewOrderRow>, mut moves: BTreeMap<OrderId, StatusMove>) -> Vec<Act> {
    let mut acts = Vec::new();
    let cancelled: Vec<StatusMove> =
        moves.values().filter(|step| step.cancellation.is_some()).cloned().collect();
    let fresh: Vec<(NewOrderRow, Option<StatusMove>)> =
        fresh.into_iter().map(|(id, row)| (row, moves.remove(&id))).collect();
    if !fresh.is_empty() {
        acts.push(orders::insert(&fresh));
        acts.push(orders::insert_lines(&fresh));
    }
    let moved: Vec<StatusMove> = moves.into_values().collect();
    acts.extend((!moved.is_empty()).then(|| orders::update(&moved)));
    acts.extend((!cancelled.is_empty()).then(|| orders::record_cancellations(&cancelled)));
    acts
}
