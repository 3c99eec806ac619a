//! A private PgBouncer in front of a private PostgreSQL server, on loopback, with its settings in a folder that goes with it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

use super::guard::{Ends, Guard};
use super::log::await_word;
use super::postgres::Postgres;
use super::programs;

/// A running pooler. It dies with this value.
#[derive(Debug)]
pub struct PgBouncer {
    folder: PathBuf,
    port: u16,
    process: Child,
    _guard: Guard,
}

/// Tells the folders of one process apart.
static FOLDERS: AtomicU32 = AtomicU32::new(0);

impl PgBouncer {
    /// Starts one that lends the server's connections by this mode, with further settings, each as `name=value`.
    ///
    /// # Errors
    /// Says what to install if there is none; otherwise what it said.
    pub fn start(postgres: &Postgres, mode: &str, settings: &[&str]) -> Result<Self> {
        let program = programs::pgbouncer()?;
        let owner = if programs::is_root() { Some(programs::unprivileged()?) } else { None };
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("orderwright-pgbouncer-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let guard = Guard::over(&folder, Ends::Killed)?;
        fs::create_dir_all(&folder).context("making the pooler's folder")?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).context("opening the folder")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let file = folder.join("pgbouncer.ini");
        let (user, behind) = (Postgres::USER, postgres.port());
        let mut text = format!(
            "[databases]\n* = host=127.0.0.1 port={behind} user={user}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n"
        );
        settings.iter().for_each(|setting| text.extend([setting, "\n"]));
        fs::write(&file, text).context("writing the pooler's settings")?;
        let mut command = Command::new(program);
        command.arg(&file).process_group(guard.group());
        if let Some((user, group)) = owner {
            chown(&file, Some(user), Some(group)).context("giving the settings away")?;
            command.uid(user).gid(group);
        }
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().context("starting pgbouncer")?;
        let log = process.stderr.take().context("the pooler's log is piped")?;
        if let Err(said) = await_word(log, "process up") {
            let _ = process.wait();
            bail!("the pooler ended:\n{}", said.join("\n"));
        }
        Ok(Self { folder, port, process, _guard: guard })
    }

    /// The address of a database behind it.
    #[must_use]
    pub fn address(&self, database: &str) -> String {
        format!("postgres://{}@127.0.0.1:{}/{database}", Postgres::USER, self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
