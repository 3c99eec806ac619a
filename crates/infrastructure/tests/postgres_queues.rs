//! The database as broker for several processes: each delivery goes to one of them, comes again if that one dies, and is
//! settled by nobody else.

mod postgres_stage;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bus::{Disposition, OutboxStore, Relay, Routing, Store, Transport, Verdict};
use jiff::SignedDuration;
use orderwright_infrastructure::postgres::{PostgresOptions, PostgresStore, Presence};
use postgres_stage::*;

fn later(seconds: i64) -> jiff::Timestamp {
    NOW + SignedDuration::from_secs(seconds)
}

#[tokio::test]
async fn two_processes_share_a_backlog_without_overlap() {
    let address = database();
    let publisher = store_over(&address, 1).await;
    publish(&publisher, (0..2_000).map(message).collect()).await;
    let (one, two) = (store_over(&address, 2).await, store_over(&address, 3).await);
    let (mut first, mut second) = (one.subscribe("q").await.unwrap(), two.subscribe("q").await.unwrap());
    let (left, right) = tokio::join!(receive(first.as_mut(), 600), receive(second.as_mut(), 600));
    let (left, right): (BTreeSet<_>, BTreeSet<_>) =
        (numbers(&left).into_iter().collect(), numbers(&right).into_iter().collect());
    assert_eq!((left.len(), right.len()), (600, 600));
    assert!(left.is_disjoint(&right));
}

#[tokio::test]
async fn a_message_that_nobody_here_reads_wakes_the_process_that_does() {
    let address = database();
    let (publisher, consumer) = (store_over(&address, 1).await, store_over(&address, 2).await);
    let mut feed = consumer.subscribe("q").await.unwrap();
    publish(&publisher, vec![message(1)]).await;
    assert_eq!(numbers(&receive(feed.as_mut(), 1).await), [1]);
}

#[tokio::test]
async fn more_than_memory_holds_goes_to_whoever_is_free() {
    let address = database();
    let (busy, free) = (store_over(&address, 1).await, store_over(&address, 2).await);
    let _reading_nothing = busy.subscribe("q").await.unwrap();
    publish(&busy, (0..3_000).map(message).collect()).await;
    let mut feed = free.subscribe("q").await.unwrap();
    assert_eq!(receive(feed.as_mut(), 500).await.len(), 500);
}

#[tokio::test]
async fn a_delivery_is_settled_once_and_by_its_holder_only() {
    let address = database();
    let (holder, other) = (store_over(&address, 1).await, store_over(&address, 2).await);
    let mut feed = holder.subscribe("q").await.unwrap();
    publish(&holder, vec![message(1)]).await;
    let received = receive(feed.as_mut(), 1).await;
    let taken = settle(&other, &received, Disposition::Done).await.unwrap_err();
    assert_eq!(taken.verdict, Verdict::Stale);
    settle(&holder, &received, Disposition::Done).await.unwrap();
    let twice = settle(&holder, &received, Disposition::Done).await.unwrap_err();
    assert_eq!(twice.verdict, Verdict::Stale);
}

/// What a server does that took over from one whose last commits it had not heard of.
const GIVE_POSITIONS_OUT_AGAIN: &str = "update outbox set message_id = gen_random_uuid()";

#[tokio::test]
async fn a_delivery_settles_no_other_message_that_is_where_it_was() {
    let address = database();
    let store = store_over(&address, 1).await;
    let mut feed = store.subscribe("q").await.unwrap();
    publish(&store, vec![message(1), message(2)]).await;
    let received = receive(feed.as_mut(), 2).await;
    let client = client(&address).await;
    client.execute(GIVE_POSITIONS_OUT_AGAIN, &[]).await.unwrap();
    let settled = settle(&store, &received, Disposition::Done).await.unwrap_err();
    assert_eq!(settled.verdict, Verdict::Stale);
    assert_eq!(client.query("select from outbox", &[]).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_a_relay_has_sent_removes_no_other_message_that_is_where_it_was() {
    let address = database();
    let options = PostgresOptions { routing: Routing::Outbox, ..options(&clock(), 1) };
    let store = PostgresStore::connect(&address, options).await.unwrap();
    publish(&store, vec![message(1), message(2)]).await;
    let relay = uuid::Uuid::from_u128(1);
    let leased = store.lease(relay, NOW, later(9), 10).await.unwrap();
    let positions: Vec<i64> = leased.iter().map(|row| row.position).collect();
    assert_eq!(positions.len(), 2);
    let client = client(&address).await;
    let moved = format!("{GIVE_POSITIONS_OUT_AGAIN} where position = $1");
    client.execute(&moved, &[&positions[0]]).await.unwrap();
    assert_eq!(store.remove(relay, &positions).await.unwrap(), 1);
    let left = client.query_one("select position from outbox", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), positions[0]);
}

/// Runs a process that claims the messages and then dies without a word.
fn claim_and_die(address: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = store_over(address, 7).await;
        let mut feed = store.subscribe("q").await.unwrap();
        publish(&store, (1..=3).map(message).collect()).await;
        assert_eq!(receive(feed.as_mut(), 2).await.len(), 2);
        // Their ends would be a word.
        std::mem::forget(feed);
        std::mem::forget(store);
    });
}

