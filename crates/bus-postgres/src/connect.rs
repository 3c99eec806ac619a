//! Connecting to the server, and telling in one line what is wrong when that is not possible. Never shows a password.

use std::time::Duration;

use bus::{Clock, IdSource, Routing, Tables, Topology};
use deadpool_postgres::{Connect, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Config};
use uuid::Uuid;

use crate::connect_error::{ConnectError, VERSION_MIN, database, driver_error, explain, place};
use crate::fault::Taken;
use crate::lent::Lender;
use crate::patience::Line;
use crate::pooler;
use crate::server::{NoConnection, Server, Telling, driven};

/// The encoding in which texts are kept.
const ENCODING: &str = "UTF8";

/// How PgBouncer begins to say that it knows nothing of a setting.
const UNSUPPORTED: &str = "unsupported startup parameter";

/// The setting by which it is seen whether settings arrive.
const IDLE_LIMIT: &str = "idle_in_transaction_session_timeout";

/// How much longer than the server's own limit on a statement its answer is waited for: what is late then does not come.
const SLACK: Duration = Duration::from_secs(2);

/// When a host that says nothing more is taken for dead: asked while nothing is under way, and when what was sent is not
/// acknowledged. The system would wait for a quarter of an hour.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 3;
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(15);

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
    /// The name of this run of this process; no other may have it.
    pub instance: Uuid,
    /// What this process does there.
    pub presence: Presence,
    /// Whether tables are made where there are none.
    pub tables: Tables,
    /// Connections for units of work.
    pub pool_max: usize,
    /// Connections for reading.
    pub readers_max: usize,
    /// Time between the beginnings of two units of work at least.
    pub unit_gap: Duration,
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
    /// Whose database it is.
    pub owner: DatabaseOwner,
}

/// The program whose database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseOwner {
    /// The name of its connections, and the beginning of the channel on which its processes talk to each other. Lower case.
    pub program: &'static str,
    /// How the program is called in messages.
    pub title: &'static str,
    /// What somebody does whose database has no tables.
    pub if_missing: &'static str,
    /// What somebody does who names a database of another program.
    pub if_foreign: &'static str,
    /// What somebody does whose tables are of an earlier release.
    pub if_older: &'static str,
}

impl Default for DatabaseOwner {
    /// Nobody in particular: the bus alone.
    fn default() -> Self {
        Self {
            program: "bus",
            title: "this program",
            if_missing: "let the program make them",
            if_foreign: "choose another database",
            if_older: "let the program bring them up to date",
        }
    }
}

