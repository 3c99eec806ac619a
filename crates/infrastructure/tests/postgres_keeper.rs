//! Whoever keeps the claims of a process: what it does to others, and what keeps it from its word.

mod postgres_stage;

use std::time::Duration;

use bus::Transport;
use jiff::SignedDuration;
use orderwright_infrastructure::postgres::{PostgresOptions, PostgresStore, Presence};
use postgres_stage::*;
use uuid::Uuid;

/// A process that nobody has heard of for long, with as many messages as it is said to have.
async fn bury_alive(client: &tokio_postgres::Client, messages: i64) -> Uuid {
    let dead = Uuid::from_u128(0xdead);
    client.execute("insert into instances values ($1, 0, 0)", &[&dead]).await.unwrap();
    let claimed = "insert into outbox (queue, message_id, kind, correlation_id, conversation_id, sent_at, attempt, body, claimed_by)
         select 'other', gen_random_uuid(), 'L', gen_random_uuid(), gen_random_uuid(), 0, 0, '{}', $1
         from generate_series(1, $2::bigint)";
    client.execute(claimed, &[&dead, &messages]).await.unwrap();
    dead
}

#[tokio::test]
async fn a_process_whose_clock_is_ahead_counts_the_living_as_alive() {
    let address = database();
    let worker = store_over(&address, 1).await;
    let ahead = clock();
    ahead.jump(SignedDuration::from_hours(24));
    let visitor = PostgresOptions { presence: Presence::Visitor, ..options(&ahead, 2) };
    let visitor = PostgresStore::connect(&address, visitor).await.unwrap();
    assert_eq!(visitor.other_workers().await.unwrap(), 1);
    let second = PostgresStore::connect(&address, options(&ahead, 3)).await.unwrap();
    assert!(worker.is_eldest().await.unwrap() && !second.is_eldest().await.unwrap());
    assert_eq!(second.other_workers().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_buries_nobody() {
    let address = database();
    // Makes the tables.
    drop(store_over(&address, 1).await);
    let client = client(&address).await;
    bury_alive(&client, 1).await;
    let options = PostgresOptions {
        presence: Presence::Visitor,
        lease: Duration::from_millis(30),
        ..options(&clock(), 2)
    };
    let visitor = PostgresStore::connect(&address, options).await.unwrap();
    publish(&visitor, vec![message(1)]).await;
    // Which it does later than a worker would bury.
    until(&client, "select not exists (select from tally_changes)").await;
    until(&client, "select count(*) = 1 from instances where alive_until = 0").await;
    until(&client, "select count(*) = 1 from outbox where claimed_by is not null").await;
    visitor.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_dead_had_is_free_however_much_it_is() {
    let address = database();
    drop(store_over(&address, 1).await);
    let client = client(&address).await;
    bury_alive(&client, 45_000).await;
    let limit = Duration::from_secs(5);
    let worker = PostgresOptions { statement_limit: limit, ..options(&clock(), 2) };
    let worker = PostgresStore::connect(&address, worker).await.unwrap();
    until(&client, "select not exists (select from outbox where claimed_by is not null)").await;
    let mut feed = worker.subscribe("other").await.unwrap();
    assert_eq!(receive(feed.as_mut(), 500).await.len(), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_duty_that_cannot_be_done_keeps_no_other_from_its_turn() {
    let address = database();
    let (lease, lock_limit) = (Duration::from_millis(300), Duration::from_millis(50));
    let options = PostgresOptions { lease, lock_limit, ..options(&clock(), 1) };
    let worker = PostgresStore::connect(&address, options).await.unwrap();
    publish(&worker, vec![message(1)]).await;
    let (holder, client) = (client(&address).await, client(&address).await);
    holder.batch_execute("begin; lock table outbox").await.unwrap();
    let dead = Uuid::from_u128(0xdead);
    client.execute("insert into instances values ($1, 0, 0)", &[&dead]).await.unwrap();
    // Neither needs the table that is held, though other duties do.
    until(&client, "select not exists (select from tally_changes)").await;
    until(&client, "select count(*) = 1 from instances").await;
    end_leases(&address).await;
    until(&client, "select bool_and(alive_until > 0) from instances").await;
    holder.batch_execute("commit").await.unwrap();
    let mut feed = worker.subscribe("q").await.unwrap();
    assert_eq!(numbers(&receive(feed.as_mut(), 1).await), [1]);
}
