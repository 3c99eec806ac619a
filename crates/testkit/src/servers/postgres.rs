//! A private PostgreSQL server: on loopback, without passwords unless one is wanted, in a folder of its own that goes with it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::guard::{Ends, Guard};
use super::log::await_word;
use super::programs;

/// The user of every database here.
const USER: &str = "orderwright";

/// How often a start is tried again while what is left of a killed server goes.
const STARTS_MAX: u32 = 50;

/// Whether what the server confirms survives the loss of power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It does, as in production.
    #[default]
    Fsync,
    /// It does not: faster, for tests in which no server dies.
    None,
}

/// A running server. It dies with this value.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    owner: Option<(u32, u32)>,
    durability: Durability,
    settings: Vec<String>,
    password: Option<String>,
    certificate: Option<Certificate>,
    server: Option<Child>,
    guard: Guard,
    databases: AtomicU32,
}

/// What a server shows to prove who it is, in PEM.
#[derive(Debug)]
struct Certificate {
    certificates: String,
    key: String,
}

/// Tells the folders of one process apart.
static FOLDERS: AtomicU32 = AtomicU32::new(0);

impl Postgres {
    /// Starts a fresh server.
    ///
    /// # Errors
    /// Says what to install if there are no programs; otherwise what the programs said.
    pub fn start(durability: Durability) -> Result<Self> {
        Self::start_with(durability, &[])
    }

