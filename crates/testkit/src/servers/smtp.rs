//! A private mail server (aiosmtpd) on loopback, which takes every mail and keeps it in a folder that goes with it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

use super::guard::{Ends, Guard};
use super::log::await_word;
use super::programs;

/// A running mail server. It dies with this value.
#[derive(Debug)]
pub struct Smtp {
    folder: PathBuf,
    port: u16,
    process: Child,
    _guard: Guard,
}

/// Tells the folders of one process apart.
static FOLDERS: AtomicU32 = AtomicU32::new(0);

impl Smtp {
    /// Starts a fresh server.
    ///
    /// # Errors
    /// Says what to install if there is none; otherwise what it said.
    pub fn start() -> Result<Self> {
        let python = programs::smtp()?;
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("orderwright-smtp-{}-{number}", std::process::id()));
        let guard = Guard::over(&folder, Ends::Killed)?;
        fs::create_dir_all(&folder).context("making the mail server's folder")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(python);
        command.args(["-m", "aiosmtpd", "-n", "-d", "-l", &format!("127.0.0.1:{port}")]);
        command.args(["-c", "aiosmtpd.handlers.Mailbox"]).arg(folder.join("mails"));
        command.process_group(guard.group());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().context("starting the mail server")?;
        let log = process.stderr.take().context("the mail server's log is piped")?;
        if let Err(said) = await_word(log, "is listening") {
            let _ = process.wait();
            bail!("the mail server ended:\n{}", said.join("\n"));
        }
        Ok(Self { folder, port, process, _guard: guard })
    }

    /// Where it listens, on loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Every mail that it has taken, whole.
    ///
    /// # Errors
    /// If its folder cannot be read.
    pub fn mails(&self) -> Result<Vec<String>> {
        let folder = self.folder.join("mails/new");
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let read = |entry: std::io::Result<fs::DirEntry>| Ok(fs::read_to_string(entry?.path())?);
        fs::read_dir(folder)?.map(read).collect()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
