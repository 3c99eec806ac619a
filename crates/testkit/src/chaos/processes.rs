//! The processes under chaos: a provider that lives through it, workers and servers that do not, and the ways between them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use hyper::Method;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::process::{Child, Command};

use super::client::Client;
use super::mishap::{Happened, Mishap};
use super::program::{self, Folder};
use super::{Carrier, Engine, LOOK, Plan, load};
use crate::proxy::{Proxy, Weather};
use crate::servers::rabbitmq::RabbitMq;
use crate::servers::{Durability, Postgres};

/// How long a worker may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A table that every unit of work writes to.
const EVERYBODYS_TABLE: &str = "outbox";

/// Connections of the smallest pool.
const POOL_MIN: u32 = 2;

/// How often the table is held, should too few have wanted it.
const HOLDS_MAX: u32 = 10;

/// All processes, killed when dropped.
pub(super) struct Processes {
    /// Where each worker listens, each time it lives.
    pub(super) service_addrs: Vec<String>,
    /// Where the provider listens.
    pub(super) provider_addr: String,
    program: PathBuf,
    group: i32,
    workers: Vec<Worker>,
    provider: Child,
    servers: Servers,
    files: Files,
    happened: Happened,
}

/// What lies in the folder of this run.
struct Files {
    /// The database, if it is a file.
    database: Option<PathBuf>,
    /// Where that is meanwhile, when something else lies in its place.
    aside: PathBuf,
    /// A database that is not ours.
    second: PathBuf,
    /// What whoever works on that one says.
    second_log: PathBuf,
    config: PathBuf,
}

impl Files {
    fn of(plan: &Plan, folder: &Folder) -> Self {
        Self {
            database: (plan.engine == Engine::Sqlite).then(|| folder.path("chaos.db")),
            aside: folder.path("aside.db"),
            second: folder.path("second.db"),
            second_log: folder.path("second.log"),
            config: folder.path("chaos.toml"),
        }
    }
}

/// One life after the other of the same worker.
struct Worker {
    args: Vec<String>,
    log: PathBuf,
    process: Child,
    ways: Ways,
}

/// A worker's ways to its servers, as far as something can happen on them.
#[derive(Default)]
struct Ways {
    database: Option<Proxy>,
    broker: Option<Proxy>,
}

/// The servers of this run.
struct Servers {
    database: Option<Database>,
    broker: Option<Broker>,
}

/// A node and the virtual host on it.
struct Broker {
    node: RabbitMq,
    address: String,
}

/// A server and the database on it.
struct Database {
    server: Postgres,
    name: String,
}

impl Processes {
    pub(super) async fn start(plan: &Plan, folder: &Folder) -> Result<Self> {
        let mut service_addrs = Vec::new();
        for _ in 0..plan.engine.workers() {
            service_addrs.push(program::free_address().await?);
        }
        let provider_addr = program::free_address().await?;
        let provider_args = program::provider_args(&provider_addr, &service_addrs[0], plan.seed);
        let log = folder.path("provider.log");
        let group = folder.group();
        let mut provider = program::spawn(&plan.program, &provider_args, &log, group)?;
        program::ready(&mut provider, &log).await?;
        let servers = tokio::task::block_in_place(|| Servers::start(plan))?;
        let files = Files::of(plan, folder);
        let database = match (&servers.database, &files.database) {
            (Some(database), _) => database.server.address(&database.name),
            (None, file) => file.as_ref().context("without a server it is a file")?.display().to_string(),
        };
        let broker = servers.broker.as_ref().map(|broker| broker.address.as_str());
        let mut workers = Vec::new();
        for (number, address) in service_addrs.iter().enumerate() {
            let config = match (plan.carrier, number) {
                (Carrier::RabbitMq, 0) => folder.path("few-connections.toml"),
                (Carrier::RabbitMq | Carrier::Store, _) => folder.path("chaos.toml"),
            };
            let (ways, places) = Ways::to(&database, broker).await?;
            let args = program::worker_args(&config, &places, address, &provider_addr);
            let log = folder.path(&format!("worker-{number}.log"));
            let process = program::start(&plan.program, &args, &log, group).await?;
            workers.push(Worker { args, log, process, ways });
        }
        let (program, happened) = (plan.program.clone(), Happened::default());
        Ok(Self { service_addrs, provider_addr, program, group, workers, provider, servers, files, happened })
    }

    /// What was done so far.
    pub(super) fn happened(&self) -> Happened {
        self.happened.clone()
    }

