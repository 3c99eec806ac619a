//! The processes under chaos: a provider that lives through it, and a service that does not.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// How long a process may take to get ready.
const READY_LIMIT: Duration = Duration::from_secs(30);

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
        let folder = std::env::temp_dir().join(format!("orderwright-chaos-{}", std::process::id()));
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

/// Both processes, killed when dropped.
pub(super) struct Processes {
    /// Where the service listens, each time it lives.
    pub(super) service_addr: String,
    /// Where the provider listens.
    pub(super) provider_addr: String,
    /// How often the service was killed.
    pub(super) kills: u32,
    program: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    service: Child,
    provider: Child,
}

impl Processes {
    pub(super) async fn start(program: &Path, folder: &Folder, seed: u64) -> Result<Self> {
        let (service_addr, provider_addr) = (free_address().await?, free_address().await?);
        let provider_args = [
            "sandbox",
            "--listen",
            &provider_addr,
            "--webhook-url",
            &format!("http://{service_addr}/webhooks"),
            "--seed",
            &seed.to_string(),
            "--faults",
            FAULTS,
            "--delivery-min-ms",
            "5",
            "--delivery-max-ms",
            "200",
        ]
        .map(str::to_owned);
        let provider = spawn(program, &provider_args, &folder.path("provider.log")).await?;
        let provider_url = format!("http://{provider_addr}");
        let (config, database) = (folder.path("chaos.toml"), folder.path("chaos.db"));
        let args: Vec<String> = [
            "serve",
            "--config",
            &config.display().to_string(),
            "--database",
            &database.display().to_string(),
            "--listen",
            &service_addr,
            "--payment-url",
            &provider_url,
            "--shipping-url",
            &provider_url,
        ]
        .map(str::to_owned)
        .into();
        let log = folder.path("service.log");
        let service = spawn(program, &args, &log).await?;
        Ok(Self {
            service_addr,
            provider_addr,
            kills: 0,
            program: program.to_owned(),
            args,
            log,
            service,
            provider,
        })
    }

    /// `kill -9`, and a new life on the same file.
    pub(super) async fn kill_service_and_restart(&mut self) -> Result<()> {
        ensure!(
            self.service.try_wait()?.is_none(),
            "the service fell by itself; see its log:\n{}",
            self.last_words()
        );
        self.service.kill().await?;
        self.kills += 1;
        self.service = spawn(&self.program, &self.args, &self.log).await?;
        Ok(())
    }

    pub(super) async fn stop(mut self) -> Result<()> {
        self.service.kill().await?;
        self.provider.kill().await?;
        Ok(())
    }

    fn last_words(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
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
        anyhow::bail!("it ended at once:\n{}", std::fs::read_to_string(log).unwrap_or_default());
    }
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(child)
}
