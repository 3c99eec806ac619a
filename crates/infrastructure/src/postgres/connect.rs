//! Connecting to the server, and telling in one line what is wrong when that is not possible. Never shows a password.

use std::sync::Arc;
use std::time::Duration;

use bus::{Clock, IdSource, Topology};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use thiserror::Error;
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use uuid::Uuid;

use super::Routing;
use super::server::Server;

/// The oldest release that has everything asked for here.
const VERSION_MIN: i32 = 15;

/// What a process does on a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// It takes messages and works on them; others count on it.
    #[default]
    Worker,
    /// It looks, or leaves something for the workers, and takes no messages; nobody counts on it.
    Visitor,
}

/// How to use a server.
#[derive(Clone)]
pub struct PostgresOptions {
    /// Which queues want which messages.
    pub topology: Topology,
    /// Who carries messages from here.
    pub routing: Routing,
    /// The time, which tells whether other processes are still alive.
    pub clock: Arc<dyn Clock>,
    /// The name of this run of this process; no other may have it.
    pub instance: Uuid,
    /// What this process does there.
    pub presence: Presence,
    /// Connections for units of work.
    pub pool_max: usize,
    /// Connections for reading.
    pub readers_max: usize,
    /// How long to wait for the server, and for a free connection.
    pub connect_limit: Duration,
    /// How long a statement may take.
    pub statement_limit: Duration,
    /// How long a statement may wait for a row that another transaction has.
    pub lock_limit: Duration,
    /// How long what a process has claimed stays its own without a sign of life.
    pub lease: Duration,
    /// Messages of one queue kept in memory ahead of their turn; the rest waits in the database.
    pub queue_memory_max: usize,
}

impl PostgresOptions {
    /// Three connections and four to read; ten seconds for a statement, five for a lock, thirty for a lease.
    #[must_use]
    pub fn new(topology: Topology, routing: Routing, clock: Arc<dyn Clock>, ids: &dyn IdSource) -> Self {
        let instance = ids.next(clock.now());
        Self {
            topology,
            routing,
            clock,
            instance,
            presence: Presence::default(),
            pool_max: 3,
            readers_max: 4,
            connect_limit: Duration::from_secs(5),
            statement_limit: Duration::from_secs(10),
            lock_limit: Duration::from_secs(5),
            lease: Duration::from_secs(30),
            queue_memory_max: bus::limits::QUEUE_MEMORY_MAX,
        }
    }
}

/// Why a server cannot be used. Each says in one line what to do.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The address is not one.
    #[error("the database address is not right: {why}; write postgres://user:password@host:port/database")]
    Address {
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers.
    #[error("no PostgreSQL server answers at {place}: {why}; start it or correct the address")]
    Unreachable {
        /// Hosts and ports.
        place: String,
        /// What the system says.
        why: String,
    },
    /// The server does not let us in.
    #[error(
        "the PostgreSQL server at {place} refuses the login: {why}; correct user and password or its pg_hba.conf"
    )]
    Refused {
        /// Hosts and ports.
        place: String,
        /// What it says.
        why: String,
    },
    /// There is no such database.
    #[error("there is no database '{database}' at {place}; create it with: createdb {database}")]
    NoDatabase {
        /// Hosts and ports.
        place: String,
        /// Its name.
        database: String,
    },
    /// The user may log in and may not make tables, as is the rule since PostgreSQL 15.
    #[error(
        "user '{user}' may not make tables in database '{database}'; let an administrator run: alter database \"{database}\" owner to \"{user}\""
    )]
    NotAllowed {
        /// The user.
        user: String,
        /// The database.
        database: String,
    },
    /// The server is from before what is used here.
    #[error("the server is PostgreSQL {found}, and {VERSION_MIN} or later is needed; upgrade it")]
    TooOld {
        /// Its version.
        found: String,
    },
    /// The tables are from a later release.
    #[error(
        "the database has tables of version {found}, this program knows versions up to {known}; use the newer program that wrote it"
    )]
    Newer {
        /// Its version.
        found: u32,
        /// The latest version known here.
        known: u32,
    },
    /// Anything else.
    #[error("the PostgreSQL database cannot be used: {why}")]
    Unusable {
        /// What the server says.
        why: String,
    },
}

