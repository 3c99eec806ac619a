//! The processes under chaos: a provider that lives through it, workers and servers that do not, and the ways between them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use hyper::Method;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use testkit::proxy::{Proxy, Weather};
use testkit::servers::rabbitmq::RabbitMq;
use testkit::servers::{Durability, Guard, Postgres};

use super::folder::Folder;
use super::mishap::{Happened, Mishap};
use super::{Carrier, Engine, GOODS, LOOK, Plan};
use crate::client::Client;
use crate::fleet::{Addresses, Fleet, Launch, Launcher, STOP_LIMIT, free_address, said};

/// What the provider does wrong.
const FAULTS: &str = r#"{
    "payments": {"decline_permille": 30, "server_error_permille": 30, "throttle_permille": 20, "hang_permille": 15,
                 "lose_response_permille": 30, "other_amount_permille": 60, "hang_ms": 900, "latency_ms": [0, 20]},
    "refunds": {"server_error_permille": 100, "lose_response_permille": 50, "latency_ms": [0, 10]},
    "shipping": {"decline_permille": 15, "server_error_permille": 30, "lose_response_permille": 30, "hang_permille": 10,
                 "hang_ms": 900, "latency_ms": [0, 20]},
    "shipping_cancels": {"server_error_permille": 100},
    "webhooks": {"duplicate_permille": 100, "reorder_permille": 100, "drop_permille": 20, "delay_ms": [0, 50]}
}"#;

/// A table that every unit of work writes to.
const SHARED_TABLE: &str = "outbox";

/// Connections of the smallest pool.
const POOL_MIN: u32 = 2;

/// How often the table is held, should too few have wanted it.
const HOLDS_MAX: u32 = 10;

/// All processes, killed when dropped.
pub(crate) struct Processes {
    fleet: Fleet,
    ways: Vec<Ways>,
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
    /// The log of a worker on that one.
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

/// A worker's ways to its servers, as far as something can happen on them.
#[derive(Default)]
struct Ways {
    database: Option<Proxy>,
    broker: Option<Proxy>,
}

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
    pub(crate) async fn start(plan: &Plan, folder: &Folder, guard: Guard) -> Result<Self> {
        let addresses = Addresses::free(plan.engine.workers()).await?;
        let seed = plan.seed.to_string();
        let faults =
            ["--seed", &seed, "--faults", FAULTS, "--delivery-min-ms", "5", "--delivery-max-ms", "200"];
        let provider = launch(addresses.provider_args(&faults), folder.path("provider.log"));
        let servers = tokio::task::block_in_place(|| Servers::start(plan))?;
        let files = Files::of(plan, folder);
        let database = match (&servers.database, &files.database) {
            (Some(database), _) => database.server.address(&database.name),
            (None, file) => file.as_ref().context("without a server it is a file")?.display().to_string(),
        };
        let broker = servers.broker.as_ref().map(|broker| broker.address.as_str());
        let (mut ways, mut workers) = (Vec::new(), Vec::new());
        for (number, address) in addresses.services.iter().enumerate() {
            let config = match (plan.carrier, number) {
                (Carrier::RabbitMq, 0) => folder.path("few-connections.toml"),
                (Carrier::RabbitMq | Carrier::Store, _) => folder.path("chaos.toml"),
            };
            let (own_ways, places) = Ways::to(&database, broker).await?;
            let config = ["--config".to_owned(), config.display().to_string()];
            let more: Vec<&str> = config.iter().chain(&places).map(String::as_str).collect();
            let log = folder.path(&format!("worker-{number}.log"));
            workers.push(launch(addresses.worker_args(address, &more), log));
            ways.push(own_ways);
        }
        let launcher = Launcher::new(&plan.program, guard);
        let fleet = Fleet::start(launcher, addresses, &provider, workers).await?;
        Ok(Self { fleet, ways, servers, files, happened: Happened::default() })
    }

    pub(crate) const fn addresses(&self) -> &Addresses {
        &self.fleet.addresses
    }

    pub(crate) fn happened(&self) -> Happened {
        self.happened.clone()
    }

    /// Fails if a worker has ended by itself.
    pub(crate) fn all_live(&mut self) -> Result<()> {
        self.fleet.all_live()
    }

