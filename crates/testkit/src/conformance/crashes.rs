//! The sweep of crashes and repeats over real consumers: a process dies at each point at which it waits, every message comes
//! twice, and in the end everything has been done exactly once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use application::ports::{AnyUnit, UnitOfWork};
use application::saga::SagaState;
use async_trait::async_trait;
use bus::{
    Clock, Consumer, CorrelationId, Endpoint, EndpointPolicy, Envelope, Fault, Message, MessageId, RandomIds,
    Stop, VirtualClock, Work,
};
use bytes::Bytes;
use domain::{Order, OrderId, OrderStatus, Product};
use tokio::task::yield_now;

use super::stage::*;
use super::{Home, Process, SOON};

/// Orders in each round.
const ORDERS: u128 = 3;

/// Between two looks whether all is done.
const LOOK: Duration = Duration::from_millis(3);

/// More points to die at than any engine has.
const POINTS_MAX: u32 = 100_000;

/// An order's turn in a queue; the order is the correlation.
struct Turn;

impl Message for Turn {
    const KINDS: &'static [&'static str] = &["K", "L"];

    fn kind(&self) -> &'static str {
        "K"
    }

    fn encode(&self) -> Bytes {
        Bytes::from_static(b"{}")
    }

    fn decode(_kind: &str, _body: &[u8]) -> Result<Self, Fault> {
        Ok(Self)
    }
}

/// Sets stock aside, moves the saga on, and passes the order to the next queue.
struct Reserving;

/// Moves the order on.
struct Validating;

#[async_trait]
impl Consumer<AnyUnit> for Reserving {
    type Message = Turn;
    type Answer = ();

    fn queue(&self) -> &'static str {
        "q"
    }

    async fn perform(&self, _message: &Turn, _envelope: &Envelope) -> Result<(), Fault> {
        Ok(())
    }

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<Turn, ()>]) -> Result<(), Fault> {
        for work in batch {
            let envelope = work.envelope();
            let mut sagas = unit.load_sagas(&[envelope.correlation_id]).await?;
            let Some(saga) = sagas.iter_mut().find(|saga| saga.state == SagaState::Created) else { continue };
            let order = placed(unit, saga.order_id).await?;
            yield_now().await;
            unit.inventory().reserve_stock(&[demand(&order)], NOW).await?;
            yield_now().await;
            saga.state = SagaState::InventoryReserved;
            unit.update_sagas(&sagas, NOW).await?;
            unit.history().append(&[entry(&order, "Reserved")]).await?;
            yield_now().await;
            let (kind, correlation) = ("L", envelope.correlation_id);
            let next = Envelope::first(
                envelope.id.child(kind, 1),
                correlation,
                kind,
                Bytes::from_static(b"{}"),
                NOW,
            );
            unit.publish(vec![next]).await?;
            yield_now().await;
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer<AnyUnit> for Validating {
    type Message = Turn;
    type Answer = ();

    fn queue(&self) -> &'static str {
        "other"
    }

    async fn perform(&self, _message: &Turn, _envelope: &Envelope) -> Result<(), Fault> {
        Ok(())
    }

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<Turn, ()>]) -> Result<(), Fault> {
        for work in batch {
            let order = placed(unit, OrderId(work.envelope().correlation_id.0)).await?;
            if order.status() == OrderStatus::Pending {
                unit.orders().update(&[step(&order, OrderStatus::Pending, OrderStatus::Validated)]).await?;
                yield_now().await;
                unit.history().append(&[entry(&order, "Validated")]).await?;
                yield_now().await;
            }
        }
        Ok(())
    }
}

async fn placed(unit: &mut dyn UnitOfWork, id: OrderId) -> Result<Order, Fault> {
    let found = unit.orders().get_orders_with_items(&[id]).await?;
    found.into_iter().next().ok_or_else(|| Fault::give_up("orders.get", "the order is not there"))
}

/// A life that ends after it has waited so many times.
struct Mortal<F> {
    life: Option<Pin<Box<F>>>,
    waits_left: u32,
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Died,
    Finished,
}

