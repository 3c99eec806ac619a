//! Holds in the simulation: what customers wanted their orders to wait for, and what a person has begun to release. Gateway and
//! carrier know by it which orders nobody may ask them about yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use application::commands::HoldWish;
use domain::{HoldPoint, OrderId};

/// By order and reason: the step that a hold keeps its order from; none once somebody has begun to release it.
type Known = BTreeMap<(OrderId, String), Option<HoldPoint>>;

/// Holds that customers have placed.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds(Arc<Mutex<Known>>);

impl Holds {
    /// The order waits for this, until somebody begins to release it.
    pub(super) fn placed(&self, order_id: OrderId, wish: &HoldWish) {
        self.open().entry((order_id, wish.reason.clone())).or_insert(Some(wish.before));
    }

    /// Somebody begins to release this hold, whether or not an answer comes.
    pub(super) fn released(&self, order_id: OrderId, reason: &str) {
        self.open().insert((order_id, reason.to_owned()), None);
    }

    /// Whether a hold keeps the order from this step for certain.
    pub(super) fn keep_from(&self, order_id: OrderId, point: HoldPoint) -> bool {
        let known = self.open();
        let mut of_order =
            known.range((order_id, String::new())..).take_while(|((id, _), _)| *id == order_id);
        of_order.any(|(_, before)| *before == Some(point))
    }

    fn open(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
