//! The processes of a run: the provider and the workers, each on its own. They end with this process, however that one ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use testkit::servers::Guard;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use worker::config::Overrides;

/// How long a process may take to say that it is ready.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// How long it may take to stop.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How often a worker is started again that ends at once because a server is away, and the pause before that.
const RESTARTS_MAX: u32 = 60;
const RESTART_PAUSE: Duration = Duration::from_millis(250);

/// How often a process is started whose port is taken, and how it says so.
const STARTS_MAX: u32 = 40;
const PORT_TAKEN: &str = "Address already in use";

/// How a process is started.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) args: Vec<String>,
    /// Settings in its environment. Other users can see arguments, and addresses may contain passwords.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Where it logs.
    pub(crate) log: PathBuf,
}

/// Where the processes listen, in all their lives.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) services: Vec<String>,
    pub(crate) provider: String,
}

/// All processes, killed when dropped.
pub(crate) struct Fleet {
    pub(crate) addresses: Addresses,
    launcher: Launcher,
    workers: Vec<Worker>,
    provider: Child,
}

/// One life after the other of the same worker.
struct Worker {
    launch: Launch,
    process: Child,
}

/// The program, and the group of processes that ends with this one.
pub(crate) struct Launcher {
    program: PathBuf,
    guard: Guard,
}

impl Addresses {
    /// Free ones.
    pub(crate) async fn free(workers: usize) -> Result<Self> {
        let mut services = Vec::new();
        for _ in 0..workers {
            services.push(free_address().await?);
        }
        Ok(Self { services, provider: free_address().await? })
    }

    /// The arguments of the provider, which reports to the first worker.
    pub(crate) fn provider_args(&self, more: &[&str]) -> Vec<String> {
        let webhooks = format!("http://{}/webhooks", self.services[0]);
        let own = ["sandbox", "--listen", &self.provider, "--webhook-url", &webhooks];
        own.iter().chain(more).map(|word| (*word).to_owned()).collect()
    }

    /// The arguments of a worker that listens at `address`.
    pub(crate) fn worker_args(&self, address: &str, more: &[&str]) -> Vec<String> {
        let provider = format!("http://{}", self.provider);
        let own = ["serve", "--listen", address, "--payment-url", &provider, "--shipping-url", &provider];
        own.iter().chain(more).map(|word| (*word).to_owned()).collect()
    }
}

pub(crate) async fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.to_string())
}

impl Fleet {
    /// Starts the provider, then the workers.
    pub(crate) async fn start(
        launcher: Launcher,
        addresses: Addresses,
        provider: &Launch,
        workers: Vec<Launch>,
    ) -> Result<Self> {
        let provider = launcher.start(provider).await?;
        let mut fleet = Self { addresses, launcher, workers: Vec::new(), provider };
        for launch in workers {
            let process = fleet.launcher.start(&launch).await?;
            fleet.workers.push(Worker { launch, process });
        }
        Ok(fleet)
    }

    pub(crate) const fn launcher(&self) -> &Launcher {
        &self.launcher
    }

    pub(crate) fn worker_pids(&self) -> Vec<u32> {
        self.workers.iter().filter_map(|worker| worker.process.id()).collect()
    }

    /// Name and process id of each, and of this process.
    pub(crate) fn pids(&self) -> Vec<(String, u32)> {
        let name = |number: usize| match number {
            0 => "service".to_owned(),
            _ => format!("service {}", number + 1),
        };
        let pid = |child: &Child| child.id().unwrap_or(0);
        let workers =
            self.workers.iter().enumerate().map(|(number, worker)| (name(number), pid(&worker.process)));
        let others = [("sandbox".to_owned(), pid(&self.provider)), ("load".to_owned(), std::process::id())];
        workers.chain(others).collect()
    }

    /// Kills a worker and starts it again.
    pub(crate) async fn kill_and_restart(&mut self, number: usize) -> Result<()> {
        self.workers[number].process.kill().await?;
        self.restart(number).await
    }

    /// Tells a worker to stop, and starts it again.
    pub(crate) async fn stop_and_restart(&mut self, number: usize) -> Result<()> {
        stop(&mut self.workers[number].process).await?;
        self.restart(number).await
    }

    /// As a supervisor of services does: again, if it ends because a server is away.
    async fn restart(&mut self, number: usize) -> Result<()> {
        let worker = &mut self.workers[number];
        let mut restarts = 0;
        worker.process = loop {
            match self.launcher.start(&worker.launch).await {
                Ok(process) => break process,
                Err(error) if restarts == RESTARTS_MAX => return Err(error),
                Err(_) => tokio::time::sleep(RESTART_PAUSE).await,
            }
            restarts += 1;
        };
        Ok(())
    }

    /// Fails if a worker has ended by itself.
    pub(crate) fn all_live(&mut self) -> Result<()> {
        for worker in &mut self.workers {
            if worker.process.try_wait()?.is_some() {
                bail!("a worker ended by itself; see its log:\n{}", said(&worker.launch.log));
            }
        }
        Ok(())
    }

    /// Tells every process to stop, and waits for it.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        for worker in &mut self.workers {
            stop(&mut worker.process).await?;
        }
        stop(&mut self.provider).await
    }
}

async fn stop(child: &mut Child) -> Result<()> {
    let pid = child.id().context("the process has ended before it was told to")?;
    let told = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
    ensure!(told.success(), "process {pid} cannot be told to stop");
    let ended = tokio::time::timeout(STOP_LIMIT, child.wait()).await;
    let ended = ended.context("a process did not stop in time")??;
    ensure!(ended.success(), "a process that was told to stop ended with {ended}");
    Ok(())
}

pub(crate) fn said(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default().trim_end().to_owned()
}

impl Launcher {
    pub(crate) fn new(program: &Path, guard: Guard) -> Self {
        Self { program: program.to_owned(), guard }
    }

    /// Starts the program and waits until it is ready. A connection of somebody else may have the port for a moment.
    async fn start(&self, launch: &Launch) -> Result<Child> {
        for _ in 1..STARTS_MAX {
            match self.start_once(launch).await {
                Err(_) if said(&launch.log).contains(PORT_TAKEN) => tokio::time::sleep(RESTART_PAUSE).await,
                started => return started,
            }
        }
        self.start_once(launch).await
    }

    /// Starts the program and waits for its first line, which it prints when it is ready.
    async fn start_once(&self, launch: &Launch) -> Result<Child> {
        let mut child = self.spawn(launch)?;
        let out = child.stdout.take().context("its output is piped")?;
        let mut lines = BufReader::new(out).lines();
        let first = tokio::time::timeout(READY_LIMIT, lines.next_line()).await;
        first.context("a process did not get ready")??.with_context(|| {
            let log = &launch.log;
            format!("'{}' ended at once; see {}: {}", launch.args[0], log.display(), said(log))
        })?;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(child)
    }

    pub(crate) fn spawn(&self, launch: &Launch) -> Result<Child> {
        let Launch { args, environment, log } = launch;
        let errors = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(&self.program);
        let names: Vec<&str> = environment.iter().map(|(name, _)| *name).collect();
        for rival in Overrides::rivals(&names) {
            command.env_remove(rival);
        }
        command
            .args(args)
            .env("RUST_LOG", "warn")
            .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
            .process_group(self.guard.group())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))
    }
}