impl PostgresOptions {
    /// Three connections and four to read; two milliseconds between units; ten seconds for a statement, five for a lock, thirty for a lease.
    #[must_use]
    pub fn new(topology: Topology, routing: Routing, clock: &dyn Clock, ids: &dyn IdSource) -> Self {
        let instance = ids.next(clock.now());
        Self {
            topology,
            routing,
            instance,
            presence: Presence::default(),
            tables: Tables::default(),
            pool_max: 3,
            readers_max: 4,
            unit_gap: Duration::from_millis(2),
            connect_limit: Duration::from_secs(5),
            statement_limit: Duration::from_secs(10),
            lock_limit: Duration::from_secs(5),
            lease: Duration::from_secs(30),
            queue_memory_max: bus::limits::QUEUE_MEMORY_MAX,
            owner: DatabaseOwner::default(),
        }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Units of work: all access is by key, whatever the statistics say about a table that was empty a moment ago.
    Units,
    /// Reading: the planner decides.
    Reads,
    /// Keeping claims: the outbox is walked through by its key, however full it is.
    Keeping,
}

/// What the address and the options say.
pub(crate) fn server(address: &str, options: &PostgresOptions) -> Result<Server, ConnectError> {
    let bad = |why: String| ConnectError::Address { why };
    if !["postgres://", "postgresql://"].iter().any(|scheme| address.starts_with(scheme)) {
        return Err(bad("it does not begin with postgres://".to_owned()));
    }
    let mut server = Server::at(address, options.statement_limit + SLACK).map_err(bad)?;
    let config = &mut server.config;
    config.application_name(options.owner.program);
    config.connect_timeout(options.connect_limit);
    config.keepalives_idle(KEEPALIVE_IDLE);
    config.keepalives_interval(KEEPALIVE_INTERVAL);
    config.keepalives_retries(KEEPALIVE_RETRIES);
    config.tcp_user_timeout(UNACKNOWLEDGED_MAX);
    // Of several hosts the one that takes writes, and none that was one and is a standby now.
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    let statement = options.statement_limit;
    server.set("statement_timeout", statement.as_millis().to_string());
    server.set("lock_timeout", options.lock_limit.as_millis().to_string());
    server.set(IDLE_LIMIT, (statement * 3).as_millis().to_string());
    // Between two of our statements lie as long as there is nothing to do.
    server.set("idle_session_timeout", "0");
    server.set("jit", "off");
    Ok(server)
}

/// Looks whether the server is there and new enough, keeps texts as we write them, and what has to be asked of it.
pub(crate) async fn probe(server: &mut Server, tables: Tables) -> Result<(), ConnectError> {
    let line = Box::pin(settled(server, tables)).await?;
    let asked = line
        .query(
            "server.probe",
            "select current_setting('server_version_num')::integer, current_setting('server_version'),
                 current_setting('synchronous_commit'), current_setting('backend_flush_after', true),
                 current_setting('server_encoding')",
            &[],
        )
        .await
        .map_err(|fault| explain(&server.config, &fault))?;
    let row = asked.first().expect("the server answers with one row");
    if row.get::<_, i32>(0) / 10_000 < VERSION_MIN {
        return Err(ConnectError::TooOld { found: row.get(1) });
    }
    let encoding: String = row.get(4);
    if encoding != ENCODING {
        return Err(ConnectError::Encoding { database: database(&server.config), found: encoding });
    }
    for (name, value) in asked_of(row.get(2), row.get(3)) {
        server.set(name, value);
    }
    Ok(())
}

/// Looks whether a worker can have as many connections as it needs: it would start without them, and do its work only now and then.
pub(crate) async fn room(server: &Server, options: &PostgresOptions) -> Result<(), ConnectError> {
    let needed = options.pool_max.max(1) + options.readers_max.max(1) + 1;
    let needed = i32::try_from(needed).unwrap_or(i32::MAX);
    let line = server.line().await.map_err(|error| explain(&server.config, &error))?;
    let sql = "select case when rolsuper then -1 else rolconnlimit end, case when rolsuper then -1 else datconnlimit end,
             current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer,
             rolname::text, datname::text
         from pg_roles, pg_database where rolname = current_user and datname = current_database()";
    // Whoever may not look is not kept from working.
    let Ok(asked) = line.query("server.room", sql, &[]).await else { return Ok(()) };
    let Some(row) = asked.first() else { return Ok(()) };
    let limits = [
        (row.get::<_, i32>(0), format!("user '{}'", row.get::<_, &str>(3))),
        (row.get(1), format!("database '{}'", row.get::<_, &str>(4))),
        (row.get(2), "the server (max_connections)".to_owned()),
    ];
    let limits = limits.into_iter().filter(|(allowed, _)| (0..needed).contains(allowed));
    match limits.min_by_key(|(allowed, _)| *allowed) {
        Some((allowed, whose)) => Err(ConnectError::TooFew { whose, allowed, needed }),
        None => Ok(()),
    }
}

/// A first connection, once it is known how connections are told their settings. A pooler may refuse those that come with the
/// login, or drop them without a word; without them a server that is set to forget would forget.
async fn settled(server: &mut Server, tables: Tables) -> Result<Line, ConnectError> {
    match asking(server, tables).line().await {
        Ok(line) if arrives(&line, &server.config).await? => return Ok(line),
        Ok(_) => {}
        Err(error) if refuses_settings(&error) => {}
        Err(error) => return Err(explain(&server.config, &error)),
    }
    server.telling = Telling::ByStatement;
    let asked = asking(server, tables);
    let lends = pooler::lends_for_good(&asked).await.map_err(|error| explain(&server.config, &error))?;
    if !lends {
        return Err(ConnectError::Pooled { place: place(&server.config) });
    }
    tracing::info!(
        place = place(&server.config),
        "a pooler is in between; each connection is told its settings"
    );
    asked.line().await.map_err(|error| explain(&server.config, &error))
}

/// Whether somebody in between takes no settings with the login.
fn refuses_settings(error: &NoConnection) -> bool {
    let said = driver_error(error).and_then(tokio_postgres::Error::as_db_error);
    said.is_some_and(|said| said.message().starts_with(UNSUPPORTED))
}

/// Whether the server has the settings that came with the login. Nothing is prepared, which not every pooler understands.
async fn arrives(line: &Line, config: &Config) -> Result<bool, ConnectError> {
    let asked = format!("select source from pg_settings where name = '{IDLE_LIMIT}'");
    let said = line.patience.answer("server.probe", Taken::GiveUp, line.client.simple_query(&asked)).await;
    let said = said.map_err(|fault| explain(config, &fault))?;
    Ok(said.iter().find_map(pooler::first_value).as_deref() == Some("client"))
}

/// The server for whoever finds out how it is: nothing is written by those who take the tables as they are, who may not be
/// allowed to write at all.
pub(crate) fn asking(server: &Server, tables: Tables) -> Server {
    match tables {
        Tables::Migrated => server.clone(),
        Tables::Expected => content(&suited(server, Use::Reads)),
    }
}

/// The same server where nothing is written: a host that takes no writes will do if there is no other.
fn content(server: &Server) -> Server {
    let mut server = server.clone();
    server.config.target_session_attrs(TargetSessionAttrs::Any);
    server
}

/// What our connections ask of a server that is set to so much by itself. Should it be set to forget what it has confirmed, they ask
/// it to remember. And a page that they push out of its memory is to go to the disk soon: left to the system such pages pile
/// up, are written all at once, and each flush of the log waits meanwhile. An administrator who has set that knows better.
fn asked_of(
    synchronous_commit: &str,
    flush_after: Option<&str>,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let remember = (synchronous_commit == "off").then_some(("synchronous_commit", "on"));
    let flush = (flush_after == Some("0")).then_some(("backend_flush_after", "512kB"));
    remember.into_iter().chain(flush)
}

/// The same server, set up for one purpose.
pub(crate) fn suited(server: &Server, purpose: Use) -> Server {
    let mut server = server.clone();
    match purpose {
        Use::Units => {
            server.set("plan_cache_mode", "force_generic_plan");
            server.set("enable_seqscan", "off");
            server.set("enable_hashjoin", "off");
            server.set("enable_mergejoin", "off");
        }
        Use::Keeping => server.set("enable_seqscan", "off"),
        Use::Reads => server.set_afterwards("default_transaction_read_only", "on"),
    }
    server
}

/// Connections of one kind, opened as they are needed.
pub(crate) fn pool(server: &Server, purpose: Use, size: usize, options: &PostgresOptions) -> Lender {
    let server = match (purpose, options.tables) {
        (Use::Reads, Tables::Expected) => content(&suited(server, purpose)),
        (Use::Units | Use::Reads | Use::Keeping, _) => suited(server, purpose),
    };
    let (create_limit, answer_limit) = (server.connect_limit(), server.answer_limit);
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let config = server.config.clone();
    let pool = Pool::builder(Manager::from_connect(config, Dialler(server), recycling))
        .max_size(size.max(1))
        .runtime(Runtime::Tokio1)
        .create_timeout(Some(create_limit))
        .wait_timeout(Some(options.connect_limit))
        .build()
        .expect("a pool with time limits was given a runtime");
    Lender::new(pool, answer_limit)
}

/// Opens the connections of a pool.
struct Dialler(Server);

impl Connect for Dialler {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(async {
            match self.0.connect().await {
                Ok((client, connection)) => Ok((client, driven(connection))),
                Err(NoConnection::Failed(error) | NoConnection::Nowhere { gravest: error, .. }) => Err(error),
                // The driver has no error for it; the pool gives up when its time is over.
                Err(NoConnection::Silent(_) | NoConnection::Unusable(_)) => std::future::pending().await,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_to_remember_and_to_flush_early_unless_it_does_so_by_itself() {
        let asked = |commit, flush| asked_of(commit, flush).collect::<Vec<_>>();
        let (remember, flush) = (("synchronous_commit", "on"), ("backend_flush_after", "512kB"));
        assert_eq!(asked("off", Some("0")), [remember, flush]);
        for commit in ["on", "local", "remote_write", "remote_apply"] {
            assert_eq!(asked(commit, Some("0")), [flush], "{commit} survives a crash of the server");
        }
        assert_eq!(asked("on", Some("1MB")), [], "an administrator has chosen");
        assert_eq!(asked("on", None), [], "no such setting");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn behind_a_pooler_the_connections_are_set_so_too() {
        let settings = ["synchronous_commit=off", "backend_flush_after=1MB"];
        let there =
            testkit::servers::Postgres::start_with(testkit::servers::Durability::None, &settings).unwrap();
        for ignoring in [&[][..], &["ignore_startup_parameters=options"]] {
            let pooler = testkit::servers::PgBouncer::start(&there, "session", ignoring).unwrap();
            let address = pooler.address("postgres");
            let clock = bus::SystemClock;
            let options =
                PostgresOptions::new(Topology::default(), Routing::Store, &clock, &bus::RandomIds::seeded(1));
            let mut server = server(&address, &options).unwrap();
            probe(&mut server, Tables::Migrated).await.unwrap();
            let wanted = [
                ("synchronous_commit", "on"),
                ("lock_timeout", "5s"),
                ("jit", "off"),
                ("enable_seqscan", "off"),
            ];
            let line = suited(&server, Use::Units).line().await.unwrap();
            let lender = pool(&server, Use::Units, 1, &options);
            let lent = lender.get().await.unwrap();
            for (name, value) in wanted {
                let sql = "select current_setting($1)";
                let row = line.client.query_one(sql, &[&name]).await.unwrap();
                assert_eq!(row.get::<_, &str>(0), value, "{name} with {ignoring:?}");
                let row = lent.query_one(sql, &[&name]).await.unwrap();
                assert_eq!(row.get::<_, &str>(0), value, "{name} of the pool with {ignoring:?}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_connections_of_a_server_that_was_probed_are_set_so() {
        for (settings, commit, flush) in [
            (vec![], "on", "512kB"),
            (vec!["synchronous_commit=off", "backend_flush_after=1MB"], "on", "1MB"),
        ] {
            let there = testkit::servers::Postgres::start_with(testkit::servers::Durability::None, &settings)
                .unwrap();
            let server = Server::at(&there.database().unwrap(), Duration::from_secs(10));
            let mut server = server.unwrap();
            probe(&mut server, Tables::Migrated).await.unwrap();
            let (client, connection) = suited(&server, Use::Units).connect().await.unwrap();
            let driver = tokio::spawn(connection);
            for (name, value) in [("synchronous_commit", commit), ("backend_flush_after", flush)] {
                let row = client.query_one("select current_setting($1)", &[&name]).await.unwrap();
                assert_eq!(row.get::<_, &str>(0), value, "{name} with {settings:?}");
            }
            drop(client);
            driver.await.unwrap().unwrap();
        }
    }
}
