//! Workers for the sweeps: a store, what carries messages between its units, the relay to it if that is a broker, and two
//! consumers. Knows no engine.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use application::ports::AnyUnit;
use async_trait::async_trait;
use bus::harness::{End, Mortal};
use bus::{
    Clock, Consumer, Endpoint, EndpointPolicy, Envelope, Fault, Feed, IdSource, RandomIds, Relay, Stop,
    Transport, Unsent, VirtualClock,
};
use domain::{Order, OrderId, OrderStatus};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::stage::*;
use super::turns::{Handled, Reserving, Validating};
use super::{CarrierHome, Home, NEVER, Process, Routing};

/// Between two looks whether all is done.
const LOOK: Duration = Duration::from_millis(3);

/// Seconds from the beginning of one life to that of the next: more than a lease on rows of the outbox lasts.
const LIFE_S: i64 = 60;

/// What may be ended at any moment.
type Life = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where workers come and go, one at a time, while rows and queues stay.
#[async_trait]
pub(super) trait Workplace: Send {
    /// A worker that has just started, and ends in good order.
    async fn worker(&mut self) -> Worker;

    /// A worker that will die.
    async fn doomed(&mut self) -> Worker;
}

/// A store that carries its messages itself.
pub(super) struct Alone<'a, H>(pub(super) &'a mut H);

/// A store that leaves its messages to a broker, to which each goes twice.
pub struct Brokered<H, C> {
    home: H,
    carrier: C,
    lives: i64,
}

impl<H: Home, C: CarrierHome> Brokered<H, C> {
    /// This store and this broker.
    pub const fn new(home: H, carrier: C) -> Self {
        Self { home, carrier, lives: 0 }
    }

    async fn over(&mut self, transport: Arc<dyn Transport>) -> Worker {
        self.lives += 1;
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(later(self.lives * LIFE_S)));
        let ids = Arc::new(RandomIds::seeded(self.lives.unsigned_abs()));
        let process = self.home.process_for(Routing::Outbox).await;
        let twice = Arc::new(Twice(Arc::clone(&transport)));
        let outbox = Arc::clone(&process.bus.outbox);
        let relay = Relay::new(outbox, twice, Arc::clone(&clock), Arc::<RandomIds>::clone(&ids));
        let relay = relay.woken_by(Arc::clone(&process.outgoing));
        Worker { process, transport, relay: Some(Arc::new(relay)), clock, ids }
    }
}

#[async_trait]
impl<H: Home> Workplace for Alone<'_, H> {
    async fn worker(&mut self) -> Worker {
        let process = self.0.process().await;
        let clock = Arc::new(VirtualClock::starting_at(NOW));
        let (transport, ids) = (Arc::clone(&process.bus.transport), Arc::new(RandomIds::seeded(1)));
        Worker { process, transport, relay: None, clock, ids }
    }

    async fn doomed(&mut self) -> Worker {
        self.worker().await
    }
}

#[async_trait]
impl<H: Home, C: CarrierHome> Workplace for Brokered<H, C> {
    async fn worker(&mut self) -> Worker {
        let transport = self.carrier.connect().await;
        self.over(transport).await
    }

    async fn doomed(&mut self) -> Worker {
        let transport = self.carrier.connect_doomed().await;
        self.over(transport).await
    }
}

/// One worker.
pub(super) struct Worker {
    /// Its store.
    pub(super) process: Process,
    transport: Arc<dyn Transport>,
    relay: Option<Arc<Relay>>,
    clock: Arc<dyn Clock>,
    ids: Arc<RandomIds>,
}

impl Worker {
    /// Works until these orders are done and nothing more comes, or until it has waited so many times.
    pub(super) async fn live(&self, orders: &[Order], waits: u32) -> End {
        let (stop, handled) = (Stop::new(), Handled::default());
        let over_broker = self.relay.is_some().then(|| handled.subscribe());
        let watching = watch_over(self.process.clone(), orders, over_broker);
        Mortal::new(self.work(&handled, &stop).await, waits).until(watching, &stop).await
    }

    /// Relay and consumers.
    async fn work(&self, handled: &Handled, stop: &Stop) -> Life {
        let reserving = self.consuming(Reserving(Arc::clone(handled)), stop).await;
        let validating = self.consuming(Validating(Arc::clone(handled)), stop).await;
        let (relay, stop) = (self.relay.clone(), stop.clone());
        let relaying = async move {
            if let Some(relay) = relay {
                relay.run(stop).await;
            }
        };
        Box::pin(async move {
            tokio::join!(reserving, validating, relaying);
        })
    }

    async fn consuming<C: Consumer<AnyUnit>>(&self, consumer: C, stop: &Stop) -> Life {
        let feed = self.transport.subscribe(C::QUEUE).await.expect("it is known");
        let policy = EndpointPolicy { batch_max: 2, ..EndpointPolicy::default() };
        let (units, clock) = (Arc::clone(&self.process.units), Arc::clone(&self.clock));
        let ids: Arc<dyn IdSource> = Arc::<RandomIds>::clone(&self.ids);
        let endpoint = Endpoint::new(Arc::new(consumer), units, clock, ids, policy);
        let stop = stop.clone();
        Box::pin(async move { endpoint.run(feed, stop).await })
    }
}

/// Looks from a task of its own, so that looking is no step of the work.
fn watch_over(
    process: Process,
    orders: &[Order],
    over_broker: Option<watch::Receiver<u64>>,
) -> JoinHandle<()> {
    let ids: Vec<OrderId> = orders.iter().map(Order::id).collect();
    tokio::spawn(async move {
        while !is_over(&process, &ids, over_broker.clone()).await {
            tokio::time::sleep(LOOK).await;
        }
    })
}

/// A store that carries its own messages knows whether there are any; of a broker it is only seen that nothing comes.
async fn is_over(process: &Process, orders: &[OrderId], over_broker: Option<watch::Receiver<u64>>) -> bool {
    match over_broker {
        None => is_empty(process).await,
        Some(handled) => {
            is_empty(process).await && are_done(process, orders).await && nothing_follows(handled).await
        }
    }
}

/// Whether the store has no message left, for its queues or for a broker.
async fn is_empty(process: &Process) -> bool {
    let overview = process.readers.overview().await.expect("the store is there");
    let is_empty = overview.queues.iter().all(|(_, waiting)| *waiting == 0);
    if is_empty {
        assert_eq!((overview.waiting, overview.dead_letters), (0, 0), "nothing went wrong");
    }
    is_empty
}

async fn are_done(process: &Process, orders: &[OrderId]) -> bool {
    for id in orders {
        let order = process.readers.order(*id).await.expect("the store is there").expect("it was accepted");
        if order.status != OrderStatus::Validated.as_str() {
            return false;
        }
    }
    true
}

/// Whether the broker has no repeats left either, as far as can be seen from here.
async fn nothing_follows(mut handled: watch::Receiver<u64>) -> bool {
    handled.mark_unchanged();
    tokio::time::timeout(NEVER, handled.changed()).await.is_err()
}

/// Sends everything twice.
struct Twice(Arc<dyn Transport>);

#[async_trait]
impl Transport for Twice {
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault> {
        self.0.subscribe(queue).await
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        self.0.send(envelopes).await?;
        self.0.send(envelopes).await
    }
}
