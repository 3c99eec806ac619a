//! The processes under chaos: a provider that lives through it, and workers and a database server that do not.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::{Engine, Plan};
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

/// How often what was killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kills {
    pub(super) workers: u32,
    pub(super) server: u32,
    /// Workers that were asked to stop, and did.
    pub(super) stopped: u32,
}

impl Kills {
    /// All of them.
    pub(super) const fn all(self) -> u32 {
        self.workers + self.server + self.stopped
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
    server: Option<Postgres>,
    kills: Kills,
}

/// One life after the other of the same worker.
struct Worker {
    args: Vec<String>,
    log: PathBuf,
    process: Child,
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
        let server = match plan.engine {
            Engine::Sqlite => None,
            Engine::Postgres { .. } => Some(Postgres::start(Durability::Fsync)?),
        };
        let database = match &server {
            None => folder.path("chaos.db").display().to_string(),
            Some(server) => server.database()?,
        };
        let mut workers = Vec::new();
        for (number, address) in service_addrs.iter().enumerate() {
            let args = worker_args(&folder.path("chaos.toml"), &database, address, &provider_addr);
            let log = folder.path(&format!("worker-{number}.log"));
            let process = spawn(&plan.program, &args, &log).await?;
            workers.push(Worker { args, log, process });
        }
        let (program, kills) = (plan.program.clone(), Kills::default());
        Ok(Self { service_addrs, provider_addr, program, workers, provider, server, kills })
    }

    /// What was killed so far.
    pub(super) const fn kills(&self) -> Kills {
        self.kills
    }

    /// `kill -9`, and a new life on the same rows.
    pub(super) async fn kill_worker_and_restart(&mut self, victim: usize) -> Result<()> {
        self.nobody_fell()?;
        let worker = &mut self.workers[victim];
        worker.process.kill().await?;
        self.kills.workers += 1;
        worker.process = spawn(&self.program, &worker.args, &worker.log).await?;
        Ok(())
    }

    /// A polite stop in the middle of everything, as for an upgrade, and a new life on the same rows.
    pub(super) async fn stop_worker_and_restart(&mut self, chosen: usize) -> Result<()> {
        self.nobody_fell()?;
        let worker = &mut self.workers[chosen];
        let pid = worker.process.id().context("a worker that has not fallen has an id")?;
        let told = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        ensure!(told.success(), "worker {chosen} cannot be told to stop");
        let ended = tokio::time::timeout(STOP_LIMIT, worker.process.wait()).await;
        let ended = ended.context("a worker did not stop in time")??;
        ensure!(ended.success(), "a worker that was told to stop ended with {ended}");
        self.kills.stopped += 1;
        worker.process = spawn(&self.program, &worker.args, &worker.log).await?;
        Ok(())
    }

    /// The database server goes as by a loss of power, recovers, and the workers have to live with it.
    pub(super) fn kill_server_and_restart(&mut self) -> Result<()> {
        self.nobody_fell()?;
        let server = self.server.as_mut().context("there is a server only if one was asked for")?;
        tokio::task::block_in_place(|| server.restart())?;
        self.kills.server += 1;
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

fn provider_args(address: &str, service_addr: &str, seed: u64) -> Vec<String> {
    let webhooks = format!("http://{service_addr}/webhooks");
    let seed = seed.to_string();
    let quick = ["--delivery-min-ms", "5", "--delivery-max-ms", "200"];
    let args =
        ["sandbox", "--listen", address, "--webhook-url", &webhooks, "--seed", &seed, "--faults", FAULTS];
    args.into_iter().chain(quick).map(str::to_owned).collect()
}

fn worker_args(config: &Path, database: &str, address: &str, provider_addr: &str) -> Vec<String> {
    let provider = format!("http://{provider_addr}");
    let config = config.display().to_string();
    let places = ["serve", "--config", &config, "--database", database, "--listen", address];
    let providers = ["--payment-url", &provider, "--shipping-url", &provider];
    places.into_iter().chain(providers).map(str::to_owned).collect()
}

async fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.to_string())
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