impl ConnectError {
    /// None of the known mistakes.
    pub(super) fn unusable(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Unusable { why: root(error) }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Units of work: all access is by key, whatever the statistics say about a table that was empty a moment ago.
    Units,
    /// Reading: the planner decides.
    Reads,
}

/// What the address and the options say.
pub(super) fn server(address: &str, options: &PostgresOptions) -> Result<Server, ConnectError> {
    let bad = |why: String| ConnectError::Address { why };
    if !["postgres://", "postgresql://"].iter().any(|scheme| address.starts_with(scheme)) {
        return Err(bad("it does not begin with postgres://".to_owned()));
    }
    let mut server = Server::at(address).map_err(bad)?;
    let config = &mut server.config;
    config.application_name("orderwright");
    config.connect_timeout(options.connect_limit);
    config.keepalives_idle(Duration::from_secs(10));
    let statement = options.statement_limit;
    set(config, "statement_timeout", &statement.as_millis().to_string());
    set(config, "lock_timeout", &options.lock_limit.as_millis().to_string());
    set(config, "idle_in_transaction_session_timeout", &(statement * 3).as_millis().to_string());
    set(config, "jit", "off");
    Ok(server)
}

fn set(config: &mut Config, name: &str, value: &str) {
    let earlier = config.get_options().unwrap_or_default();
    let all = format!("{earlier} -c {name}={value}");
    config.options(all.trim_start());
}

/// Looks whether the server is there and new enough. Should it be set to forget what it has confirmed, our connections ask
/// it to remember.
pub(super) async fn probe(server: &mut Server) -> Result<(), ConnectError> {
    let unhappy = |error: tokio_postgres::Error| explain(&server.config, &error);
    let (client, connection) = server.connect().await.map_err(unhappy)?;
    let driver = tokio::spawn(connection);
    let row = client
        .query_one(
            "select current_setting('server_version_num')::integer, current_setting('server_version'),
                 current_setting('synchronous_commit')",
            &[],
        )
        .await
        .map_err(unhappy)?;
    drop(client);
    drop(driver.await);
    if row.get::<_, i32>(0) / 10_000 < VERSION_MIN {
        return Err(ConnectError::TooOld { found: row.get(1) });
    }
    if row.get::<_, &str>(2) == "off" {
        set(&mut server.config, "synchronous_commit", "on");
    }
    Ok(())
}

/// Connections of one kind, opened as they are needed.
pub(super) fn pool(server: &Server, purpose: Use, options: &PostgresOptions) -> Pool {
    let Server { mut config, tls } = server.clone();
    let size = match purpose {
        Use::Units => {
            set(&mut config, "plan_cache_mode", "force_generic_plan");
            set(&mut config, "enable_seqscan", "off");
            set(&mut config, "enable_hashjoin", "off");
            set(&mut config, "enable_mergejoin", "off");
            options.pool_max
        }
        Use::Reads => {
            set(&mut config, "default_transaction_read_only", "on");
            options.readers_max
        }
    };
    let manager =
        Manager::from_config(config, tls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    Pool::builder(manager)
        .max_size(size.max(1))
        .runtime(Runtime::Tokio1)
        .create_timeout(Some(options.connect_limit))
        .wait_timeout(Some(options.connect_limit))
        .build()
        .expect("a pool with time limits was given a runtime")
}

/// Which of the known mistakes an error is.
pub(super) fn explain(config: &Config, error: &tokio_postgres::Error) -> ConnectError {
    let place = place(config);
    match error.as_db_error() {
        Some(said) if said.code().code() == "3D000" => {
            let database = config.get_dbname().or(config.get_user()).unwrap_or_default().to_owned();
            ConnectError::NoDatabase { place, database }
        }
        Some(said) if said.code().code().starts_with("28") => {
            ConnectError::Refused { place, why: said.message().to_owned() }
        }
        Some(said) if said.code().code() == "42501" => {
            let user = config.get_user().unwrap_or_default().to_owned();
            let database = config.get_dbname().unwrap_or(&user).to_owned();
            ConnectError::NotAllowed { user, database }
        }
        Some(_) => ConnectError::unusable(error),
        None => ConnectError::Unreachable { place, why: root(error) },
    }
}

/// Which of the known mistakes is at the bottom of an error.
pub(super) fn explain_any(config: &Config, error: &(dyn std::error::Error + 'static)) -> ConnectError {
    let mut cause = Some(error);
    while let Some(known) = cause {
        if let Some(error) = known.downcast_ref() {
            return explain(config, error);
        }
        cause = known.source();
    }
    ConnectError::unusable(error)
}

/// The cause of all causes, which says what happened and not what it spoiled.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string().replace('\n', " ")
}

fn place(config: &Config) -> String {
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    };
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let hosts = config.get_hosts().iter().enumerate();
    let places: Vec<String> = hosts.map(|(index, name)| format!("{}:{}", host(name), port(index))).collect();
    places.join(", ")
}