impl<F: Future<Output = ()>> Future for Mortal<F> {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<End> {
        let Some(life) = self.life.as_mut() else { return Poll::Ready(End::Died) };
        if life.as_mut().poll(context).is_ready() {
            return Poll::Ready(End::Finished);
        }
        if self.waits_left == 0 {
            self.life = None;
            return Poll::Ready(End::Died);
        }
        self.waits_left -= 1;
        Poll::Pending
    }
}

/// Two consumers on one process, until the queues are empty or it dies.
async fn live(process: &Process, waits: u32) -> End {
    let stop = Stop::new();
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(NOW));
    let ids = Arc::new(RandomIds::seeded(waits.into()));
    let policy = EndpointPolicy { batch_max: 2, ..EndpointPolicy::default() };
    let reserving = Endpoint::new(
        Arc::new(Reserving),
        Arc::clone(&process.units),
        Arc::clone(&clock),
        Arc::<RandomIds>::clone(&ids),
        policy,
    );
    let validating = Endpoint::new(Arc::new(Validating), Arc::clone(&process.units), clock, ids, policy);
    let q = process.bus.transport.subscribe("q").await.unwrap();
    let other = process.bus.transport.subscribe("other").await.unwrap();
    let life = async {
        let work = reserving.run(q, stop.clone());
        tokio::join!(work, validating.run(other, stop.clone()), until_done(process, &stop));
    };
    Mortal { life: Some(Box::pin(life)), waits_left: waits }.await
}

async fn until_done(process: &Process, stop: &Stop) {
    loop {
        let overview = process.readers.overview().await.unwrap();
        if overview.queues.iter().all(|(_, waiting)| *waiting == 0) {
            assert_eq!((overview.waiting, overview.dead_letters), (0, 0), "nothing went wrong");
            return stop.stop();
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The whole sweep. The points to die at lie closer to each other where most happens.
pub async fn a_process_that_dies_at_any_step_and_any_message_that_comes_twice_change_nothing(
    home: &mut impl Home,
) {
    let products = [product("A"), product("B")];
    let process = home.process().await;
    stock_up(&process, &products, 1_000_000).await;
    drop(process);
    let (mut waits, mut rounds) = (0, 0);
    while waits < POINTS_MAX {
        let end = round(home, &products, rounds, waits).await;
        rounds += 1;
        if end == End::Finished {
            break;
        }
        waits += 1 + waits / 8;
    }
    assert!(rounds > 5, "there were {rounds} points to die at");
    let process = home.process().await;
    let reserved = i64::try_from(2 * ORDERS * rounds).unwrap();
    for product in &products {
        let level = process.readers.inventory_of(&product.sku).await.unwrap().unwrap();
        assert_eq!((level.reserved, level.available), (reserved, 1_000_000 - reserved));
    }
}

/// Orders are accepted and their messages sent twice; one process dies over them, the next does the rest.
async fn round(home: &mut impl Home, products: &[Product], round: u128, waits: u32) -> End {
    let process = home.process().await;
    let numbers = round * ORDERS..(round + 1) * ORDERS;
    let mut orders = Vec::new();
    for number in numbers {
        orders.push(accepted(&process, number, products).await);
    }
    let turn = |order: &Order| Turn.first(MessageId(order.id().0), CorrelationId(order.id().0), NOW);
    let turns: Vec<Envelope> = orders.iter().chain(&orders).map(turn).collect();
    publish(&process.bus, turns).await.unwrap();
    let end = tokio::time::timeout(SOON, live(&process, waits)).await.expect("it dies or is done");
    drop(process);
    let process = home.process().await;
    let next = tokio::time::timeout(SOON, live(&process, u32::MAX)).await;
    assert_eq!(next.expect("nothing hangs"), End::Finished);
    for order in &orders {
        let timeline = process.readers.history(order.id()).await.unwrap().unwrap();
        let events: Vec<&str> = timeline.iter().map(|entry| entry.event.as_str()).collect();
        assert_eq!(events, ["Reserved", "Validated"], "{end:?} after {waits} waits");
        let view = process.readers.order(order.id()).await.unwrap().unwrap();
        assert_eq!((view.status.as_str(), view.saga_state.as_str()), ("validated", "inventory_reserved"));
    }
    end
}
