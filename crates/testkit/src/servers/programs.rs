//! Finds the programs of a server, installs them where that is possible, and otherwise says what to install.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};

/// Where Debian, Fedora, Homebrew and those who build it themselves put PostgreSQL; a `*` is any release.
const FOLDERS: [&str; 5] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
];

/// The oldest release of PostgreSQL that the service works with.
const POSTGRES_MIN: u32 = 15;

/// Where Debian reads, when it installs PostgreSQL, whether to start a server of its own; nobody asked for that one.
const CLUSTER_WISHES: &str = "/etc/postgresql-common/createcluster.d";

/// The folder with all of PostgreSQL's programs, the latest release's if there are several.
///
/// # Errors
/// Says what to install if there is none and none can be installed.
pub(super) fn postgres() -> Result<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = find() {
        return Ok(folder);
    }
    let may_install = is_root() && Path::new("/usr/bin/apt-get").exists();
    let tried = if may_install { install_postgres() } else { Ok(()) };
    let missing = "PostgreSQL's programs are missing; install PostgreSQL 15 or later (Debian: apt-get install postgresql)";
    match (find(), tried) {
        (Some(folder), _) => Ok(folder),
        (None, Ok(())) => bail!(missing),
        (None, Err(error)) => Err(error.context(missing)),
    }
}

/// The release of the programs in a folder, in words.
///
/// # Errors
/// If they do not run, or are too old.
pub(super) fn release(folder: &Path) -> Result<String> {
    let output =
        Command::new(folder.join("postgres")).arg("--version").output().context("running postgres")?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let number = said.split_whitespace().find_map(|word| word.split('.').next()?.parse::<u32>().ok());
    match number {
        Some(number) if number >= POSTGRES_MIN => Ok(said),
        Some(_) => bail!("{} is {said}; install PostgreSQL {POSTGRES_MIN} or later", folder.display()),
        None => bail!("{} says '{said}', which is no release of PostgreSQL", folder.display()),
    }
}

/// Where Debian, Fedora, Homebrew and those who unpack it themselves put RabbitMQ. Debian's link on the path is a wrapper
/// for its own service, and no use here.
const RABBITMQ_FOLDERS: [&str; 5] = [
    "/usr/lib/rabbitmq/bin",
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
    "/opt/rabbitmq_server-*/sbin",
];

/// Where Erlang's name server may be if it is not on the path.
const ERLANG_FOLDERS: [&str; 4] =
    ["/usr/bin", "/usr/lib/erlang/bin", "/usr/local/lib/erlang/bin", "/opt/homebrew/lib/erlang/bin"];

/// The programs of a RabbitMQ server.
#[derive(Debug)]
pub(super) struct RabbitMqPrograms {
    /// The server.
    pub(super) server: PathBuf,
    /// Erlang's name server.
    pub(super) epmd: PathBuf,
}

/// RabbitMQ's programs.
///
/// # Errors
/// Says what to install if there are none and none can be installed.
pub(super) fn rabbitmq() -> Result<RabbitMqPrograms> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(programs) = find_rabbitmq() {
        return Ok(programs);
    }
    if is_root() && Path::new("/usr/bin/apt-get").exists() {
        install("rabbitmq-server")?;
    }
    find_rabbitmq().context(
        "RabbitMQ's programs are missing; install RabbitMQ 3.10 or later with Erlang (Debian: apt-get install rabbitmq-server)",
    )
}

fn find_rabbitmq() -> Option<RabbitMqPrograms> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    let usual = |folders: &[&str]| folders.iter().flat_map(|folder| expand(folder)).collect::<Vec<_>>();
    let in_one_of = |folders: Vec<PathBuf>, name: &str| {
        folders.into_iter().map(|folder| folder.join(name)).find(|program| program.exists())
    };
    let server = [usual(&RABBITMQ_FOLDERS), on_path.clone()].concat();
    let epmd = [on_path, usual(&ERLANG_FOLDERS)].concat();
    Some(RabbitMqPrograms { server: in_one_of(server, "rabbitmq-server")?, epmd: in_one_of(epmd, "epmd")? })
}

/// Prometheus and its tool.
#[derive(Debug)]
pub(super) struct PrometheusPrograms {
    /// The server.
    pub(super) server: PathBuf,
    /// What checks metrics and rules.
    pub(super) tool: PathBuf,
}

/// Prometheus's programs.
///
/// # Errors
/// Says what to install if there are none and none can be installed.
pub(super) fn prometheus() -> Result<PrometheusPrograms> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(programs) = find_prometheus() {
        return Ok(programs);
    }
    if is_root() && Path::new("/usr/bin/apt-get").exists() {
        install("prometheus")?;
    }
    find_prometheus().context(
        "Prometheus's programs are missing; install Prometheus 2.40 or later with promtool (Debian: apt-get install prometheus)",
    )
}

fn find_prometheus() -> Option<PrometheusPrograms> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    let folders: Vec<PathBuf> = std::env::split_paths(&on_path).chain(usual).collect();
    let find = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|program| program.exists());
    Some(PrometheusPrograms { server: find("prometheus")?, tool: find("promtool")? })
}

/// Whether this process may do everything, which the server refuses to run with.
pub(super) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The user and group for a server that refuses to run as root.
///
/// # Errors
/// If the system knows no such user.
pub(super) fn unprivileged() -> Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres")
        .or_else(|| ids("nobody"))
        .context("there is neither a user 'postgres' nor a user 'nobody'")
}

fn find() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let links = std::env::split_paths(&on_path).filter_map(|folder| {
        // A link on the path leads to the folder with the rest.
        let program = fs::canonicalize(folder.join("postgres")).ok()?;
        program.parent().map(Path::to_owned)
    });
    links.chain(FOLDERS.iter().flat_map(|pattern| expand(pattern))).find(|folder| is_complete(folder))
}

fn is_complete(folder: &Path) -> bool {
    ["postgres", "initdb", "pg_ctl", "createdb", "psql"].iter().all(|program| folder.join(program).exists())
}

/// The folders that a pattern with one `*` stands for, latest release first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![PathBuf::from(pattern)] };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("/", before));
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| PathBuf::from(format!("{}{after}", entry.path().display())))
        .collect();
    found.sort();
    found.reverse();
    found
}

/// Installs the programs and no running server.
fn install_postgres() -> Result<()> {
    let wishes = Path::new(CLUSTER_WISHES);
    let was_there = wishes.exists();
    let wish = wishes.join("orderwright-tests.conf");
    fs::create_dir_all(wishes).and_then(|()| fs::write(&wish, "create_main_cluster = false\n"))?;
    let installed = install("postgresql");
    fs::remove_file(wish)?;
    if !was_there {
        fs::remove_dir(wishes)?;
    }
    installed
}

/// Lists of packages that are missing or old are fetched only when an installation fails without.
fn install(package: &str) -> Result<()> {
    let install = ["install", "-y", "--no-install-recommends", package];
    apt_get(&install).or_else(|_| {
        apt_get(&["update"])?;
        apt_get(&install)
    })
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
    ensure!(command.status().context("running apt-get")?.success(), "apt-get {} failed", arguments.join(" "));
    Ok(())
}
