//! The tables of a server: made once however many processes start, and left alone if they are of a later release.

mod postgres_stage;

use orderwright_infrastructure::postgres::{ConnectError, PostgresStore};
use postgres_stage::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_that_start_at_once_make_the_tables_once() {
    let address = database();
    let starting = (1..=4).map(|seed| {
        let address = address.clone();
        tokio::spawn(async move { PostgresStore::connect(&address, options(&clock(), seed)).await })
    });
    for store in starting.collect::<Vec<_>>() {
        let store = store.await.unwrap().unwrap();
        assert_eq!(store.schema_version().await.unwrap(), store.migrate().await.unwrap());
    }
    let client = client(&address).await;
    for (history, steps) in [
        ("bus_schema_history", "../bus-postgres/src/migrations"),
        ("schema_history", "src/postgres/migrations"),
    ] {
        let rows = client.query(&format!("select from {history}"), &[]).await.unwrap();
        let files = std::fs::read_dir(steps).unwrap().count();
        assert_eq!(rows.len(), files, "{history} has one row for each step");
    }
}

#[tokio::test]
async fn a_database_of_a_later_release_is_left_alone() {
    let address = database();
    drop(store_over(&address, 1).await);
    for (history, version) in [("schema_history", 99), ("bus_schema_history", 98)] {
        let later =
            format!("insert into {history} (version, name, checksum) values ({version}, 'later', '1')");
        client(&address).await.execute(&later, &[]).await.unwrap();
        let refused = PostgresStore::connect(&address, options(&clock(), 2)).await.err().unwrap();
        let ConnectError::Newer { found, .. } = refused else { panic!("{refused}") };
        assert_eq!(found, version, "{history}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_somebody_holds_is_waited_for_without_making_others_wait() {
    let address = database();
    let (holder, other) = (client(&address).await, client(&address).await);
    let lock = "begin; lock table bus_schema_history in share mode";
    let table = "create table bus_schema_history (
         version int4 primary key, name varchar(255), applied_on varchar(255), checksum varchar(255))";
    holder.batch_execute(table).await.unwrap();
    holder.batch_execute(lock).await.unwrap();
    let starting = {
        let address = address.clone();
        tokio::spawn(async move { PostgresStore::connect(&address, options(&clock(), 1)).await })
    };
    until(
        &other,
        "select exists (select from pg_locks where relation = 'bus_schema_history'::regclass and not granted)",
    )
    .await;
    let passed = tokio::time::timeout(SOON, other.batch_execute(lock)).await;
    passed.expect("whoever takes the steps lets others pass").unwrap();
    assert!(!starting.is_finished());
    for client in [&holder, &other] {
        client.batch_execute("commit").await.unwrap();
    }
    let store = tokio::time::timeout(SOON, starting).await.expect("the table is free").unwrap().unwrap();
    assert!(store.schema_version().await.unwrap() > 0);
}

#[tokio::test]
async fn an_address_that_is_not_one_is_told_of_without_its_password() {
    for address in ["mysql://somebody:secret@host/db", "postgres://somebody:secret@host:port/db"] {
        let refused = PostgresStore::connect(address, options(&clock(), 1)).await.err().unwrap();
        assert!(matches!(refused, ConnectError::Address { .. }), "{refused}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
}
