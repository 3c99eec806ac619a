//! Finds the programs of a server, installs them where that is possible, and otherwise says what to install.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};

use super::install::{install, install_postgres};

/// Where Debian, Fedora, Homebrew and those who build it themselves put PostgreSQL; a `*` is any release.
const FOLDERS: [&str; 5] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
];

/// The oldest release of PostgreSQL that the service works with.
const POSTGRES_MIN: Release = Release(15, 0);

/// Variables that name a folder with the programs to take, whatever else is installed: `cargo xtask versions` sets them.
const POSTGRES_CHOSEN: &str = "ORDERWRIGHT_POSTGRES_PROGRAMS";
const RABBITMQ_CHOSEN: &str = "ORDERWRIGHT_RABBITMQ_PROGRAMS";

/// The folder with all of PostgreSQL's programs, the latest release's if there are several and none was chosen.
///
/// # Errors
/// Says what to install if there is none and none can be installed.
pub(super) fn postgres() -> Result<PathBuf> {
    if let Some(chosen) = std::env::var_os(POSTGRES_CHOSEN) {
        return chosen_postgres(chosen.into());
    }
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = find() {
        return Ok(folder);
    }
    let may_install = is_root() && Path::new("/usr/bin/apt-get").exists();
    let tried = if may_install { install_postgres() } else { Ok(()) };
    let missing = "PostgreSQL's programs are missing or too old; install PostgreSQL 15 or later (Debian: apt-get install postgresql)";
    match (find(), tried) {
        (Some(folder), _) => Ok(folder),
        (None, Ok(())) => bail!(missing),
        (None, Err(error)) => Err(error.context(missing)),
    }
}

/// A release: its first two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Release(u32, u32);

impl Release {
    /// The first word that begins with a number, as far as it is one: `18beta1` is the first of all 18.
    fn in_words(said: &str) -> Option<Self> {
        said.split_whitespace().find_map(|word| {
            let mut numbers = word.split(|sign: char| !sign.is_ascii_digit()).map(str::parse);
            Some(Self(numbers.next()?.ok()?, numbers.next().and_then(Result::ok).unwrap_or(0)))
        })
    }
}

/// What PostgreSQL's programs in a folder say of their release.
///
/// # Errors
/// If they do not run.
pub(super) fn release(folder: &Path) -> Result<String> {
    say(Command::new(folder.join("postgres")).arg("--version"))
}

/// The release of RabbitMQ's programs, in words.
///
/// # Errors
/// If they do not run, or are too old.
pub(super) fn rabbitmq_release(programs: &RabbitMqPrograms) -> Result<String> {
    let said = say(Command::new(programs.server.with_file_name("rabbitmqctl")).arg("version"))?;
    let place = programs.server.display();
    match Release::in_words(&said) {
        Some(release) if release >= RABBITMQ_MIN => Ok(said),
        Some(_) => bail!("{place} is RabbitMQ {said}; install RabbitMQ 3.10 or later"),
        None => bail!("{place} says '{said}', which is no release of RabbitMQ"),
    }
}

fn say(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The oldest release of RabbitMQ that the service works with.
const RABBITMQ_MIN: Release = Release(3, 10);

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
    if let Some(chosen) = std::env::var_os(RABBITMQ_CHOSEN) {
        return chosen_rabbitmq(Path::new(&chosen));
    }
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

/// No other will do: what is tried on one release must not pass on another.
fn chosen_rabbitmq(folder: &Path) -> Result<RabbitMqPrograms> {
    let [server, epmd] = ["rabbitmq-server", "epmd"].map(|name| folder.join(name));
    ensure!(
        server.exists() && epmd.exists(),
        "{} has not both rabbitmq-server and epmd; {RABBITMQ_CHOSEN} names it",
        folder.display()
    );
    Ok(RabbitMqPrograms { server, epmd })
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

/// A browser and its driver.
#[derive(Debug)]
pub(super) struct BrowserPrograms {
    /// Chromium.
    pub(super) browser: PathBuf,
    /// What speaks WebDriver for it.
    pub(super) driver: PathBuf,
}

/// Chromium and its driver.
///
/// # Errors
/// Says what to install if there are none and none can be installed.
pub(super) fn browser() -> Result<BrowserPrograms> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(programs) = find_browser() {
        return Ok(programs);
    }
    if is_root() && Path::new("/usr/bin/apt-get").exists() {
        install("chromium-driver")?;
    }
    find_browser().context(
        "there is no browser for tests; install Chromium with its driver (Debian: apt-get install chromium chromium-driver)",
    )
}

fn find_browser() -> Option<BrowserPrograms> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    let folders: Vec<PathBuf> = std::env::split_paths(&on_path).chain(usual).collect();
    let find = |names: &[&str]| {
        let files = folders.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name)));
        files.into_iter().find(|file| file.exists())
    };
    let browser = find(&["chromium", "chromium-browser", "google-chrome"])?;
    Some(BrowserPrograms { browser, driver: find(&["chromedriver"])? })
}

