//! A server that is killed and comes back: what was confirmed is there, what was under way is tried again.

mod postgres_stage;

use application::ports::Readers;
use bus::{Disposition, Transport, Verdict};
use orderwright_infrastructure::postgres::{ConnectError, PostgresStore};
use postgres_stage::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_the_middle_costs_a_retry_and_nothing_else() {
    let mut server = Postgres::start(Durability::Fsync).unwrap();
    let store = PostgresStore::connect(&server.database().unwrap(), options(&clock(), 1)).await.unwrap();
    let mut feed = store.subscribe("q").await.unwrap();
    publish(&store, vec![message(1), message(2)]).await;
    let received = receive(feed.as_mut(), 1).await;
    let mut under_way = unit(&store).await;
    accept(under_way.as_mut(), &order(1)).await.unwrap();
    assert_eq!(under_way.orders().get_orders_with_items(&[order_id(1)]).await.unwrap().len(), 1);
    let kept_back = unit(&store).await;

    server.kill9();
    assert_eq!(under_way.commit().await.unwrap_err().verdict, Verdict::Retry);
    let mut kept_back = kept_back;
    assert_eq!(kept_back.lease_due_timers(NOW, 1).await.unwrap_err().verdict, Verdict::Retry);
    assert_eq!(settle(&store, &received, Disposition::Done).await.unwrap_err().verdict, Verdict::Retry);
    assert_eq!(store.overview().await.unwrap_err().verdict, Verdict::Retry);

    server.restart().unwrap();
    settle(&store, &received, Disposition::Done).await.unwrap();
    feed.acknowledge(&receipts(&received)).await.unwrap();
    assert_eq!(store.order(order_id(1)).await.unwrap(), None);
    assert_eq!(numbers(&receive(feed.as_mut(), 1).await), [2]);
    publish(&store, vec![message(3)]).await;
    assert_eq!(numbers(&receive(feed.as_mut(), 1).await), [3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_survives_the_death_of_server_and_client() {
    let mut server = Postgres::start(Durability::Fsync).unwrap();
    let address = server.database().unwrap();
    let store = store_over(&address, 1).await;
    let mut unit = unit(&store).await;
    accept(unit.as_mut(), &order(1)).await.unwrap();
    unit.publish(vec![message(1)]).await.unwrap();
    unit.commit().await.unwrap();
    server.kill9();
    drop(store);
    server.restart().unwrap();
    let store = store_over(&address, 2).await;
    assert!(store.order(order_id(1)).await.unwrap().is_some());
    let mut feed = store.subscribe("q").await.unwrap();
    assert_eq!(numbers(&receive(feed.as_mut(), 1).await), [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_writes_any_more_is_left_and_taken_up_again_when_it_does() {
    let server = Postgres::start(Durability::None).unwrap();
    let address = server.database().unwrap();
    let store = PostgresStore::connect(&address, options(&clock(), 1)).await.unwrap();
    publish(&store, vec![message(1)]).await;
    let (watch, others) = (client(&address).await, "application_name = 'orderwright'");
    let connected = format!("select count(*) > 0 from pg_stat_activity where {others}");
    until(&watch, &connected).await;

    watch.batch_execute("alter system set default_transaction_read_only = on").await.unwrap();
    watch.batch_execute("select pg_reload_conf()").await.unwrap();
    // Each connection reads its settings anew at a moment of its own, so some units may still get through.
    let mut kept = vec![1];
    let refused = loop {
        let next = kept.len() as u128 + 1;
        let mut unit = unit(&store).await;
        unit.publish(vec![message(next)]).await.unwrap();
        match unit.commit().await {
            Ok(()) => kept.push(next),
            Err(fault) => break fault,
        }
        assert!(kept.len() < 10_000, "the server still takes writes");
    };
    assert_eq!(refused.verdict, Verdict::Retry);
    until(&watch, &format!("select count(*) = 0 from pg_stat_activity where {others}")).await;
    let started = PostgresStore::connect(&address, options(&clock(), 2)).await.err().unwrap();
    assert!(matches!(started, ConnectError::ReadOnly { .. }), "{started}");

    watch.batch_execute("alter system reset default_transaction_read_only").await.unwrap();
    watch.batch_execute("select pg_reload_conf()").await.unwrap();
    until(&watch, &connected).await;
    let last = kept.len() as u128 + 2;
    publish(&store, vec![message(last)]).await;
    kept.push(last);
    let mut feed = store.subscribe("q").await.unwrap();
    assert_eq!(numbers(&receive(feed.as_mut(), kept.len()).await), kept);
}

#[tokio::test]
async fn a_dead_server_is_told_of_in_one_line() {
    let mut server = Postgres::start(Durability::None).unwrap();
    let address = server.address("postgres");
    let missing =
        PostgresStore::connect(&server.address("missing"), options(&clock(), 1)).await.err().unwrap();
    assert!(missing.to_string().contains("createdb missing"), "{missing}");
    server.kill9();
    let gone = PostgresStore::connect(&address, options(&clock(), 1)).await.err().unwrap();
    assert!(gone.to_string().starts_with("no PostgreSQL server answers at 127.0.0.1:"), "{gone}");
    assert!(!gone.to_string().contains('\n'));
}