    /// The same with settings of its own, each as `name=value`.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_with(durability: Durability, settings: &[&str]) -> Result<Self> {
        Self::start_any(durability, settings, None, None)
    }

    /// The same for nobody who does not know the password.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_locked(durability: Durability, password: &str) -> Result<Self> {
        Self::start_any(durability, &[], Some(password.to_owned()), None)
    }

    /// The same with certificate and key, in PEM, for those who want to speak TLS.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_encrypted(durability: Durability, certificates: &str, key: &str) -> Result<Self> {
        let certificate = Certificate { certificates: certificates.to_owned(), key: key.to_owned() };
        Self::start_any(durability, &["ssl=on"], None, Some(certificate))
    }

    fn start_any(
        durability: Durability,
        settings: &[&str],
        password: Option<String>,
        certificate: Option<Certificate>,
    ) -> Result<Self> {
        let programs = programs::postgres()?;
        let owner = if programs::is_root() { Some(programs::unprivileged()?) } else { None };
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("orderwright-postgres-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut postgres = Self {
            programs,
            guard: Guard::over(&folder, Ends::Asked)?,
            folder,
            port: free_port()?,
            owner,
            durability,
            settings,
            password,
            certificate,
            server: None,
            databases: AtomicU32::new(0),
        };
        postgres.prepare()?;
        postgres.restart()?;
        Ok(postgres)
    }

    /// The user of every database.
    pub(super) const USER: &'static str = USER;

    /// Where it listens, on loopback.
    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// The address of a database.
    #[must_use]
    pub fn address(&self, database: &str) -> String {
        let password = self.password.as_ref().map(|password| format!(":{password}")).unwrap_or_default();
        format!("postgres://{USER}{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database that no other test has and returns its address.
    ///
    /// # Errors
    /// What the server said.
    pub fn database(&self) -> Result<String> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.create(&name, "template0")?;
        Ok(self.address(&name))
    }

    /// Makes a database called `name` as a copy of `template`, which nobody may be connected to.
    ///
    /// # Errors
    /// What the server said.
    pub fn create(&self, name: &str, template: &str) -> Result<()> {
        let mut createdb = self.program("createdb");
        createdb.args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--username", USER]);
        createdb.args(["--maintenance-db", "postgres", "--template", template, name]);
        succeed(createdb).map(drop)
    }

    /// Runs statements in a database and returns what they answer, a line for each row.
    ///
    /// # Errors
    /// What the server said.
    pub fn query(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql = self.program("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]);
        psql.args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--username", USER]);
        psql.args(["--dbname", database, "--command", sql]);
        succeed(psql)
    }

    /// What the server itself says of its release.
    ///
    /// # Errors
    /// What the server said.
    pub fn release(&self) -> Result<String> {
        Ok(self.query("postgres", "show server_version")?.trim().to_owned())
    }

    /// Holds a table for a while, so that whoever wants it waits; returns how many connections did in the end.
    ///
    /// # Errors
    /// What the server said.
    pub fn hold_table(&self, database: &str, table: &str, time: Duration) -> Result<u32> {
        let seconds = time.as_secs_f64();
        let waiting = self.query(
            database,
            &format!(
                "set lock_timeout = '10s'; begin; lock table {table} in access exclusive mode; select pg_sleep({seconds});
                 select count(*) from pg_locks where relation = '{table}'::regclass and not granted; commit"
            ),
        )?;
        waiting.trim().parse().context("a number of connections")
    }

    /// A command for the shell after which each flush of the server's log takes a tenth of a second longer, as on a slow disk:
    /// whoever flushes holds the lock meanwhile, and the others wait.
    ///
    /// # Errors
    /// If its programs cannot be named in a shell.
    pub fn slow_flushes(&self) -> Result<String> {
        self.shell(&["alter system set commit_siblings = 0", "alter system set commit_delay = 100000"])
    }

    /// A command for the shell that takes that back.
    ///
    /// # Errors
    /// As for [`Self::slow_flushes`].
    pub fn fair_flushes(&self) -> Result<String> {
        self.shell(&["alter system reset commit_siblings", "alter system reset commit_delay"])
    }

    fn shell(&self, statements: &[&str]) -> Result<String> {
        let psql = self.programs.join("psql");
        let psql = psql.to_str().context("the folder of PostgreSQL's programs has no ordinary name")?;
        ensure!(!psql.contains('\''), "the folder of PostgreSQL's programs has a quote in its name");
        let each = statements.iter().chain(&["select pg_reload_conf()"]);
        let each: Vec<String> = each.map(|statement| format!("--command '{statement}'")).collect();
        Ok(format!(
            "'{psql}' --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname '{}' {}",
            self.address("postgres"),
            each.join(" ")
        ))
    }

    /// The id of the server's first process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// The ids of all its processes.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let Some(first) = self.pid() else { return Vec::new() };
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        std::iter::once(first).chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
    }

    /// Kills every process of the server at once, as a loss of power would.
    pub fn kill9(&mut self) {
        let pids = self.pids();
        let Some(mut first) = self.server.take() else { return };
        // The first one goes first, or it would begin to recover.
        let _ = first.kill();
        for pid in pids.into_iter().skip(1) {
            let _ = self.signal("KILL", pid);
        }
        let _ = first.wait();
    }

    /// Starts the server again on the same data and port.
    ///
    /// # Errors
    /// What the server said.
    pub fn restart(&mut self) -> Result<()> {
        self.kill9();
        let mut log = Vec::new();
        for _ in 0..STARTS_MAX {
            match self.try_start()? {
                Ok(server) => {
                    self.server = Some(server);
                    return Ok(());
                }
                Err(said) => log = said,
            }
        }
        bail!("the PostgreSQL server does not start:\n{}", log.join("\n"))
    }

    fn prepare(&self) -> Result<()> {
        fs::create_dir_all(&self.folder).context("making the server's folder")?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700)).context("closing the folder")?;
        self.give_away(&self.folder)?;
        let mut initdb = self.program("initdb");
        initdb.arg("--pgdata").arg(self.data());
        initdb.args(["--username", USER, "--encoding", "UTF8", "--locale", "C", "--no-sync"]);
        match &self.password {
            None => initdb.args(["--auth", "trust"]),
            Some(password) => {
                let file = self.folder.join("password");
                fs::write(&file, password).context("writing the password's file")?;
                self.give_away(&file)?;
                initdb.args(["--auth", "scram-sha-256", "--pwfile"]).arg(file)
            }
        };
        succeed(initdb)?;
        let Some(Certificate { certificates, key }) = &self.certificate else { return Ok(()) };
        for (name, text) in [("server.crt", certificates), ("server.key", key)] {
            let file = self.data().join(name);
            fs::write(&file, text).context("writing the server's certificate")?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))
                .context("closing the server's key")?;
            self.give_away(&file)?;
        }
        Ok(())
    }

    /// To the user that the server runs as.
    fn give_away(&self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.owner else { return Ok(()) };
        chown(path, Some(user), Some(group)).with_context(|| format!("giving {} away", path.display()))
    }

    /// Starts the server and waits for its word that it is ready; or for its end, with what it said.
    fn try_start(&self) -> Result<Result<Child, Vec<String>>> {
        let mut server = self.command().spawn().context("starting postgres")?;
        let log = server.stderr.take().context("the server's log is piped")?;
        Ok(match await_word(log, "database system is ready to accept connections") {
            Ok(()) => Ok(server),
            Err(said) => {
                let _ = server.wait();
                Err(said)
            }
        })
    }

    fn command(&self) -> Command {
        let mut postgres = self.program("postgres");
        postgres.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        let fsync = match self.durability {
            Durability::Fsync => "fsync=on",
            Durability::None => "fsync=off",
        };
        let fixed = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200", fsync];
        for setting in fixed.into_iter().chain(self.settings.iter().map(String::as_str)) {
            postgres.args(["-c", setting]);
        }
        postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        postgres
    }

    /// One of PostgreSQL's programs, run by a user that it accepts, in English.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir("/").env("LC_ALL", "C").process_group(self.guard.group());
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password);
        }
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    fn signal(&self, signal: &str, pid: u32) -> Result<()> {
        let mut pg_ctl = self.program("pg_ctl");
        pg_ctl.args(["kill", signal, &pid.to_string()]);
        succeed(pg_ctl).map(drop)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill9();
        remove(&self.folder);
    }
}

/// What a dying process is still writing may appear again once.
fn remove(folder: &Path) {
    for _ in 0..3 {
        if fs::remove_dir_all(folder).is_ok() {
            return;
        }
    }
}

fn succeed(mut command: Command) -> Result<String> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).context("the answer is text")
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
    Ok(listener.local_addr().context("asking for the port found")?.port())
}