    /// Does it: to the worker `chosen`, if it is done to a worker, and for `time`, if it passes by itself.
    pub(super) async fn strike(&mut self, mishap: Mishap, chosen: usize, time: Duration) -> Result<()> {
        self.nobody_fell()?;
        let ways = &self.workers[chosen].ways;
        match mishap {
            Mishap::WorkerKilled => {
                self.workers[chosen].process.kill().await?;
                self.start_again(chosen).await?;
            }
            Mishap::WorkerStopped => self.stop_and_restart(chosen).await?,
            Mishap::DatabaseKilled => {
                let database = self.servers.database.as_mut().context("there is a server")?;
                tokio::task::block_in_place(|| database.server.restart())?;
            }
            Mishap::BrokerKilled => {
                let broker = self.servers.broker.as_mut().context("there is a broker")?;
                tokio::task::block_in_place(|| broker.node.restart())?;
            }
            Mishap::QueuesDeleted => {
                let Broker { node, address } = self.broker()?;
                tokio::task::block_in_place(|| node.delete_queues(address))?;
            }
            Mishap::MessagesLost => {
                let Broker { node, address } = self.broker()?;
                tokio::task::block_in_place(|| node.lose_messages(address))?;
            }
            Mishap::SecondDatabase => self.start_a_stranger().await?,
            Mishap::FileReplaced => self.replace_the_file(chosen).await?,
            Mishap::DatabaseStalled => ways.database()?.set_for(Weather::Stalled, time),
            Mishap::DatabaseLost => ways.database()?.set_for(Weather::Swallowing, time),
            Mishap::DatabaseReset => ways.database()?.reset(),
            Mishap::BrokerStalled => ways.broker()?.set_for(Weather::Stalled, time),
            Mishap::BrokerLost => ways.broker()?.set_for(Weather::Swallowing, time),
            Mishap::BrokerReset => ways.broker()?.reset(),
            Mishap::GatewayHung => {
                self.gateway("hang").await?;
                tokio::time::sleep(time).await;
                self.gateway("up").await?;
            }
            Mishap::PoolFilled => {
                let database = self.servers.database.as_ref().context("there is a server")?;
                tokio::task::block_in_place(|| database.fill_pool(time))?;
            }
        }
        self.happened.note(mishap, chosen);
        Ok(())
    }

    /// Nothing more happens.
    pub(super) async fn heal(&mut self) -> Result<()> {
        self.nobody_fell()?;
        let ways = self.workers.iter().flat_map(|worker| [&worker.ways.database, &worker.ways.broker]);
        ways.flatten().for_each(|way| way.set(Weather::Fair));
        Ok(())
    }

    pub(super) async fn stop(mut self) -> Result<()> {
        self.nobody_fell()?;
        for worker in &mut self.workers {
            worker.process.kill().await?;
        }
        self.provider.kill().await?;
        Ok(())
    }

    async fn start_again(&mut self, chosen: usize) -> Result<()> {
        let worker = &mut self.workers[chosen];
        worker.process = program::start(&self.program, &worker.args, &worker.log, self.group).await?;
        Ok(())
    }

    async fn stop_and_restart(&mut self, chosen: usize) -> Result<()> {
        let worker = &mut self.workers[chosen];
        let pid = worker.process.id().context("a worker that has not fallen has an id")?;
        let told = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        ensure!(told.success(), "worker {chosen} cannot be told to stop");
        let ended = tokio::time::timeout(STOP_LIMIT, worker.process.wait()).await;
        let ended = ended.context("a worker did not stop in time")??;
        ensure!(ended.success(), "a worker that was told to stop ended with {ended}");
        self.start_again(chosen).await
    }

    fn broker(&self) -> Result<&Broker> {
        self.servers.broker.as_ref().context("there is a broker")
    }

    /// A worker with another database finds out whose virtual host it is before it does anything.
    async fn start_a_stranger(&self) -> Result<()> {
        let Files { second, second_log: log, config, .. } = &self.files;
        let places = ["--database", &second.display().to_string(), "--broker", &self.broker()?.address]
            .map(str::to_owned);
        let address = program::free_address().await?;
        let args = program::worker_args(config, &places, &address, &self.provider_addr);
        let mut stranger = program::spawn(&self.program, &args, log, self.group)?;
        let ended = tokio::time::timeout(STOP_LIMIT, stranger.wait()).await;
        let ended = ended.context("a worker of another database works on our virtual host")??;
        let said = std::fs::read_to_string(log).unwrap_or_default();
        ensure!(
            !ended.success() && said.contains("belongs to another database"),
            "a worker of another database ended with {ended} and said:\n{said}"
        );
        Ok(())
    }