/// The Python that has a mail server: the system's, for which packages are made, or the first on the path.
///
/// # Errors
/// Says what to install if there is none and none can be installed.
pub(super) fn smtp() -> Result<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let find = || {
        let known = ["/usr/bin/python3", "python3"].map(PathBuf::from);
        known.into_iter().find(|python| {
            let mut asked = Command::new(python);
            asked.args(["-c", "import aiosmtpd"]).stdout(Stdio::null()).stderr(Stdio::null());
            asked.status().is_ok_and(|status| status.success())
        })
    };
    if let Some(python) = find() {
        return Ok(python);
    }
    if is_root() && Path::new("/usr/bin/apt-get").exists() {
        install("python3-aiosmtpd")?;
    }
    find().context(
        "there is no mail server for tests; install aiosmtpd (Debian: apt-get install python3-aiosmtpd)",
    )
}

/// PgBouncer.
///
/// # Errors
/// Says what to install if there is none and none can be installed.
pub(super) fn pgbouncer() -> Result<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let find = || {
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let folders = ["/usr/sbin", "/opt/homebrew/bin", "/usr/local/bin"].map(PathBuf::from);
        let mut all = folders.into_iter().chain(std::env::split_paths(&on_path).collect::<Vec<_>>());
        all.find_map(|folder| Some(folder.join("pgbouncer")).filter(|program| program.exists()))
    };
    if let Some(program) = find() {
        return Ok(program);
    }
    if is_root() && Path::new("/usr/bin/apt-get").exists() {
        install("pgbouncer")?;
    }
    find().context("PgBouncer is missing; install it (Debian: apt-get install pgbouncer)")
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

/// As for [`chosen_rabbitmq`].
fn chosen_postgres(folder: PathBuf) -> Result<PathBuf> {
    ensure!(
        is_complete(&folder),
        "{} has not all of PostgreSQL's programs; {POSTGRES_CHOSEN} names it",
        folder.display()
    );
    Ok(folder)
}

fn find() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let links = std::env::split_paths(&on_path).filter_map(|folder| {
        // A link on the path leads to the folder with the rest.
        let program = fs::canonicalize(folder.join("postgres")).ok()?;
        program.parent().map(Path::to_owned)
    });
    newest(links.chain(FOLDERS.iter().flat_map(|pattern| expand(pattern))))
}

/// The complete folder with the latest release that is not too old; of several, the first.
fn newest(folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let released = |folder: PathBuf| Some((Release::in_words(&release(&folder).ok()?)?, folder));
    let usable = folders.filter(|folder| is_complete(folder)).filter_map(released);
    let better =
        |best: (Release, PathBuf), next: (Release, PathBuf)| if next.0 > best.0 { next } else { best };
    let (_, folder) = usable.filter(|(release, _)| *release >= POSTGRES_MIN).reduce(better)?;
    Some(folder)
}

fn is_complete(folder: &Path) -> bool {
    ["postgres", "initdb", "pg_ctl", "createdb", "psql"].iter().all(|program| folder.join(program).exists())
}

