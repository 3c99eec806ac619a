//! The versions of the tables: which one a database has, and the steps from there to the latest. Several processes may start
//! at once: one of them takes the steps while the others wait.

use std::cmp::Ordering;
use std::time::Duration;

use bus::{Fault, Tables};
use refinery::Runner;
use tokio_postgres::{Client, Config};

use super::connect::{ConnectError, asking, database, driver_error, explain};
use super::fault::{Taken, is_lock_refused};
use super::patience::{Line, Patience};
use super::server::Server;

mod embedded {
    refinery::embed_migrations!("src/postgres/migrations");
}

/// The advisory lock of a migration; a number that no other program is likely to use.
const MIGRATION_LOCK: i64 = 0x6f72_6465_7277_7274;

/// How often we check whether another process has finished its migration. That may take any time; each check is a new
/// query, so a server that falls silent is noticed.
const TURN_PAUSE: Duration = Duration::from_millis(100);

/// The settings of a migration. A waiting `alter` blocks every later query on the table, so `lock_timeout` is short
/// and we retry; the change itself may take as long as it needs.
const SETTINGS: &str = "set statement_timeout = 0; set lock_timeout = '3s'";

/// How often the migration is tried while a table is locked, and the pause after each attempt: a minute in total.
const ATTEMPTS_MAX: u32 = 15;
const ATTEMPT_PAUSE: Duration = Duration::from_secs(1);

/// Brings the tables up to date and returns their version. A database of a later release is left alone.
pub(super) async fn migrate(server: &Server) -> Result<u32, ConnectError> {
    let config = &server.config;
    let unhappy = |fault: Fault| explain(config, &fault);
    let mut line = server.line().await.map_err(|error| explain(config, &error))?;
    // The lock goes with the connection.
    while !is_our_turn(&line).await.map_err(unhappy)? {
        tokio::time::sleep(TURN_PAUSE).await;
    }
    line.run("schema.migrate", SETTINGS).await.map_err(unhappy)?;
    take_steps(&mut line, config).await
}

/// Whether the tables are ours and of this program's version; returns that. Nothing is written to find that out.
pub(super) async fn expect(server: &Server) -> Result<u32, ConnectError> {
    let config = &server.config;
    let line = asking(server, Tables::Expected).line().await.map_err(|error| explain(config, &error))?;
    let known = latest();
    let found = match owner(&line, config).await? {
        Owner::Nobody => return Err(ConnectError::NoTables { database: database(config) }),
        Owner::Us => version(&line.client, &line.patience).await.map_err(|fault| explain(config, &fault))?,
    };
    match found.cmp(&known) {
        Ordering::Equal => Ok(known),
        Ordering::Less => Err(ConnectError::Older { found, known }),
        Ordering::Greater => Err(ConnectError::Newer { found, known }),
    }
}

/// Whose the tables are, if not another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    Us,
}

/// Whose the tables are where ours are or would be.
async fn owner(line: &Line, config: &Config) -> Result<Owner, ConnectError> {
    let unhappy = |fault: Fault| explain(config, &fault);
    let foreign = |mark: String| ConnectError::Foreign { database: database(config), mark };
    let steps = "select to_regclass('refinery_schema_history') is not null";
    let has_steps = line.query("schema.owner", steps, &[]).await.map_err(unhappy)?;
    if has_steps.first().is_some_and(|row| row.get(0)) {
        let (name, checksum) = first_step();
        let ours = "select count(*) = 0, bool_or(version = 1 and name = $1 and checksum = $2) is true from refinery_schema_history";
        let found = line.query("schema.owner", ours, &[&name, &checksum]).await.map_err(unhappy)?;
        match found.first().map(|row| (row.get::<_, bool>(0), row.get::<_, bool>(1))) {
            // Somebody began to make the tables and did not get far.
            Some((true, _)) | None => {}
            Some((false, true)) => return Ok(Owner::Us),
            Some((false, false)) => {
                return Err(foreign("its tables were made by other steps than ours".to_owned()));
            }
        }
    }
    let tables = line.query("schema.owner", TABLES, &[]).await.map_err(unhappy)?;
    let named: Vec<&str> = tables.iter().map(|row| row.get(0)).collect();
    match named.is_empty() {
        true => Ok(Owner::Nobody),
        // Names are somebody else's words.
        false => {
            Err(foreign(format!("it has the tables {}", named.join(", ")).replace(char::is_control, " ")))
        }
    }
}

/// Some tables where ours would be, but for those of extensions.
const TABLES: &str = "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = current_schema() and c.relkind in ('r', 'p', 'v', 'm', 'f')
         and c.relname <> 'refinery_schema_history'
         and not exists (select 1 from pg_depend d
             where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
     order by 1 limit 5";

/// Name and checksum of the step that made the first tables, as it is noted beside them.
fn first_step() -> (String, String) {
    let runner = runner();
    let first = runner.get_migrations().iter().min_by_key(|migration| migration.version());
    first.map(|step| (step.name().to_owned(), step.checksum().to_string())).unwrap_or_default()
}

async fn is_our_turn(line: &Line) -> Result<bool, Fault> {
    let rows = line.query("schema.lock", "select pg_try_advisory_lock($1)", &[&MIGRATION_LOCK]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

async fn take_steps(line: &mut Line, config: &Config) -> Result<u32, ConnectError> {
    let known = latest();
    owner(line, config).await?;
    let found = version(&line.client, &line.patience).await.map_err(|fault| explain(config, &fault))?;
    if found > known {
        return Err(ConnectError::Newer { found, known });
    }
    if found == known {
        return Ok(known);
    }
    let mut attempts = 1;
    loop {
        match runner().run_async(&mut line.client).await {
            Ok(_) => return Ok(known),
            Err(error) if attempts < ATTEMPTS_MAX && driver_error(&error).is_some_and(is_lock_refused) => {
                tracing::warn!(attempts, "somebody holds a table that is to be changed; it is tried again");
                attempts += 1;
                tokio::time::sleep(ATTEMPT_PAUSE).await;
            }
            Err(error) => return Err(explain(config, &error)),
        }
    }
}

/// The version that the tables have; 0 if there are none.
pub(super) async fn version(client: &Client, patience: &Patience) -> Result<u32, Fault> {
    const OPERATION: &str = "schema.version";
    let exists = "select to_regclass('refinery_schema_history') is not null";
    let exists = patience.answer(OPERATION, Taken::GiveUp, client.query_one(exists, &[])).await?;
    if !exists.get::<_, bool>(0) {
        return Ok(0);
    }
    let version = "select coalesce(max(version), 0)::bigint from refinery_schema_history";
    let version = patience.answer(OPERATION, Taken::GiveUp, client.query_one(version, &[])).await?;
    u32::try_from(version.get::<_, i64>(0)).map_err(|error| Fault::give_up(OPERATION, error))
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
