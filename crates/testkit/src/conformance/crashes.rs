//! The sweep of crashes and repeats over real consumers: a worker dies without a word at each point at which it waits, every
//! message comes twice, and in the end everything has been done exactly once.

use bus::harness::End;
use bus::{CorrelationId, Envelope, Message, MessageId};
use bus_laws::apart;
use domain::{Order, Product};

use super::stage::*;
use super::turns::Turn;
use super::workers::{Alone, Workplace};
use super::{Brokered, CarrierHome, Home, Process, SOON};

/// Orders in each round.
const ORDERS: u128 = 3;

/// Units of each product: more than all rounds want.
const STOCK: i64 = 1_000_000;

/// More points to die at than any engine has, and fewer.
const POINTS_MAX: u32 = 10_000;
const POINTS_MIN: u32 = 20;

/// So many lives in a row that end in good order are the end of the sweep: where a server is asked, not every life waits as often.
const FINISHED: u32 = 3;

/// The store carries its messages itself.
pub async fn a_process_that_dies_at_any_step_and_any_message_that_comes_twice_change_nothing(
    home: &mut impl Home,
) {
    sweep(&mut Alone(home)).await;
}

/// Outbox, relay, broker, consumer, commit, acknowledgement.
pub async fn a_worker_that_dies_anywhere_on_the_way_over_a_broker_changes_nothing(
    place: &mut Brokered<impl Home, impl CarrierHome>,
) {
    sweep(place).await;
}

/// A round for every point there is.
async fn sweep(place: &mut impl Workplace) {
    let products = [product("A"), product("B")];
    let worker = place.worker().await;
    stock_up(&worker.process, &products, STOCK).await;
    drop(worker);
    let (mut rounds, mut finished) = (0, 0);
    while finished < FINISHED && rounds < POINTS_MAX {
        match round(place, &products, rounds).await {
            End::Died => finished = 0,
            End::Finished => finished += 1,
        }
        rounds += 1;
    }
    assert!(rounds > POINTS_MIN, "there were {rounds} points to die at");
    let process = place.worker().await.process;
    let orders = u128::from(rounds) * ORDERS;
    let reserved = i64::try_from(2 * orders).unwrap();
    for product in &products {
        let level = process.readers.inventory_of(&product.sku).await.unwrap().unwrap();
        assert_eq!((level.reserved, level.available), (reserved, STOCK - reserved));
    }
    for number in 0..orders {
        done_once(&process, &order(number, &products), "in the end").await;
    }
}

/// One worker dies over a few orders, after it has waited as often as there were rounds before; the next does the rest.
async fn round(place: &mut impl Workplace, products: &[Product], round: u32) -> End {
    let first = u128::from(round) * ORDERS;
    let orders: Vec<Order> = (first..first + ORDERS).map(|number| order(number, products)).collect();
    let end = apart(first_life(place, &orders, round));
    let worker = place.worker().await;
    let next = tokio::time::timeout(SOON, worker.live(&orders, u32::MAX)).await;
    let when = format!("{end:?} after {round} waits");
    assert_eq!(next.unwrap_or_else(|_| panic!("nothing hangs: {when}")), End::Finished);
    for order in &orders {
        done_once(&worker.process, order, &when).await;
    }
    end
}

/// Orders are accepted and their messages sent twice, and then the work begins.
async fn first_life(place: &mut impl Workplace, orders: &[Order], waits: u32) -> End {
    let worker = place.doomed().await;
    let mut unit = worker.process.unit().await;
    for order in orders {
        create(unit.as_mut(), order).await.unwrap();
    }
    let turn = |order: &Order| Turn.first(MessageId(order.id().0), CorrelationId(order.id().0), NOW);
    let turns: Vec<Envelope> = orders.iter().chain(orders).map(turn).collect();
    unit.publish(turns).await.unwrap();
    unit.commit().await.unwrap();
    tokio::time::timeout(SOON, worker.live(orders, waits)).await.expect("it dies or is done")
}

/// Everything was done with an order, and nothing of it twice.
async fn done_once(process: &Process, order: &Order, when: &str) {
    let timeline = process.readers.history(order.id()).await.unwrap().unwrap();
    let events: Vec<&str> = timeline.iter().map(|entry| entry.event.as_str()).collect();
    assert_eq!(events, ["Reserved", "Validated"], "order {} {when}", order.id());
    let view = process.readers.order(order.id()).await.unwrap().unwrap();
    let stands = (view.status.as_str(), view.saga_state.as_str());
    assert_eq!(stands, ("validated", "inventory_reserved"), "order {} {when}", order.id());
}