    /// Does it: to the worker `chosen`, if it is done to a worker, and for `time`, if it passes by itself.
    pub(crate) async fn strike(&mut self, mishap: Mishap, chosen: usize, time: Duration) -> Result<()> {
        self.all_live()?;
        let ways = &self.ways[chosen];
        match mishap {
            Mishap::WorkerKilled => self.fleet.kill_and_restart(chosen).await?,
            Mishap::WorkerStopped => self.fleet.stop_and_restart(chosen).await?,
            Mishap::DatabaseKilled => {
                let database = self.servers.database.as_mut().context("there is a server")?;
                tokio::task::block_in_place(|| database.server.restart())?;
            }
            Mishap::BrokerKilled => {
                let broker = self.servers.broker.as_mut().context("there is a broker")?;
                tokio::task::block_in_place(|| broker.node.restart())?;
            }
            Mishap::QuorumLost => {
                let Broker { node, address } = self.broker()?;
                tokio::task::block_in_place(|| node.lose_quorum(address))?;
                tokio::time::sleep(time).await;
                tokio::task::block_in_place(|| node.find_quorum(address))?;
            }
            Mishap::QueuesDeleted => {
                let Broker { node, address } = self.broker()?;
                tokio::task::block_in_place(|| node.delete_queues(address))?;
            }
            Mishap::MessagesLost => {
                let Broker { node, address } = self.broker()?;
                tokio::task::block_in_place(|| node.lose_messages(address))?;
            }
            Mishap::SecondDatabase => self.start_on_another_database().await?,
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
    pub(crate) fn heal(&mut self) -> Result<()> {
        self.all_live()?;
        let ways = self.ways.iter().flat_map(|ways| [&ways.database, &ways.broker]);
        ways.flatten().for_each(|way| way.set(Weather::Fair));
        Ok(())
    }

    fn broker(&self) -> Result<&Broker> {
        self.servers.broker.as_ref().context("there is a broker")
    }

    /// A worker with another database finds out that the virtual host is not its own before it does anything.
    async fn start_on_another_database(&self) -> Result<()> {
        let Files { second, second_log, config, .. } = &self.files;
        let (config, second) = (config.display().to_string(), second.display().to_string());
        let places = ["--config", &config, "--database", &second, "--broker", &self.broker()?.address];
        let args = self.addresses().worker_args(&free_address().await?, &places);
        let mut stranger = self.fleet.launcher().spawn(&launch(args, second_log.clone()))?;
        let ended = tokio::time::timeout(STOP_LIMIT, stranger.wait()).await;
        let ended = ended.context("a worker of another database works on our virtual host")??;
        let said = said(second_log);
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
        let noticed = intruded_upon(&Client::new(&self.addresses().services[chosen])).await;
        std::fs::rename(&self.files.aside, file).context("putting the database back")?;
        noticed?;
        self.fleet.kill_and_restart(chosen).await
    }

    async fn gateway(&self, availability: &str) -> Result<()> {
        let pause = serde_json::json!({ "payments": availability });
        Client::new(&self.addresses().provider).post("/pause", &pause).await.map(drop)
    }
}

/// Only errors are logged: the provider's faults alone would fill a log with warnings.
fn launch(args: Vec<String>, log: PathBuf) -> Launch {
    Launch { args, environment: vec![("RUST_LOG", "error".to_owned())], log }
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
    let order = GOODS.order(0, &mut SmallRng::seed_from_u64(0));
    let answer = service.call(Method::POST, "/orders", Some("while-the-file-is-another"), order).await;
    let reply = answer.context("a service whose file is gone still answers")?;
    let (status, body) = (reply.status, reply.json()?);
    ensure!(status.is_server_error(), "an order was answered {status} while the file was another: {body}");
    let down = async {
        loop {
            let health = service.call(Method::GET, "/health", None, Bytes::new()).await;
            if health.and_then(|reply| reply.json()).is_ok_and(|health| health["status"] == "down") {
                return;
            }
            tokio::time::sleep(LOOK).await;
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
            if self.server.hold_table(&self.name, SHARED_TABLE, time)? >= POOL_MIN {
                return Ok(());
            }
        }
        bail!("hardly any unit wanted the database while its table {SHARED_TABLE} was held")
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
