//! What only a server does to units of work and to readers: connections that are given back clean, locks that are not given in
//! time, and statements that take too long.
//! What every store does is told in the suite of laws.

mod postgres_stage;

use std::time::Duration;

use application::ports::{Readers, UnitOfWork};
use bus::{Store, Verdict};
use domain::ProductId;
use orderwright_infrastructure::postgres::{PostgresOptions, PostgresStore};
use postgres_stage::*;

async fn accepted(store: &PostgresStore, number: u64) -> domain::Order {
    let order = order(number);
    let mut unit = unit(store).await;
    accept(unit.as_mut(), &order).await.unwrap();
    unit.commit().await.unwrap();
    order
}

#[tokio::test]
async fn a_unit_that_is_dropped_leaves_nothing_and_gives_its_connection_back_clean() {
    let options = PostgresOptions { pool_max: 1, ..options(&clock(), 1) };
    let store = PostgresStore::connect(&database(), options).await.unwrap();
    for number in 1..=3 {
        let mut dropped = unit(&store).await;
        accept(dropped.as_mut(), &order(number)).await.unwrap();
        assert!(dropped.orders().get_by_id(order_id(number)).await.unwrap().is_some());
        drop(dropped);
    }
    let mut unit = unit(&store).await;
    let all: Vec<_> = (1..=3).map(order_id).collect();
    assert_eq!(unit.orders().get_orders_with_items(&all).await.unwrap(), []);
    unit.commit().await.unwrap();
    assert!(store.overview().await.unwrap().orders.iter().all(|(_, count)| *count == 0));
}

#[tokio::test]
async fn the_stock_of_orders_that_ship_and_orders_that_are_called_off_is_locked_at_once() {
    let store = store().await;
    stock(&store, 100).await;
    for number in 1..=8 {
        accepted(&store, number).await;
        let mut reserving = unit(&store).await;
        let demand = reserving.orders().get_demand(&[order_id(number)]).await.unwrap();
        assert_eq!(demand[0].lines.iter().map(|(_, units)| units).sum::<i64>(), 5);
        reserving.inventory().reserve_stock(&demand, NOW).await.unwrap();
        reserving.commit().await.unwrap();
    }
    let moving = (1..=4_u64).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let (ships, goes_back) = (order_id(number), order_id(number + 4));
            let mut unit = unit(&store).await;
            let demands = unit.orders().get_demand(&[ships, goes_back]).await.unwrap();
            let of = |id| demands.iter().filter(|demand| demand.order_id == id).cloned().collect::<Vec<_>>();
            unit.inventory().ship_reservation(&of(ships), NOW).await.unwrap();
            unit.inventory().release_reservation(&of(goes_back), NOW).await.unwrap();
            unit.commit().await
        })
    });
    for moved in moving.collect::<Vec<_>>() {
        moved.await.unwrap().unwrap();
    }
    let level = store.inventory_of(&sku(2)).await.unwrap().unwrap();
    assert_eq!((level.available, level.reserved, level.shipped), (88, 0, 12));
}

#[tokio::test]
async fn a_lock_that_is_not_given_in_time_is_waited_for_again() {
    let options = PostgresOptions { lock_limit: Duration::from_millis(50), ..options(&clock(), 1) };
    let store = PostgresStore::connect(&database(), options).await.unwrap();
    stock(&store, 1).await;
    let mut first = unit(&store).await;
    first.inventory().lock(&[ProductId::of(&sku(1))]).await.unwrap();
    let mut second: Box<dyn UnitOfWork> = store.begin().await.unwrap();
    let fault = second.inventory().lock(&[ProductId::of(&sku(1))]).await.unwrap_err();
    assert_eq!(fault.verdict, Verdict::Retry, "nothing is wrong with whoever waits");
}

#[tokio::test]
async fn a_fault_tells_what_the_server_said_and_nothing_of_the_rows() {
    let store = store().await;
    accepted(&store, 1).await;
    let mut again = unit(&store).await;
    accept(again.as_mut(), &order(1)).await.unwrap();
    let fault = again.commit().await.unwrap_err();
    let told = fault.to_string();
    for part in ["failed: 23505 ", "duplicate key", "(table idempotency, constraint idempotency_"] {
        assert!(told.contains(part), "{part} is missing in: {told}");
    }
    let id = order_id(1).to_string();
    assert!(!told.contains(&id) && !format!("{fault:?}").contains(&id), "the row is told: {fault:?}");
}

#[tokio::test]
async fn a_fault_tells_why_there_is_no_connection() {
    let mut server = Postgres::start(Durability::None).unwrap();
    let store = PostgresStore::connect(&server.database().unwrap(), options(&clock(), 1)).await.unwrap();
    server.kill9();
    let told = store.overview().await.unwrap_err().to_string();
    assert!(told.starts_with("overview.read failed: ") && told.contains("refused"), "{told}");
}

#[tokio::test]
async fn looking_at_all_orders_may_take_longer_than_any_other_statement() {
    let (address, limit) = (database(), Duration::from_millis(100));
    let options = PostgresOptions { statement_limit: limit, lock_limit: SOON, ..options(&clock(), 1) };
    let store = PostgresStore::connect(&address, options).await.unwrap();
    let (locker, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    locker.batch_execute("begin; lock table order_saga").await.unwrap();
    let others = async {
        for _ in 0..3 {
            assert!(store.order(order_id(1)).await.is_err(), "the saga's table is locked");
        }
        locker.batch_execute("commit").await.unwrap();
    };
    let (broken, ()) = tokio::join!(store.broken_invariants(NOW, 10), others);
    assert_eq!(broken.unwrap(), []);
}

#[tokio::test]
async fn an_audit_that_nobody_waits_for_ends_at_the_server_and_the_next_one_is_made() {
    let address = database();
    let store = PostgresStore::connect(&address, options(&clock(), 1)).await.unwrap();
    let (locker, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    locker.batch_execute("begin; lock table order_saga").await.unwrap();
    let waiting = async |count: i64| {
        let held_up = "select count(*) from pg_locks where not granted and relation = 'order_saga'::regclass";
        while locker.query_one(held_up, &[]).await.unwrap().get::<_, i64>(0) != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = store.broken_invariants(NOW, 10) => panic!("the saga's table is locked"),
        () = waiting(1) => {}
    }
    tokio::time::timeout(SOON, waiting(0)).await.expect("the server was told");
    locker.batch_execute("commit").await.unwrap();
    assert_eq!(store.broken_invariants(NOW, 10).await.unwrap(), []);
}
