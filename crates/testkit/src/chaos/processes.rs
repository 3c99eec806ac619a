//! The processes under chaos: a provider that lives through it, workers and servers that do not, and the ways between them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::client::Client;
use super::mishap::{Happened, Mishap};
use super::{Carrier, Engine, Plan};
use crate::proxy::{Proxy, Weather};
use crate::servers::rabbitmq::RabbitMq;
use crate::servers::{Durability, Postgres};

/// How long a process may take to get ready.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// How long a worker may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Stage limits short enough that every timeout happens within a run.
const CONFIG: &str = "
[providers]
call_limit_ms = 400
[limits]
order_ms = 60000
payment_ms = 8000
shipping_ms = 8000
delivery_poll_ms = 1000
undo_ms = 30000
[pipeline]
call_retry_first_ms = 50
undo_retry_first_ms = 100
undo_retries_max = 12
[postgres]
lease_ms = 2000
";

/// What the first worker beside a broker has in its place: so few connections that its units of work always wait for one.
const FEW_CONNECTIONS: &str = "lease_ms = 2000\npool_max = 2\nreaders_max = 1\n";

/// How often a worker is started again that ends at once because a server is away.
const STARTS_MAX: u32 = 60;

/// The pause before that.
const START_PAUSE: Duration = Duration::from_millis(250);

/// What the provider does wrong.
const FAULTS: &str = r#"{
    "payments": {"decline_permille": 30, "server_error_permille": 30, "throttle_permille": 20, "hang_permille": 15,
                 "lose_response_permille": 30, "hang_ms": 900, "latency_ms": [0, 20]},
    "refunds": {"server_error_permille": 100, "lose_response_permille": 50, "latency_ms": [0, 10]},
    "shipping": {"decline_permille": 15, "server_error_permille": 30, "lose_response_permille": 30, "hang_permille": 10,
                 "hang_ms": 900, "latency_ms": [0, 20]},
    "shipping_cancels": {"server_error_permille": 100},
    "webhooks": {"duplicate_permille": 100, "reorder_permille": 100, "drop_permille": 20, "delay_ms": [0, 50]}
}"#;

/// A folder of our own, removed with its contents.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Result<Self> {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("orderwright-chaos-{}-{}", std::process::id(), FOLDERS.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("chaos.toml"), CONFIG)?;
        let few = CONFIG.replace("lease_ms = 2000\n", FEW_CONNECTIONS);
        std::fs::write(folder.join("few-connections.toml"), few)?;
        Ok(Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}

/// All processes, killed when dropped.
pub(super) struct Processes {
    /// Where each worker listens, each time it lives.
    pub(super) service_addrs: Vec<String>,
    /// Where the provider listens.
    pub(super) provider_addr: String,
    program: PathBuf,
    workers: Vec<Worker>,
    provider: Child,
    servers: Servers,
    happened: Happened,
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
    database: Option<Postgres>,
    broker: Option<RabbitMq>,
}

impl Processes {
    pub(super) async fn start(plan: &Plan, folder: &Folder) -> Result<Self> {
        let mut service_addrs = Vec::new();
        for _ in 0..plan.engine.workers() {
            service_addrs.push(free_address().await?);
        }
        let provider_addr = free_address().await?;
        let provider_args = provider_args(&provider_addr, &service_addrs[0], plan.seed);
        let provider = spawn(&plan.program, &provider_args, &folder.path("provider.log")).await?;
        let servers = tokio::task::block_in_place(|| Servers::start(plan))?;
        let database = match &servers.database {
            None => folder.path("chaos.db").display().to_string(),
            Some(server) => server.database()?,
        };
        let broker = servers.broker.as_ref().map(RabbitMq::vhost).transpose()?;
        let mut workers = Vec::new();
        for (number, address) in service_addrs.iter().enumerate() {
            let config = match (plan.carrier, number) {
                (Carrier::RabbitMq, 0) => folder.path("few-connections.toml"),
                (Carrier::RabbitMq | Carrier::Store, _) => folder.path("chaos.toml"),
            };
            let (ways, places) = Ways::to(&database, broker.as_deref()).await?;
            let args = worker_args(&config, &places, address, &provider_addr);
            let log = folder.path(&format!("worker-{number}.log"));
            let process = start(&plan.program, &args, &log).await?;
            workers.push(Worker { args, log, process, ways });
        }
        let (program, happened) = (plan.program.clone(), Happened::default());
        Ok(Self { service_addrs, provider_addr, program, workers, provider, servers, happened })
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
                let server = self.servers.database.as_mut().context("there is a server")?;
                tokio::task::block_in_place(|| server.restart())?;
            }
            Mishap::BrokerKilled => {
                let broker = self.servers.broker.as_mut().context("there is a broker")?;
                tokio::task::block_in_place(|| broker.restart())?;
            }
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
        }
        self.happened.note(mishap);
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
        worker.process = start(&self.program, &worker.args, &worker.log).await?;
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
            Engine::Postgres { .. } => Some(Postgres::start(Durability::Fsync)?),
        };
        let broker = match plan.carrier {
            Carrier::Store => None,
            Carrier::RabbitMq => Some(RabbitMq::start()?),
        };
        Ok(Self { database, broker })
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

fn provider_args(address: &str, service_addr: &str, seed: u64) -> Vec<String> {
    let webhooks = format!("http://{service_addr}/webhooks");
    let seed = seed.to_string();
    let quick = ["--delivery-min-ms", "5", "--delivery-max-ms", "200"];
    let args =
        ["sandbox", "--listen", address, "--webhook-url", &webhooks, "--seed", &seed, "--faults", FAULTS];
    args.into_iter().chain(quick).map(str::to_owned).collect()
}

fn worker_args(config: &Path, places: &Places, address: &str, provider_addr: &str) -> Vec<String> {
    let provider = format!("http://{provider_addr}");
    let config = config.display().to_string();
    let own = ["serve", "--config", &config, "--listen", address];
    let providers = ["--payment-url", &provider, "--shipping-url", &provider];
    own.into_iter().chain(providers).map(str::to_owned).chain(places.iter().cloned()).collect()
}

async fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.to_string())
}

/// Starts a worker as whoever runs services does: again, should it end because a server is away.
async fn start(program: &Path, args: &[String], log: &Path) -> Result<Child> {
    let mut ended = None;
    for _ in 0..STARTS_MAX {
        match spawn(program, args, log).await {
            Ok(child) => return Ok(child),
            Err(error) => ended = Some(error),
        }
        tokio::time::sleep(START_PAUSE).await;
    }
    Err(ended.context("a worker is started at least once")?)
}

/// Starts the program and waits for its first line, which it prints when it is ready.
async fn spawn(program: &Path, args: &[String], log: &Path) -> Result<Child> {
    let errors = std::fs::File::create(log)?;
    let mut child = Command::new(program)
        .args(args)
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped())
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let out = child.stdout.take().context("its output is piped")?;
    let mut lines = BufReader::new(out).lines();
    let first =
        tokio::time::timeout(READY_LIMIT, lines.next_line()).await.context("it did not get ready")??;
    if first.is_none() {
        bail!("it ended at once:\n{}", std::fs::read_to_string(log).unwrap_or_default());
    }
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(child)
}
