//! The processes that a measurement starts and stops: the workers and the provider, each on its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::{Plan, WORKERS_MAX};
use crate::config::{Config, Overrides};

/// How long a process may take to say that it is ready.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// How long it may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Names of the workers in a report.
const WORKERS: [&str; WORKERS_MAX] =
    ["service", "service 2", "service 3", "service 4", "service 5", "service 6", "service 7", "service 8"];

/// With this they stop when we do, however we end: we hold the other end of their standard input.
const WITH_US: &str = "--until-stdin-ends";

/// The environment of every process.
const OURS: [&str; 2] = ["ORDERWRIGHT_DATABASE", "ORDERWRIGHT_BROKER"];

/// All processes, killed when dropped.
pub(super) struct Children {
    /// Where each worker listens.
    pub(super) service_addrs: Vec<String>,
    /// Where the provider listens.
    pub(super) provider_addr: String,
    workers: Vec<Child>,
    provider: Child,
}

impl Children {
    pub(super) async fn start(config: &Config, plan: &Plan) -> Result<Self> {
        Self::start_with(config, plan, &[]).await
    }

    /// The same; the workers find these words in their environment as well.
    pub(super) async fn start_with(config: &Config, plan: &Plan, words: &[(&str, String)]) -> Result<Self> {
        let folder = &plan.folder;
        let mut service_addrs = Vec::new();
        for _ in 0..plan.workers {
            service_addrs.push(free_address().await?);
        }
        let provider_addr = free_address().await?;
        let webhooks = format!("http://{}/webhooks", service_addrs[0]);
        let place = ["sandbox", WITH_US, "--listen", &provider_addr, "--webhook-url", &webhooks];
        let pace = ["--keys-max", "2000000", "--delivery-min-ms", "0", "--delivery-max-ms", "0"];
        let provider =
            spawn(&[&place[..], &pace[..]].concat(), config, &[], &folder.join("sandbox.log")).await?;
        let provider_url = format!("http://{provider_addr}");
        let mut workers = Vec::new();
        for (number, address) in service_addrs.iter().enumerate() {
            let providers = ["--payment-url", &provider_url, "--shipping-url", &provider_url];
            let serve = [&["serve", WITH_US, "--listen", address][..], &providers[..]].concat();
            let log = match number {
                0 => "service.log".to_owned(),
                _ => format!("service-{}.log", number + 1),
            };
            workers.push(spawn(&serve, config, words, &folder.join(log)).await?);
        }
        Ok(Self { service_addrs, provider_addr, workers, provider })
    }

    /// Process ids of the workers.
    pub(super) fn worker_pids(&self) -> Vec<u32> {
        self.workers.iter().filter_map(Child::id).collect()
    }

    /// Name and process id of each.
    pub(super) fn pids(&self) -> Vec<(&'static str, u32)> {
        let pid = |child: &Child| child.id().unwrap_or(0);
        let workers = WORKERS.iter().zip(&self.workers).map(|(name, worker)| (*name, pid(worker)));
        workers.chain([("sandbox", pid(&self.provider)), ("load", std::process::id())]).collect()
    }

    pub(super) async fn stop(&mut self) -> Result<()> {
        for child in self.workers.iter_mut().chain([&mut self.provider]) {
            let pid = child.id().context("the process has ended before it was told to")?;
            let told = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
            ensure!(told.success(), "process {pid} cannot be told to stop");
            tokio::time::timeout(STOP_LIMIT, child.wait())
                .await
                .context("a process did not stop in time")??;
        }
        Ok(())
    }
}

async fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.to_string())
}

/// Starts this very program and waits for its first line, which it prints when it is ready.
async fn spawn(args: &[&str], config: &Config, words: &[(&str, String)], log: &Path) -> Result<Child> {
    let program = std::env::current_exe()?;
    let errors = std::fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(program);
    let said: Vec<&str> = OURS.into_iter().chain(words.iter().map(|(name, _)| *name)).collect();
    for name in Overrides::rivals(&said) {
        command.env_remove(name);
    }
    let mut child = command
        .args(args)
        .env("RUST_LOG", "warn")
        // Other users can see arguments, and addresses may contain passwords.
        .env("ORDERWRIGHT_DATABASE", config.database.expose())
        .env("ORDERWRIGHT_BROKER", config.rabbitmq.addresses.expose())
        .envs(words.iter().map(|(name, word)| (*name, word.as_str())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()?;
    let out = child.stdout.take().context("its output is piped")?;
    let mut lines = BufReader::new(out).lines();
    let first = tokio::time::timeout(READY_LIMIT, lines.next_line())
        .await
        .context("a process did not get ready")??;
    first.with_context(|| {
        let last_words = std::fs::read_to_string(log).unwrap_or_default();
        format!("'{}' ended at once; see {}: {}", args[0], log.display(), last_words.trim_end())
    })?;
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(child)
}