#[test]
fn the_claims_of_a_process_that_died_end_with_its_lease() {
    let address = database();
    claim_and_die(&address);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let lease = Duration::from_millis(300);
        let options = PostgresOptions { lease, ..options(&clock(), 8) };
        let store = PostgresStore::connect(&address, options).await.unwrap();
        let mut feed = store.subscribe("q").await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(400), feed.receive(9)).await;
        assert!(early.is_err(), "the process that died may only be slow");
        end_leases(&address).await;
        assert_eq!(numbers(&receive(feed.as_mut(), 3).await), [1, 2, 3]);
    });
}

/// Runs a process that dies in the middle of a batch, with a backlog of a thousand messages; returns what it had claimed.
fn die_in_a_batch(address: &str) -> BTreeSet<u128> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let publisher = store_over(address, 6).await;
        publish(&publisher, (1..=1_000).map(message).collect()).await;
        publisher.close().await;
        let store = store_over(address, 7).await;
        let mut feed = store.subscribe("q").await.unwrap();
        let batch = receive(feed.as_mut(), 100).await;
        let mut unit = Store::begin(&store).await.unwrap();
        unit.settle(settled(&batch, &Disposition::Done)).await.unwrap();
        let claimed = "select message_id from outbox where claimed_by is not null";
        let claimed = client(address).await.query(claimed, &[]).await.unwrap();
        // Their ends would be a word.
        std::mem::forget((unit, feed, store));
        claimed.iter().map(|row| row.get::<_, uuid::Uuid>(0).as_u128()).collect()
    })
}

#[test]
fn a_process_that_dies_in_a_batch_delays_only_what_it_had_claimed() {
    let address = database();
    let held = die_in_a_batch(&address);
    assert!((100..1_000).contains(&held.len()), "it had claimed {}", held.len());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let options = PostgresOptions { lease: Duration::from_millis(300), ..options(&clock(), 8) };
        let store = PostgresStore::connect(&address, options).await.unwrap();
        let mut feed = store.subscribe("q").await.unwrap();
        // No time passes for whoever asks how long ago the other was heard of.
        let others = receive(feed.as_mut(), 1_000 - held.len()).await;
        settle(&store, &others, Disposition::Done).await.unwrap();
        let others: BTreeSet<u128> = numbers(&others).into_iter().collect();
        assert_eq!(others, (1..=1_000).filter(|number| !held.contains(number)).collect());
        let early = tokio::time::timeout(Duration::from_millis(400), feed.receive(9)).await;
        assert!(early.is_err(), "the process that died may only be slow");
        end_leases(&address).await;
        let late = receive(feed.as_mut(), held.len()).await;
        assert_eq!(numbers(&late).into_iter().collect::<BTreeSet<_>>(), held);
    });
}

#[tokio::test]
async fn a_process_that_closes_leaves_its_messages_at_once() {
    let address = database();
    let (closing, staying) = (store_over(&address, 1).await, store_over(&address, 2).await);
    let mut feed = closing.subscribe("q").await.unwrap();
    publish(&closing, (1..=3).map(message).collect()).await;
    assert_eq!(receive(feed.as_mut(), 1).await.len(), 1);
    drop(feed);
    closing.close().await;
    let mut feed = staying.subscribe("q").await.unwrap();
    assert_eq!(receive(feed.as_mut(), 3).await.len(), 3);
}

