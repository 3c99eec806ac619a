//! How the program is started: as a provider and as workers, with what configuration, and in a folder that goes with them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::servers::{Ends, Guard};

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

/// A folder of our own, removed with its contents; should this process not live to do so, it goes all the same, with everybody
/// in the group.
pub(super) struct Folder {
    path: PathBuf,
    guard: Guard,
}

impl Folder {
    pub(super) fn new() -> Result<Self> {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("orderwright-chaos-{}-{}", std::process::id(), FOLDERS.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        let guard = Guard::over(&folder, Ends::Killed)?;
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("chaos.toml"), CONFIG)?;
        let few = CONFIG.replace("lease_ms = 2000\n", FEW_CONNECTIONS);
        std::fs::write(folder.join("few-connections.toml"), few)?;
        Ok(Self { path: folder, guard })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The group that everybody who works here has to be in.
    pub(super) fn group(&self) -> i32 {
        self.guard.group()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            eprintln!("{} is left behind: {error}", self.path.display());
        }
    }
}

pub(super) fn provider_args(address: &str, service_addr: &str, seed: u64) -> Vec<String> {
    let webhooks = format!("http://{service_addr}/webhooks");
    let seed = seed.to_string();
    let quick = ["--delivery-min-ms", "5", "--delivery-max-ms", "200"];
    let args =
        ["sandbox", "--listen", address, "--webhook-url", &webhooks, "--seed", &seed, "--faults", FAULTS];
    args.into_iter().chain(quick).map(str::to_owned).collect()
}

pub(super) fn worker_args(
    config: &Path,
    places: &[String],
    address: &str,
    provider_addr: &str,
) -> Vec<String> {
    let provider = format!("http://{provider_addr}");
    let config = config.display().to_string();
    let own = ["serve", "--config", &config, "--listen", address];
    let providers = ["--payment-url", &provider, "--shipping-url", &provider];
    own.into_iter().chain(providers).map(str::to_owned).chain(places.iter().cloned()).collect()
}

pub(super) async fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.to_string())
}

/// Starts a worker as whoever runs services does: again, should it end because a server is away.
pub(super) async fn start(program: &Path, args: &[String], log: &Path, group: i32) -> Result<Child> {
    let mut ended = None;
    for _ in 0..STARTS_MAX {
        let mut child = spawn(program, args, log, group)?;
        match ready(&mut child, log).await {
            Ok(()) => return Ok(child),
            Err(error) => ended = Some(error),
        }
        tokio::time::sleep(START_PAUSE).await;
    }
    Err(ended.context("a worker is started at least once")?)
}

/// Starts the program.
pub(super) fn spawn(program: &Path, args: &[String], log: &Path, group: i32) -> Result<Child> {
    Command::new(program)
        .args(args)
        .env("RUST_LOG", "error")
        .process_group(group)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(log)?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}

/// Waits for its first line, which it prints when it is ready.
pub(super) async fn ready(child: &mut Child, log: &Path) -> Result<()> {
    let out = child.stdout.take().context("its output is piped")?;
    let mut lines = BufReader::new(out).lines();
    let first =
        tokio::time::timeout(READY_LIMIT, lines.next_line()).await.context("it did not get ready")??;
    if first.is_none() {
        bail!("it ended at once:\n{}", std::fs::read_to_string(log).unwrap_or_default());
    }
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(())
}
