//! The versions of the tables: which one a database has, and the steps from there to the latest. Several processes may start
//! at once: one of them takes the steps while the others wait.

use bus::Fault;
use refinery::Runner;
use tokio_postgres::{Client, Config};

use super::connect::{ConnectError, explain, explain_any};
use super::fault::{Taken, fault};
use super::server::Server;

mod embedded {
    refinery::embed_migrations!("src/postgres/migrations");
}

/// The lock of whoever changes the tables; a number that nobody else will have chosen.
const MIGRATION_LOCK: i64 = 0x6f72_6465_7277_7274;

/// Brings the tables up to date and returns their version. A database of a later release is left alone.
pub(super) async fn migrate(server: &Server) -> Result<u32, ConnectError> {
    let config = &server.config;
    let unhappy = |error: tokio_postgres::Error| explain(config, &error);
    let (mut client, connection) = server.connect().await.map_err(unhappy)?;
    let driver = tokio::spawn(connection);
    // A wait for somebody else's migration has no limit of its own. The lock goes with the connection.
    client.batch_execute("set statement_timeout = 0; set lock_timeout = 0").await.map_err(unhappy)?;
    client.execute("select pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await.map_err(unhappy)?;
    let migrated = take_steps(&mut client, config).await;
    drop(client);
    drop(driver.await);
    migrated
}

async fn take_steps(client: &mut Client, config: &Config) -> Result<u32, ConnectError> {
    let known = latest();
    let found = version(client).await.map_err(|fault| explain_any(config, &fault))?;
    if found > known {
        return Err(ConnectError::Newer { found, known });
    }
    if found < known {
        runner().run_async(client).await.map_err(|error| explain_any(config, &error))?;
    }
    Ok(known)
}

/// The version that the tables have; 0 if there are none.
pub(super) async fn version(client: &Client) -> Result<u32, Fault> {
    let failed = || fault("schema.version", Taken::GiveUp);
    let exists = "select to_regclass('refinery_schema_history') is not null";
    let exists: bool = client.query_one(exists, &[]).await.map_err(failed())?.get(0);
    if !exists {
        return Ok(0);
    }
    let version = "select coalesce(max(version), 0)::bigint from refinery_schema_history";
    let version: i64 = client.query_one(version, &[]).await.map_err(failed())?.get(0);
    u32::try_from(version).map_err(|error| Fault::give_up("schema.version", error))
}

/// The latest version known here.
fn latest() -> u32 {
    let versions = runner()
        .get_migrations()
        .iter()
        .map(|migration| u32::try_from(migration.version()).unwrap_or(0))
        .max();
    versions.unwrap_or(0)
}

/// All steps in one transaction: half a migration is none.
fn runner() -> Runner {
    embedded::migrations::runner().set_grouped(true)
}
