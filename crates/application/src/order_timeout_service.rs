//! Ends the wait for an answer: fires the timers of sagas, and brings back messages that were put off.

use std::sync::Arc;

use bus::{Clock, Store, Supervisor, TimerService};

use crate::ports::AnyUnit;

/// The bus's timer service over the store of orders. What it fires becomes an
/// [`OrderTimeoutEvent`](crate::messages::OrderTimeoutEvent). Several may run at once.
pub struct OrderTimeoutService {
    timers: TimerService<AnyUnit>,
}

impl OrderTimeoutService {
    /// Its name among the background services.
    pub const NAME: &'static str = "order-timeout-service";

    /// A service over this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store<AnyUnit>>, clock: Arc<dyn Clock>) -> Self {
        Self { timers: TimerService::new(store, clock) }
    }

    /// Runs under the supervisor until that stops.
    pub fn start(self, supervisor: &mut Supervisor) {
        self.timers.start(Self::NAME, supervisor);
    }
}
