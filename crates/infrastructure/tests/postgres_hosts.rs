//! An address with several hosts, of which one takes writes: whoever writes and whoever reads gets there, however the others are.

mod postgres_stage;

use std::net::TcpListener;
use std::time::Duration;

use application::ports::Readers;
use bus::Tables;
use orderwright_infrastructure::postgres::{PostgresOptions, PostgresStore, Presence};
use postgres_stage::*;

/// As a standby would: it answers, and takes no writes.
const READ_ONLY: [&str; 1] = ["default_transaction_read_only=on"];

/// Far less than the limit on one host, which is waited for if hosts are asked one after the other.
const AT_ONCE: Duration = Duration::from_secs(4);

fn address(hosts: &[&str]) -> String {
    format!("postgres://orderwright@{}/postgres", hosts.join(","))
}

fn host(server: &Postgres) -> String {
    let address = server.address("postgres");
    let (_, rest) = address.rsplit_once('@').expect("a user");
    rest.split('/').next().expect("a host").to_owned()
}

fn visiting(seed: u64) -> PostgresOptions {
    let options = options(&clock(), seed);
    PostgresOptions { tables: Tables::Expected, presence: Presence::Visitor, ..options }
}

async fn at_once<T>(what: &str, done: impl Future<Output = T>) -> T {
    tokio::time::timeout(AT_ONCE, done).await.unwrap_or_else(|_| panic!("{what} waits for the other host"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_says_nothing_keeps_nobody_from_the_one_that_serves() {
    // The system takes connections for it; nobody answers there.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let server = Postgres::start(Durability::None).unwrap();
    let serving = host(&server);
    for hosts in [[&*silent, &*serving], [&*serving, &*silent]] {
        let options = PostgresOptions { connect_limit: Duration::from_secs(60), ..options(&clock(), 1) };
        let store = at_once("connecting", PostgresStore::connect(&address(&hosts), options)).await.unwrap();
        at_once("a unit", publish(&store, vec![message(1)])).await;
        at_once("reading", store.overview()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_reads_where_is_written_and_a_visitor_may_read_elsewhere_if_nobody_writes() {
    let standby = Postgres::start_with(Durability::None, &READ_ONLY).unwrap();
    let server = Postgres::start(Durability::None).unwrap();
    let both = address(&[&host(&standby), &host(&server)]);
    let store = PostgresStore::connect(&both, options(&clock(), 1)).await.unwrap();
    let order = order(1);
    let mut unit = unit(&store).await;
    accept(unit.as_mut(), &order).await.unwrap();
    unit.commit().await.unwrap();
    assert!(store.order(order.id()).await.unwrap().is_some(), "the standby has no tables at all");
    let visitor = PostgresStore::connect(&both, visiting(2)).await.unwrap();
    assert!(visitor.order(order.id()).await.unwrap().is_some());
    let client = client(&server.address("postgres")).await;
    client.batch_execute("alter database postgres set default_transaction_read_only = on").await.unwrap();
    let visitor = PostgresStore::connect(&address(&[&host(&server)]), visiting(3)).await.unwrap();
    assert!(visitor.order(order.id()).await.unwrap().is_some(), "it takes no writes, and reading is enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_or_a_right_that_is_missing_is_told_in_one_line_that_says_what_to_change() {
    let server = Postgres::start(Durability::None).unwrap();
    let address = server.database().unwrap();
    drop(PostgresStore::connect(&address, options(&clock(), 1)).await.unwrap());
    let owner = client(&address).await;
    owner
        .batch_execute("create role small login connection limit 5; create role stranger login")
        .await
        .unwrap();
    let told = async |user: &str| {
        let address = address.replacen("//orderwright@", &format!("//{user}@"), 1);
        let refused = PostgresStore::connect(&address, options(&clock(), 2)).await;
        refused.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let stranger = told("stranger").await;
    assert!(stranger.contains("may not use the tables: permission denied for table"), "{stranger}");
    assert!(stranger.contains("grant select, insert, update, delete on all tables"), "{stranger}");
    let grants = "grant select, insert, update, delete on all tables in schema public to stranger, small;
         grant usage on all sequences in schema public to stranger, small";
    owner.batch_execute(grants).await.unwrap();
    assert_eq!(told("stranger").await, "", "that is all it needs");
    let small = told("small").await;
    assert!(small.contains("user 'small' may have 5 connections at a time, and a worker needs"), "{small}");
    owner.batch_execute("alter role small connection limit -1").await.unwrap();
    assert_eq!(told("small").await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn if_no_host_serves_each_is_named_with_its_own_reason() {
    let standby = Postgres::start_with(Durability::None, &READ_ONLY).unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let standby = host(&standby);
    for hosts in [[&*standby, &*nobody], [&*nobody, &*standby]] {
        let refused = PostgresStore::connect(&address(&hosts), options(&clock(), 1)).await;
        let told = refused.err().expect("nobody takes writes").to_string();
        assert!(told.contains(&format!("{standby}: it takes no writes")), "{told}");
        assert!(told.contains(&format!("{nobody}: ")) && told.contains("refused"), "{told}");
    }
    let refused = PostgresStore::connect(&address(&[&*standby, &*standby]), options(&clock(), 1)).await;
    let told = refused.err().expect("nobody takes writes").to_string();
    assert!(
        told.contains("takes no writes: it is a standby, or its default_transaction_read_only is on"),
        "{told}"
    );
}
