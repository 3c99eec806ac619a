//! The store itself: connections, the queues of this process, and the keeper beside them. Opens units of work, carries
//! messages.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bus::{Envelope, Fault, Feed, Store, Tables, Transport, Unit, Unsent};
use tokio::sync::{Notify, OnceCell};
use tokio::task::JoinHandle;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::connect::{self, PostgresOptions, Presence};
use crate::connect_error::ConnectError;
use crate::fault::{Taken, away, fault};
use crate::feed::PostgresFeed;
use crate::keeper::Keeper;
use crate::lent::Lent;
use crate::message_rows::NO_QUEUE;
use crate::pipeline::Act;
use crate::reading::query;
use crate::schema;
use crate::server::server_now;
use crate::shared::Shared;
use crate::unit::{PostgresUnit, Rows};

/// The bus's own tables on a PostgreSQL server, and the user's beside them. Clones share everything.
pub struct PostgresBus<R: Rows = ()> {
    pub(crate) shared: Arc<Shared>,
    keeper: Arc<Mutex<Option<JoinHandle<()>>>>,
    kept: Arc<OnceCell<()>>,
    rows: PhantomData<fn() -> R>,
}

impl<R: Rows> Clone for PostgresBus<R> {
    fn clone(&self) -> Self {
        let (shared, keeper, kept) =
            (Arc::clone(&self.shared), Arc::clone(&self.keeper), Arc::clone(&self.kept));
        Self { shared, keeper, kept, rows: PhantomData }
    }
}

impl<R: Rows> PostgresBus<R> {
    /// Connects to `postgres://user:password@host:port/database`, brings its tables up to date if the options say so, and
    /// registers this process if it works there. A visitor writes nothing before it begins a transaction.
    ///
    /// # Errors
    /// [`ConnectError`] says in one line what is wrong and what to do.
    pub async fn connect(address: &str, options: PostgresOptions) -> Result<Self, ConnectError> {
        let mut server = connect::server(address, &options)?;
        connect::probe(&mut server, options.tables).await?;
        match options.tables {
            Tables::Migrated => schema::migrate::<R>(&server, options.owner).await.map(drop)?,
            Tables::Expected => schema::expect::<R>(&server, options.owner).await?,
        }
        if options.presence == Presence::Worker {
            connect::room(&server, &options).await?;
        }
        let shared = Arc::new(Shared::new(server, options));
        let store = Self { shared, keeper: Arc::default(), kept: Arc::default(), rows: PhantomData };
        match store.shared.presence {
            Presence::Worker => store.start_keeper().await?,
            Presence::Visitor => {}
        }
        Ok(store)
    }

    /// Starts the keeper, if it does not run yet.
    async fn start_keeper(&self) -> Result<(), ConnectError> {
        let starting = async || {
            let keeper = Keeper::start(&self.shared).await?;
            *lock(&self.keeper) = Some(keeper);
            Ok(())
        };
        self.kept.get_or_try_init(starting).await.copied()
    }

    /// Begins a transaction; its connection is taken now, the database hears of it with the first statement.
    ///
    /// # Errors
    /// [`bus::Verdict::Retry`] while the server is away or too many others wait for a turn or a connection.
    pub async fn unit(&self) -> Result<PostgresUnit<R>, Fault> {
        if self.shared.presence == Presence::Visitor {
            self.start_keeper().await.map_err(|error| Fault::retry("unit.begin", error))?;
        }
        self.shared.pace.turn().await.map_err(|crowded| Fault::retry("unit.begin", crowded))?;
        let connection = self.shared.units.get().await.map_err(away("unit.begin"))?;
        Ok(PostgresUnit::over(Arc::clone(&self.shared), connection))
    }

    /// Brings the tables up to date; returns the version that they have then.
    ///
    /// # Errors
    /// [`ConnectError::Newer`] for a database of a newer version, [`ConnectError::Unusable`] if a step fails.
    pub async fn migrate(&self) -> Result<u32, ConnectError> {
        schema::migrate::<R>(&self.shared.server, self.shared.owner).await
    }

