//! A database of somebody else is left as it is, nothing is made where only something was to be looked at, and whoever may only
//! read can look.

mod postgres_stage;

use application::ports::Readers;
use bus::Tables;
use orderwright_infrastructure::postgres::{ConnectError, PostgresOptions, PostgresStore, Presence};
use postgres_stage::*;

fn visiting() -> PostgresOptions {
    PostgresOptions { presence: Presence::Visitor, tables: Tables::Expected, ..options(&clock(), 9) }
}

async fn refused(address: &str, options: PostgresOptions) -> ConnectError {
    PostgresStore::connect(address, options).await.err().expect("it is refused")
}

/// Everything in a database that somebody could have made.
async fn objects(address: &str) -> Vec<String> {
    let sql = "select relname::text from pg_class where relnamespace = 'public'::regnamespace order by 1";
    client(address).await.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_visitor_makes_no_tables() {
    let address = database();
    let error = refused(&address, visiting()).await;
    assert!(matches!(error, ConnectError::NoTables { .. }), "{error}");
    assert!(error.to_string().contains("orderwright migrate"), "{error}");
    assert_eq!(objects(&address).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_visitor_brings_no_tables_up_to_date_and_leaves_later_ones_alone() {
    let address = database();
    drop(store_over(&address, 1).await);
    assert!(PostgresStore::connect(&address, visiting()).await.is_ok());
    let latest = "(select max(version) from schema_history)";
    let later = format!("update schema_history set version = 9000 where version = {latest}");
    client(&address).await.batch_execute(&later).await.unwrap();
    let error = refused(&address, visiting()).await;
    assert!(matches!(error, ConnectError::Newer { found: 9000, .. }), "{error}");
    client(&address).await.batch_execute("delete from schema_history").await.unwrap();
    let error = refused(&address, visiting()).await;
    assert!(matches!(error, ConnectError::Older { found: 0, .. }), "{error}");
    assert!(error.to_string().contains("orderwright migrate"), "{error}");
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_as_it_was() {
    for statements in [
        "create table orders (id integer)",
        "create table customers (id integer)",
        "create view seen as select 1 as one",
        "create table bus_schema_history (version int4 primary key, name varchar(255), applied_on varchar(255), checksum varchar(255));
         insert into bus_schema_history values (1, 'bus', '', '1')",
    ] {
        let address = database();
        client(&address).await.batch_execute(statements).await.unwrap();
        let before = objects(&address).await;
        for options in [options(&clock(), 1), visiting()] {
            let error = refused(&address, options).await;
            assert!(matches!(error, ConnectError::Foreign { .. }), "{statements}: {error}");
            assert!(error.to_string().contains("createdb"), "{error}");
        }
        assert_eq!(objects(&address).await, before, "{statements}");
    }
}

#[tokio::test]
async fn a_database_that_keeps_its_texts_in_another_encoding_is_refused() {
    for (name, encoding) in [("latin", "LATIN1"), ("ascii", "SQL_ASCII")] {
        let create = format!("create database {name} encoding '{encoding}' locale 'C' template template0");
        server().query("postgres", &create).unwrap();
        for options in [options(&clock(), 1), visiting()] {
            let error = refused(&server().address(name), options).await;
            assert!(matches!(&error, ConnectError::Encoding { found, .. } if found == encoding), "{error}");
            assert!(error.to_string().contains("--encoding UTF8"), "{error}");
        }
    }
}

#[tokio::test]
async fn whoever_may_only_read_looks_and_leaves_no_trace() {
    let address = database();
    let worker = store_over(&address, 1).await;
    let name = address.rsplit('/').next().unwrap();
    let roles = format!(
        "create role {name}_reads login; grant select on all tables in schema public to {name}_reads;
         create role {name}_never login; grant select on all tables in schema public to {name}_never;
         alter role {name}_never set default_transaction_read_only = on"
    );
    client(&address).await.batch_execute(&roles).await.unwrap();
    for role in ["reads", "never"] {
        let (scheme, rest) = address.split_once("://").unwrap();
        let rest = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        let reader = format!("{scheme}://{name}_{role}@{rest}");
        let visitor = PostgresStore::connect(&reader, visiting()).await.unwrap();
        assert!(visitor.overview().await.is_ok());
        assert!(visitor.broken_invariants(NOW, 10).await.unwrap().is_empty());
        assert_eq!(visitor.other_workers().await.unwrap(), 1);
        assert!(visitor.schema_version().await.unwrap() > 0);
        visitor.close().await;
    }
    worker.close().await;
}