    /// While another file lies in the place of ours, nothing is accepted and health is down. The worker that finds ours again
    /// goes on with it.
    async fn replace_the_file(&mut self, chosen: usize) -> Result<()> {
        let file = self.files.database.as_ref().context("the database is a file")?;
        std::fs::rename(file, &self.files.aside).context("moving the database away")?;
        std::fs::copy(&self.files.aside, file).context("putting another one in its place")?;
        let noticed = intruded_upon(&Client::new(&self.service_addrs[chosen])).await;
        std::fs::rename(&self.files.aside, file).context("putting the database back")?;
        noticed?;
        self.workers[chosen].process.kill().await?;
        self.start_again(chosen).await
    }

    async fn gateway(&self, availability: &str) -> Result<()> {
        let pause = serde_json::json!({ "payments": availability });
        Client::new(&self.provider_addr).post("/pause", &pause).await.map(drop)
    }

    fn nobody_fell(&mut self) -> Result<()> {
        for worker in &mut self.workers {
            if worker.process.try_wait()?.is_some() {
                let last_words = std::fs::read_to_string(&worker.log).unwrap_or_default();
                bail!("a worker fell by itself; see its log:\n{last_words}");
            }
        }
        Ok(())
    }
}

impl Servers {
    fn start(plan: &Plan) -> Result<Self> {
        let database = match plan.engine {
            Engine::Sqlite => None,
            Engine::Postgres { .. } => Some(Database::start()?),
        };
        let broker = match plan.carrier {
            Carrier::Store => None,
            Carrier::RabbitMq => Some(Broker::start()?),
        };
        Ok(Self { database, broker })
    }
}

impl Broker {
    fn start() -> Result<Self> {
        let node = RabbitMq::start()?;
        let address = node.vhost()?;
        Ok(Self { node, address })
    }
}

/// Waits until a service whose file is gone says so, and makes sure that it accepts nothing.
async fn intruded_upon(service: &Client) -> Result<()> {
    let order = load::order(&mut SmallRng::seed_from_u64(0)).to_string();
    let headers = [("idempotency-key", "while-the-file-is-another")];
    let answer = service.call(Method::POST, "/orders", &headers, Bytes::from(order)).await;
    let (status, body) = answer.context("a service whose file is gone still answers")?;
    ensure!(status.is_server_error(), "an order was answered {status} while the file was another: {body}");
    let down = async {
        loop {
            match service.call(Method::GET, "/health", &[], Bytes::new()).await {
                Ok((_, health)) if health["status"] == "down" => return,
                Ok(_) | Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    };
    tokio::time::timeout(STOP_LIMIT, down).await.context("health is not down while the file is another")
}

impl Database {
    fn start() -> Result<Self> {
        let server = Postgres::start(Durability::Fsync)?;
        let name = "chaos".to_owned();
        server.create(&name, "template0")?;
        Ok(Self { server, name })
    }

    /// Holds the table that every unit of work writes to, until as many connections as the smallest pool has wait for it.
    fn fill_pool(&self, time: Duration) -> Result<()> {
        for _ in 0..HOLDS_MAX {
            if self.server.hold_table(&self.name, EVERYBODYS_TABLE, time)? >= POOL_MIN {
                return Ok(());
            }
        }
        bail!("hardly anybody wanted the database while its table {EVERYBODYS_TABLE} was held")
    }
}

/// The flags that lead a worker to its servers.
type Places = Vec<String>;

impl Ways {
    /// With a broker everything goes through proxies; without one it is as direct as can be.
    async fn to(database: &str, broker: Option<&str>) -> Result<(Self, Places)> {
        let Some(broker) = broker else {
            return Ok((Self::default(), vec!["--database".to_owned(), database.to_owned()]));
        };
        let mut ways = Self::default();
        let mut database = database.to_owned();
        if database.starts_with("postgres://") {
            let (proxy, through) = Proxy::before(&database).await?;
            (ways.database, database) = (Some(proxy), through);
        }
        let (proxy, broker) = Proxy::before(broker).await?;
        ways.broker = Some(proxy);
        Ok((ways, ["--database", &database, "--broker", &broker].map(str::to_owned).into()))
    }

    fn database(&self) -> Result<&Proxy> {
        self.database.as_ref().context("there is a proxy before the database")
    }

    fn broker(&self) -> Result<&Proxy> {
        self.broker.as_ref().context("there is a proxy before the broker")
    }
}