/// The folders that a pattern with one `*` stands for, latest release first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![PathBuf::from(pattern)] };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("/", before));
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let release = |name: &str| Some((numbers(name.strip_prefix(prefix)?), format!("{parent}/{name}{after}")));
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| release(&entry.file_name().to_string_lossy()))
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, folder)| PathBuf::from(folder)).collect()
}

/// The numbers in the name of a release, because 3.9 is older than 3.10.
fn numbers(name: &str) -> Vec<u32> {
    name.split(|sign: char| !sign.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fakes::Fakes;
    use super::*;

    /// A program that says something; returns its folder.
    fn program(fakes: &Fakes, path: &str, says: &str) -> PathBuf {
        fakes.script(path, &format!("#!/bin/sh\necho '{says}'\n"))
    }

    fn postgres(fakes: &Fakes, name: &str, says: &str) -> PathBuf {
        for other in ["initdb", "pg_ctl", "createdb", "psql"] {
            program(fakes, &format!("{name}/{other}"), "");
        }
        program(fakes, &format!("{name}/postgres"), says)
    }

    #[test]
    fn an_old_postgresql_that_is_found_first_does_not_hide_a_newer_one() {
        let fakes = Fakes::new("releases");
        let old = postgres(&fakes, "path", "postgres (PostgreSQL) 13.9 (Debian 13.9-1)");
        let (good, later) = (
            postgres(&fakes, "usual", "postgres (PostgreSQL) 15.2"),
            postgres(&fakes, "later", "postgres (PostgreSQL) 15.18"),
        );
        let broken = postgres(&fakes, "broken", "no idea");
        let incomplete = program(&fakes, "half/postgres", "postgres (PostgreSQL) 17.1");
        let all = [old.clone(), good.clone(), later.clone(), broken, incomplete];
        assert_eq!(newest(all.into_iter()), Some(later));
        assert_eq!(newest([old.clone(), good.clone(), good.clone()].into_iter()), Some(good));
        assert_eq!(newest([old].into_iter()), None);
    }

    #[test]
    fn a_folder_that_was_chosen_is_taken_if_it_has_the_programs_and_never_replaced() {
        let fakes = Fakes::new("chosen");
        let old = postgres(&fakes, "old", "postgres (PostgreSQL) 15.2");
        let half = program(&fakes, "half/postgres", "postgres (PostgreSQL) 17.1");
        assert_eq!(chosen_postgres(old.clone()).unwrap(), old);
        assert!(chosen_postgres(half.clone()).unwrap_err().to_string().contains(POSTGRES_CHOSEN));
        program(&fakes, "rabbit/rabbitmq-server", "");
        let rabbit = program(&fakes, "rabbit/epmd", "");
        assert_eq!(chosen_rabbitmq(&rabbit).unwrap().server, rabbit.join("rabbitmq-server"));
        assert!(chosen_rabbitmq(&half).unwrap_err().to_string().contains(RABBITMQ_CHOSEN));
    }

    #[test]
    fn releases_are_compared_by_number() {
        let fakes = Fakes::new("numbers");
        for name in ["server-3.9.29", "server-3.10.8", "server-3.8.2", "another-9.9"] {
            program(&fakes, &format!("{name}/sbin/server"), "");
        }
        let found = expand(&format!("{}/server-*/sbin", fakes.place().display()));
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(fakes.place()).unwrap()).collect();
        let expected = ["server-3.10.8/sbin", "server-3.9.29/sbin", "server-3.8.2/sbin"].map(Path::new);
        assert_eq!(names, expected);
        assert!(Release::in_words("postgres (PostgreSQL) 18beta1") > Some(Release(17, 9)));
    }

    #[test]
    fn an_old_rabbitmq_is_refused() {
        let fakes = Fakes::new("rabbit");
        for (says, fits) in [("3.9.27", false), ("3.10.0", true), ("4.1.2", true), ("no idea", false)] {
            let server = program(&fakes, "rabbitmqctl", says).join("rabbitmq-server");
            let programs = RabbitMqPrograms { server, epmd: PathBuf::new() };
            assert_eq!(rabbitmq_release(&programs).is_ok(), fits, "{says}");
        }
    }
}
