//! Finds the programs of a server, installs them where that is possible, and otherwise says what to install.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Where Debian, Fedora, Homebrew and those who build it themselves put PostgreSQL; a `*` is any release.
const FOLDERS: [&str; 5] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
];

/// The folder with all of PostgreSQL's programs, the latest release's if there are several.
///
/// # Errors
/// Says what to install if there is none and none can be installed.
pub(super) fn postgres() -> Result<PathBuf> {
    if let Some(folder) = find() {
        return Ok(folder);
    }
    if is_root() && Path::new("/usr/bin/apt-get").exists() {
        install("postgresql")?;
    }
    find().context("PostgreSQL's programs are missing; install PostgreSQL 15 or later (Debian: apt-get install postgresql)")
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

fn install(package: &str) -> Result<()> {
    let installed = Command::new("apt-get")
        .args(["install", "-y", "--no-install-recommends", package])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null())
        .status()
        .context("running apt-get")?;
    if !installed.success() {
        bail!("apt-get could not install {package}; install it yourself");
    }
    Ok(())
}
