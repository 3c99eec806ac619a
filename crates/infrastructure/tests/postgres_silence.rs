//! A server that stops without a word: its connections stay, and no answer comes. Nobody waits for it without end, and when it
//! goes on, or another is in its place, so does the work.

mod postgres_stage;

use std::process::Command;
use std::time::Duration;

use application::ports::{Readers, UnitOfWork};
use bus::{Disposition, Fault, Transport, Verdict};
use orderwright_infrastructure::postgres::{ConnectError, PostgresOptions, PostgresStore};
use postgres_stage::*;

/// Sends a signal to these processes.
fn signal(name: &str, pids: &[u32]) {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let command = format!("kill -{name} {}", pids.join(" "));
    assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
}

/// Stops a server, the first process first, so that it starts no other.
fn stop(server: &Postgres) {
    signal("STOP", &[server.pid().unwrap()]);
    signal("STOP", &server.pids());
}

/// Waits for no answer for longer than about two seconds.
fn impatient(seed: u64) -> PostgresOptions {
    PostgresOptions {
        statement_limit: Duration::from_millis(300),
        lock_limit: Duration::from_millis(200),
        connect_limit: Duration::from_millis(500),
        lease: Duration::from_secs(1),
        ..options(&clock(), seed)
    }
}

/// As many units as there are connections, each with one of them.
async fn open_units(store: &PostgresStore) -> Vec<Box<dyn UnitOfWork>> {
    let mut open = Vec::new();
    for _ in 0..impatient(0).pool_max {
        let mut unit = unit(store).await;
        assert_eq!(unit.lease_due_timers(NOW, 1).await.unwrap(), []);
        open.push(unit);
    }
    open
}

fn assert_silent(fault: &Fault) {
    assert_eq!(fault.verdict, Verdict::Retry, "{fault}");
    assert!(fault.to_string().contains("said nothing"), "{fault}");
}

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, done).await.unwrap_or_else(|_| panic!("{what} takes too long"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_is_not_waited_for_and_what_it_does_later_is_not_lost() {
    let server = Postgres::start(Durability::None).unwrap();
    let address = server.database().unwrap();
    let store = PostgresStore::connect(&address, impatient(1)).await.unwrap();
    store.overview().await.unwrap();
    let mut feed = store.subscribe("q").await.unwrap();
    publish(&store, vec![message(1)]).await;
    let received = receive(feed.as_mut(), 1).await;
    // For a queue that nobody reads yet.
    publish(&store, vec![of_kind("L", 2)]).await;
    let mut open = open_units(&store).await;
    let (mut asking, mut committing) = (open.pop().unwrap(), open.pop().unwrap());
    drop(soon("giving a connection back", open.pop().unwrap().commit()).await);
    accept(committing.as_mut(), &order(1)).await.unwrap();

    stop(&server);
    let mut late = store.subscribe("other").await.unwrap();
    let (asked, committed, read, claimed) = soon("a silent server", async {
        tokio::join!(asking.lease_due_timers(NOW, 1), committing.commit(), store.overview(), late.receive(1))
    })
    .await;
    for fault in [asked.unwrap_err(), committed.unwrap_err(), read.unwrap_err(), claimed.unwrap_err()] {
        assert_silent(&fault);
    }
    let refused = soon("connecting", store.overview()).await.unwrap_err();
    assert_eq!(refused.verdict, Verdict::Retry, "{refused}");

    signal("CONT", &server.pids());
    drop(asking);
    // Its claim may have been done after all, without anybody's hearing of it.
    let claimed = loop {
        match soon("what was left", late.receive(1)).await {
            Ok(claimed) => break claimed,
            Err(fault) => assert_eq!(fault.verdict, Verdict::Retry, "{fault}"),
        }
    };
    assert_eq!(numbers(&claimed), [2]);
    settle(&store, &received, Disposition::Done).await.unwrap();
    end_leases(&address).await;
    until(&client(&address).await, "select bool_and(alive_until > 0) from instances").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_and_replaced_is_worked_on_again() {
    let mut server = Postgres::start(Durability::Fsync).unwrap();
    let address = server.database().unwrap();
    let store = PostgresStore::connect(&address, impatient(1)).await.unwrap();
    publish(&store, vec![message(1)]).await;
    let mut asking = unit(&store).await;
    assert_eq!(asking.lease_due_timers(NOW, 1).await.unwrap(), []);
    stop(&server);
    assert_silent(&soon("a silent server", asking.lease_due_timers(NOW, 1)).await.unwrap_err());
    let (store_again, schema) = soon(
        "starting",
        Box::pin(async { tokio::join!(PostgresStore::connect(&address, impatient(2)), store.migrate()) }),
    )
    .await;
    for told in [store_again.err().unwrap(), schema.unwrap_err()] {
        assert!(matches!(told, ConnectError::Unreachable { .. }), "{told}");
        assert!(told.to_string().contains("said nothing"), "{told}");
    }

    server.kill9();
    server.restart().unwrap();
    let client = client(&address).await;
    client.execute("delete from instances", &[]).await.unwrap();
    let mut feed = store.subscribe("q").await.unwrap();
    assert_eq!(numbers(&receive(feed.as_mut(), 1).await), [1]);
    until(&client, "select exists (select from instances)").await;
}
