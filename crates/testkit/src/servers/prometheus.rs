//! A private Prometheus: on a free port of loopback, with its data in a folder that goes with it; and its tool that checks
//! metrics and rules.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::guard::{Ends, Guard};
use super::log::await_word;
use super::programs;

/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Tells the folders of one process apart.
static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A running Prometheus. It dies with this value.
#[derive(Debug)]
pub struct Prometheus {
    folder: PathBuf,
    addr: SocketAddr,
    process: Child,
    _guard: Guard,
}

impl Prometheus {
    /// Starts one that scrapes these addresses every 200 ms, as the job `orderwright`, and minds these rules.
    ///
    /// # Errors
    /// Says what to install if there is no program; otherwise what the program said.
    pub fn scraping(targets: &[SocketAddr], rules: &Path) -> Result<Self> {
        let programs = programs::prometheus()?;
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("orderwright-prometheus-{}-{number}", std::process::id()));
        let guard = Guard::over(&folder, Ends::Killed)?;
        fs::create_dir_all(&folder).context("making the folder of Prometheus")?;
        let file = folder.join("prometheus.yml");
        fs::write(&file, configuration(targets, rules)).context("writing the settings of Prometheus")?;
        let free = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
        let addr = free.local_addr().context("asking for the port found")?;
        drop(free);
        let mut command = Command::new(programs.server);
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address={addr}"));
        command.process_group(guard.group());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().context("starting prometheus")?;
        let log = process.stderr.take().context("its log is piped")?;
        if let Err(said) = await_word(log, "Server is ready to receive web requests") {
            let _ = process.wait();
            bail!("Prometheus does not start:\n{}", said.join("\n"));
        }
        Ok(Self { folder, addr, process, _guard: guard })
    }

    /// What it answers to a query of PromQL, as JSON.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn query(&self, query: &str) -> Result<serde_json::Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.get(&format!("/api/v1/query?query={encoded}"))
    }

    /// What it answers under this path of its API, as JSON.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn get(&self, path: &str) -> Result<serde_json::Value> {
        serde_json::from_str(&get(self.addr, path)?).context("an answer in JSON")
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs `promtool` with these arguments on this input; returns what it says if it is content.
///
/// # Errors
/// Says what to install if there is no program; otherwise what it complains of.
pub fn promtool(arguments: &[&str], input: &str) -> Result<String> {
    let mut command = Command::new(programs::prometheus()?.tool);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().context("starting promtool")?;
    process.stdin.take().context("its input is piped")?.write_all(input.as_bytes()).context("its input")?;
    let output = process.wait_with_output().context("waiting for promtool")?;
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    ensure!(output.status.success(), "promtool {arguments:?}: {said}");
    Ok(said)
}

/// The body of what a server on loopback answers with 200 to a plain GET.
///
/// # Errors
/// If it does not answer, or otherwise.
pub fn get(addr: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, ANSWER_MAX).context("connecting")?;
    stream.set_read_timeout(Some(ANSWER_MAX)).context("limiting the wait")?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {addr}\r\n\r\n").context("asking")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("reading the answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer of HTTP")?;
    ensure!(head.split_whitespace().nth(1) == Some("200"), "{path}: {head}\n{body}");
    Ok(body.to_owned())
}

fn configuration(targets: &[SocketAddr], rules: &Path) -> String {
    let targets: Vec<String> = targets.iter().map(|target| format!("'{target}'")).collect();
    format!(
        "global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}\n\
         rule_files: ['{}']\n\
         scrape_configs: [{{job_name: orderwright, static_configs: [{{targets: [{}]}}]}}]\n",
        rules.display(),
        targets.join(", ")
    )
}
