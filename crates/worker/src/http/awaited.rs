//! Orders whose callers wait until it is known what becomes of the money. One loop asks the store for all of them at once,
//! whichever worker of the database moves them, and only while a caller waits. A caller that leaves takes its order along.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use application::ports::Readers;
use application::saga::SagaState;
use bus::Stop;
use domain::OrderId;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::limits::{AWAITED_LOOK, AWAITED_MAX};

/// The callers that wait.
pub struct Awaited {
    shared: Arc<Shared>,
}

struct Shared {
    /// How many may wait at a time.
    places: usize,
    state: Mutex<State>,
    begun: Notify,
}

#[derive(Default)]
struct State {
    /// How each caller that waits is told, by its order and a number of its own.
    callers: BTreeMap<(OrderId, u64), oneshot::Sender<()>>,
    numbers: u64,
    has_ended: bool,
}

/// A caller that waits, for as long as this lives.
struct Place<'a> {
    shared: &'a Shared,
    key: (OrderId, u64),
    known: oneshot::Receiver<()>,
}

impl Awaited {
    /// No caller waits yet. Each will keep a connection, so of this many connections at most a quarter may wait. The loop that comes with it must be run, once; at its end all callers have their answers.
    pub fn new(
        readers: Arc<dyn Readers>,
        connections_max: usize,
        stop: Stop,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let places = AWAITED_MAX.min(connections_max / 4);
        let shared = Arc::new(Shared { places, state: Mutex::default(), begun: Notify::new() });
        let looking = look_on(Arc::clone(&shared), readers, stop);
        (Self { shared }, looking)
    }

    /// Waits until it is known what becomes of the order's money, but not longer than `at_most`. False if there is no room for
    /// one more caller, or the service stops.
    pub(super) async fn known(&self, id: OrderId, at_most: Duration) -> bool {
        let Some(mut place) = self.shared.take(id) else { return false };
        // Too long, or told: either way the answer is what is known then.
        let _ = timeout(at_most, &mut place.known).await;
        true
    }

    /// How many wait.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.lock().callers.len()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more caller, unless there are too many or the service stops.
    fn take(&self, id: OrderId) -> Option<Place<'_>> {
        let mut state = self.lock();
        if state.has_ended || state.callers.len() >= self.places {
            return None;
        }
        state.numbers += 1;
        let key = (id, state.numbers);
        let (tell, known) = oneshot::channel();
        state.callers.insert(key, tell);
        drop(state);
        self.begun.notify_one();
        Some(Place { shared: self, key, known })
    }

    /// The orders that are waited for, each once.
    fn orders(&self) -> Vec<OrderId> {
        let mut orders: Vec<OrderId> = self.lock().callers.keys().map(|(id, _)| *id).collect();
        orders.dedup();
        orders
    }

    /// Tells the callers of these orders.
    fn tell(&self, known: &BTreeSet<OrderId>) {
        let told = self.lock().callers.extract_if(.., |(id, _), _| known.contains(id)).collect::<Vec<_>>();
        for (_, tell) in told {
            // A caller that has left meanwhile need not be told.
            let _ = tell.send(());
        }
    }

    fn end(&self) {
        let mut state = self.lock();
        state.has_ended = true;
        state.callers.clear();
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.lock().callers.remove(&self.key);
    }
}

async fn look_on(shared: Arc<Shared>, readers: Arc<dyn Readers>, stop: Stop) {
    while !stop.is_stopped() {
        let asked = shared.orders();
        if asked.is_empty() {
            tokio::select! {
                () = stop.stopped() => {}
                () = shared.begun.notified() => {}
            }
            continue;
        }
        match readers.saga_states(&asked).await {
            Ok(states) => {
                let mut known: BTreeSet<OrderId> = asked.into_iter().collect();
                for (id, _) in states.iter().filter(|(_, state)| !is_known(*state)) {
                    known.remove(id);
                }
                shared.tell(&known);
            }
            // The store may be back before the callers have waited for too long.
            Err(fault) => tracing::debug!(%fault, "cannot look at the orders that callers wait for"),
        }
        stop.sleep(AWAITED_LOOK).await;
    }
    shared.end();
}

/// Whether it is known what becomes of the money: it is taken or authorised, it never will be, or it waits for a person, a hold or its goods.
const fn is_known(state: SagaState) -> bool {
    match state {
        SagaState::Created
        | SagaState::InventoryReserved
        | SagaState::PaymentProcessing
        | SagaState::Compensating => false,
        SagaState::Authorised
        | SagaState::Paid
        | SagaState::Shipped
        | SagaState::Completed
        | SagaState::Failed
        | SagaState::NeedsAttention
        | SagaState::OnHold
        | SagaState::AwaitingStock => true,
    }
}
