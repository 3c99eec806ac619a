//! The versions of the tables: which one a database has, and the steps from there to the latest. The tables of the bus and
//! those of its user have each a history of their own, and the user's may lean on the bus's. Several processes may start at
//! once: one of them takes the steps while the others wait.

use std::cmp::Ordering;
use std::time::Duration;

use bus::{Fault, Tables};
use refinery::Runner;
use tokio_postgres::{Client, Config};

use crate::connect::{DatabaseOwner, asking};
use crate::connect_error::{ConnectError, database, driver_error, explain};
use crate::fault::{Taken, is_lock_refused};
use crate::patience::{Line, Patience};
use crate::server::Server;
use crate::unit::Rows;

mod embedded {
    refinery::embed_migrations!("src/migrations");
}

/// Where the steps of the bus are noted.
const BUS_HISTORY: &str = "bus_schema_history";

/// Where the steps of its user are noted.
const OWN_HISTORY: &str = "schema_history";

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

/// The steps to one set of tables.
struct Steps {
    history: &'static str,
    runner: Runner,
}

impl Steps {
    /// All of them in one transaction: half a migration is none.
    fn new(history: &'static str, mut runner: Runner) -> Self {
        runner.set_migration_table_name(history);
        Self { history, runner: runner.set_grouped(true) }
    }

    /// Those of the bus.
    fn of_the_bus() -> Self {
        Self::new(BUS_HISTORY, embedded::migrations::runner())
    }

    /// Those of the bus and then, if there are any, those of its user.
    fn all<R: Rows>() -> Vec<Self> {
        let own = R::migrations().map(|runner| Self::new(OWN_HISTORY, runner));
        [Some(Self::of_the_bus()), own].into_iter().flatten().collect()
    }

    /// The latest version known here.
    fn latest(&self) -> u32 {
        let steps = self.runner.get_migrations().iter();
        steps.map(|step| u32::try_from(step.version()).unwrap_or(0)).max().unwrap_or(0)
    }

    /// The version that the tables have; 0 if there are none.
    async fn found(&self, client: &Client, patience: &Patience) -> Result<u32, Fault> {
        const OPERATION: &str = "schema.version";
        let exists = format!("select to_regclass('{}') is not null", self.history);
        let exists = patience.answer(OPERATION, Taken::GiveUp, client.query_one(&exists, &[])).await?;
        if !exists.get::<_, bool>(0) {
            return Ok(0);
        }
        let version = format!("select coalesce(max(version), 0)::bigint from {}", self.history);
        let version = patience.answer(OPERATION, Taken::GiveUp, client.query_one(&version, &[])).await?;
        u32::try_from(version.get::<_, i64>(0)).map_err(|error| Fault::give_up(OPERATION, error))
    }
}

/// Brings the tables up to date and returns the version of the user's, or of the bus's if there are no others. A database of a
/// later release is left alone.
pub(crate) async fn migrate<R: Rows>(server: &Server, owner: DatabaseOwner) -> Result<u32, ConnectError> {
    let config = &server.config;
    let unhappy = |fault: Fault| explain(config, &fault);
    let mut line = server.line().await.map_err(|error| explain(config, &error))?;
    // The lock goes with the connection.
    while !is_our_turn(&line).await.map_err(unhappy)? {
        tokio::time::sleep(TURN_PAUSE).await;
    }
    line.run("schema.migrate", SETTINGS).await.map_err(unhappy)?;
    take_steps::<R>(&mut line, config, owner).await
}

/// Whether the tables are ours and of this program's version. Nothing is written to find that out.
pub(crate) async fn expect<R: Rows>(server: &Server, us: DatabaseOwner) -> Result<(), ConnectError> {
    let config = &server.config;
    let line = asking(server, Tables::Expected).line().await.map_err(|error| explain(config, &error))?;
    match owner(&line, config, us).await? {
        Owner::Nobody => {
            let (database, owner, advice) = (database(config), us.title, us.if_missing);
            return Err(ConnectError::NoTables { database, owner, advice });
        }
        Owner::Us => {}
    }
    for steps in Steps::all::<R>() {
        let known = steps.latest();
        let found = steps.found(&line.client, &line.patience).await;
        let found = found.map_err(|fault| explain(config, &fault))?;
        match found.cmp(&known) {
            Ordering::Equal => {}
            Ordering::Less => return Err(ConnectError::Older { found, known, advice: us.if_older }),
            Ordering::Greater => return Err(ConnectError::Newer { found, known }),
        }
    }
    Ok(())
}

/// Whose the tables are, if not another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    Us,
}

/// Whose the tables are where ours are or would be.
async fn owner(line: &Line, config: &Config, us: DatabaseOwner) -> Result<Owner, ConnectError> {
    let unhappy = |fault: Fault| explain(config, &fault);
    let foreign =
        |mark: String| ConnectError::Foreign { database: database(config), mark, advice: us.if_foreign };
    let steps = "select to_regclass('bus_schema_history') is not null";
    let has_steps = line.query("schema.owner", steps, &[]).await.map_err(unhappy)?;
    if has_steps.first().is_some_and(|row| row.get(0)) {
        let (name, checksum) = first_step();
        let ours = "select count(*) = 0, bool_or(version = 1 and name = $1 and checksum = $2) is true from bus_schema_history";
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
         and c.relname not in ('bus_schema_history', 'schema_history')
         and not exists (select 1 from pg_depend d
             where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
     order by 1 limit 5";

/// Name and checksum of the step that made the bus's tables, as it is noted beside them.
fn first_step() -> (String, String) {
    let steps = Steps::of_the_bus();
    let first = steps.runner.get_migrations().iter().min_by_key(|migration| migration.version());
    first.map(|step| (step.name().to_owned(), step.checksum().to_string())).unwrap_or_default()
}

async fn is_our_turn(line: &Line) -> Result<bool, Fault> {
    let rows = line.query("schema.lock", "select pg_try_advisory_lock($1)", &[&MIGRATION_LOCK]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

async fn take_steps<R: Rows>(
    line: &mut Line,
    config: &Config,
    us: DatabaseOwner,
) -> Result<u32, ConnectError> {
    owner(line, config, us).await?;
    let all = Steps::all::<R>();
    let mut behind = Vec::new();
    for steps in &all {
        let known = steps.latest();
        let found = steps.found(&line.client, &line.patience).await;
        let found = found.map_err(|fault| explain(config, &fault))?;
        if found > known {
            return Err(ConnectError::Newer { found, known });
        }
        if found < known {
            behind.push(steps);
        }
    }
    for steps in behind {
        take(steps, line, config).await?;
    }
    Ok(all.last().map_or(0, Steps::latest))
}

async fn take(steps: &Steps, line: &mut Line, config: &Config) -> Result<(), ConnectError> {
    let mut attempts = 1;
    loop {
        match steps.runner.run_async(&mut line.client).await {
            Ok(_) => return Ok(()),
            Err(error) if attempts < ATTEMPTS_MAX && driver_error(&error).is_some_and(is_lock_refused) => {
                tracing::warn!(attempts, "somebody holds a table that is to be changed; it is tried again");
                attempts += 1;
                tokio::time::sleep(ATTEMPT_PAUSE).await;
            }
            Err(error) => return Err(explain(config, &error)),
        }
    }
}

/// The version that the user's tables have, or the bus's if there are no others; 0 if there are none.
pub(crate) async fn version<R: Rows>(client: &Client, patience: &Patience) -> Result<u32, Fault> {
    match Steps::all::<R>().last() {
        Some(steps) => steps.found(client, patience).await,
        None => Ok(0),
    }
}