    /// The version of the tables.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn schema_version(&self) -> Result<u32, Fault> {
        let connection = self.reader("schema.version").await?;
        schema::version::<R>(&connection, &connection.patience).await
    }

    /// Which database this is, wherever its server is: it was drawn when its tables were made.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn database_id(&self) -> Result<Uuid, Fault> {
        const OPERATION: &str = "identity.read";
        let connection = self.reader(OPERATION).await?;
        let rows = query(&connection, OPERATION, "select database_id from identity", &[]).await?;
        let id = rows.first().map(|row| row.try_get::<_, Uuid>(0));
        let id = id.ok_or_else(|| Fault::give_up(OPERATION, "the table 'identity' is empty"))?;
        id.map_err(fault(OPERATION, Taken::GiveUp))
    }

    /// Other processes that work on the same database at this moment.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn other_workers(&self) -> Result<usize, Fault> {
        const OPERATION: &str = "instances.count";
        let connection = self.reader(OPERATION).await?;
        let alive = concat!(
            "select count(*) from instances where instance_id <> $1 and alive_until >= ",
            server_now!()
        );
        let rows = query(&connection, OPERATION, alive, &[Box::new(self.shared.instance)]).await?;
        Ok(rows.first().map_or(0, |row| usize::try_from(row.get::<_, i64>(0)).unwrap_or(0)))
    }

    /// Whether no other living process has worked here for longer: what only one of them need do is this one's to do.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn is_eldest(&self) -> Result<bool, Fault> {
        const OPERATION: &str = "instances.eldest";
        let connection = self.reader(OPERATION).await?;
        let eldest = concat!(
            "select instance_id = $1 from instances where alive_until >= ",
            server_now!(),
            " order by started_at, instance_id limit 1"
        );
        let rows = query(&connection, OPERATION, eldest, &[Box::new(self.shared.instance)]).await?;
        Ok(rows.first().is_none_or(|row| row.get(0)))
    }

    /// Told whenever a message is on its way to a broker.
    #[must_use]
    pub fn outgoing(&self) -> Arc<Notify> {
        self.shared.queues.get(NO_QUEUE).map(|queue| Arc::clone(&queue.woken)).unwrap_or_default()
    }

    /// Gives up every claim of this process, so that others need not wait until it is missed. Dropping the last clone does
    /// the same in the background.
    pub async fn close(self) {
        self.shared.stop.stop();
        let keeper = lock(&self.keeper).take();
        if let Some(keeper) = keeper
            && let Err(error) = keeper.await
        {
            tracing::warn!(%error, "the claims of this process are left to end by themselves");
        }
    }

    /// Runs one statement that stands for itself.
    ///
    /// # Errors
    /// Those of the store, under the name of this operation.
    pub async fn run_alone(&self, operation: &'static str, act: Act) -> Result<Vec<Row>, Fault> {
        self.shared.run_alone(operation, act).await
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// [`bus::Verdict::Retry`] while the server is away or too many others read.
    pub async fn reader(&self, operation: &'static str) -> Result<Lent, Fault> {
        self.shared.readers.get().await.map_err(away(operation))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl<R: Rows> Store<PostgresUnit<R>> for PostgresBus<R> {
    async fn begin(&self) -> Result<Box<PostgresUnit<R>>, Fault> {
        Ok(Box::new(self.unit().await?))
    }
}

#[async_trait]
impl<R: Rows> Transport for PostgresBus<R> {
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault> {
        match self.shared.queues.get(queue).filter(|queue| *queue.name != *NO_QUEUE) {
            Some(queue) => Ok(Box::new(PostgresFeed::join(Arc::clone(&self.shared), Arc::clone(queue)))),
            None => Err(Fault::give_up("transport.subscribe", format!("no queue is called '{queue}'"))),
        }
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        let mut unit = self.unit().await?;
        unit.publish(envelopes.to_vec()).await?;
        Ok(Box::new(unit).commit().await?)
    }
}