#[tokio::test]
async fn a_claim_that_memory_does_not_know_of_is_found_and_given_up() {
    let address = database();
    let (clock, client) = (clock(), client(&address).await);
    let options = options(&clock, 1);
    let instance = options.instance;
    let store = PostgresStore::connect(&address, options).await.unwrap();
    publish(&store, vec![message(1)]).await;
    // As after a commit of which no answer came.
    client.execute("update outbox set claimed_by = $1", &[&instance]).await.unwrap();
    let mut feed = store.subscribe("q").await.unwrap();
    let mut unanswered = store.begin().await.unwrap();
    unanswered.publish(vec![message(2)]).await.unwrap();
    client
        .batch_execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'orderwright'",
        )
        .await
        .unwrap();
    assert_eq!(unanswered.commit().await.unwrap_err().verdict, Verdict::Retry);
    assert_eq!(numbers(&receive(feed.as_mut(), 1).await), [1]);
}

#[tokio::test]
async fn a_timer_fires_once_however_many_processes_look() {
    let address = database();
    let (one, two) = (store_over(&address, 1).await, store_over(&address, 2).await);
    let mut setting = one.begin().await.unwrap();
    let timers = (1..=50).map(|number| timer(&order(number), "stage", later(0))).collect();
    setting.set_timers(timers).await.unwrap();
    setting.set_timers(vec![timer(&order(99), "stage", later(9))]).await.unwrap();
    setting.cancel_timers(vec![timer(&order(50), "stage", NOW).key]).await.unwrap();
    setting.commit().await.unwrap();
    let (mut first, mut second) = (one.begin().await.unwrap(), two.begin().await.unwrap());
    let (left, right) =
        (first.lease_due_timers(NOW, 30).await.unwrap(), second.lease_due_timers(NOW, 30).await.unwrap());
    assert_eq!((left.len(), right.len()), (30, 19));
    assert!(left.iter().all(|timer| !right.contains(timer)));
}

async fn relay_store(address: &str, seed: u64) -> PostgresStore {
    let options = PostgresOptions { routing: Routing::Outbox, ..options(&clock(), seed) };
    PostgresStore::connect(address, options).await.unwrap()
}

#[tokio::test]
async fn relays_of_two_processes_send_each_message_once() {
    let (source, target) = (database(), database());
    let (one, two) = (relay_store(&source, 1).await, relay_store(&source, 2).await);
    let broker = store_over(&target, 3).await;
    let mut feed = broker.subscribe("q").await.unwrap();
    publish(&one, (0..700).map(message).collect()).await;
    let relay = |store: &PostgresStore, seed| {
        Relay::new(Arc::new(store.clone()), Arc::new(broker.clone()), clock(), Arc::new(ids(seed)))
    };
    let (first, second) = (relay(&one, 4), relay(&two, 5));
    let mut sent = 0;
    while sent < 700 {
        let (left, right) = tokio::join!(first.step(), second.step());
        sent += left.unwrap() + right.unwrap();
    }
    let received: BTreeSet<_> = numbers(&receive(feed.as_mut(), 700).await).into_iter().collect();
    assert_eq!((received.len(), sent), (700, 700));
}

#[tokio::test]
async fn of_several_workers_one_is_the_eldest_until_it_goes_and_visitors_do_not_count() {
    let address = database();
    let visitor = PostgresOptions { presence: Presence::Visitor, ..options(&clock(), 1) };
    let visitor = PostgresStore::connect(&address, visitor).await.unwrap();
    assert_eq!(visitor.other_workers().await.unwrap(), 0);
    let (one, two) = (store_over(&address, 2).await, store_over(&address, 3).await);
    assert_eq!(visitor.other_workers().await.unwrap(), 2);
    assert_eq!((one.other_workers().await.unwrap(), two.other_workers().await.unwrap()), (1, 1));
    let eldest = [one.is_eldest().await.unwrap(), two.is_eldest().await.unwrap()];
    assert_eq!(eldest.iter().filter(|is_eldest| **is_eldest).count(), 1);
    let (going, staying) = if eldest[0] { (one, two) } else { (two, one) };
    going.close().await;
    assert!(staying.is_eldest().await.unwrap());
    assert_eq!(visitor.other_workers().await.unwrap(), 1);
}

#[tokio::test]
async fn what_a_visitor_leaves_wakes_the_worker() {
    let address = database();
    let worker = store_over(&address, 1).await;
    let mut feed = worker.subscribe("q").await.unwrap();
    let visitor = PostgresOptions { presence: Presence::Visitor, ..options(&clock(), 2) };
    let visitor = PostgresStore::connect(&address, visitor).await.unwrap();
    publish(&visitor, vec![message(1)]).await;
    visitor.close().await;
    assert_eq!(numbers(&receive(feed.as_mut(), 1).await), [1]);
}
