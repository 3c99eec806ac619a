//! The processes that a measurement starts and stops: the service and the provider, each on its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::config::Config;

/// How long a process may take to say that it is ready.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// How long it may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Both processes, killed when dropped.
pub(super) struct Children {
    /// Where the service listens.
    pub(super) service_addr: String,
    service: Child,
    provider: Child,
}

impl Children {
    pub(super) async fn start(config: &Config, folder: &Path) -> Result<Self> {
        let (service_addr, provider_addr) = (free_address().await?, free_address().await?);
        let webhooks = format!("http://{service_addr}/webhooks");
        let keys = "2000000";
        let provider = spawn(
            &[
                "sandbox",
                "--listen",
                &provider_addr,
                "--webhook-url",
                &webhooks,
                "--keys-max",
                keys,
                "--delivery-min-ms",
                "0",
                "--delivery-max-ms",
                "0",
            ],
            config,
            folder,
            "sandbox.log",
        )
        .await?;
        let provider_url = format!("http://{provider_addr}");
        let service = spawn(
            &[
                "serve",
                "--listen",
                &service_addr,
                "--payment-url",
                &provider_url,
                "--shipping-url",
                &provider_url,
            ],
            config,
            folder,
            "service.log",
        )
        .await?;
        Ok(Self { service_addr, service, provider })
    }

    /// Name and process id of each.
    pub(super) fn pids(&self) -> Vec<(&'static str, u32)> {
        let pid = |child: &Child| child.id().unwrap_or(0);
        vec![("service", pid(&self.service)), ("sandbox", pid(&self.provider)), ("load", std::process::id())]
    }

    pub(super) async fn stop(&mut self) -> Result<()> {
        for child in [&mut self.service, &mut self.provider] {
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
async fn spawn(args: &[&str], config: &Config, folder: &Path, log: &str) -> Result<Child> {
    let program = std::env::current_exe()?;
    let log = folder.join(log);
    let errors = std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut child = Command::new(program)
        .args(args)
        .env("RUST_LOG", "warn")
        // Arguments are for everybody to see, and the address may have a password in it.
        .env("ORDERWRIGHT_DATABASE", config.database.expose())
        .stdout(Stdio::piped())
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()?;
    let out = child.stdout.take().context("its output is piped")?;
    let mut lines = BufReader::new(out).lines();
    let first = tokio::time::timeout(READY_LIMIT, lines.next_line())
        .await
        .context("a process did not get ready")??;
    first.with_context(|| format!("'{}' ended at once; see {}", args[0], log.display()))?;
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(child)
}
