//! Programs that a step needs and that the system's own packages have: found, or installed where that may be done, or named.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// One of these programs on the path; installed from Debian's package if there is none and this process may do so.
pub(crate) fn program(names: &[&str], package: &str) -> Result<PathBuf> {
    if let Some(found) = find(names) {
        return Ok(found);
    }
    install(package)?;
    find(names).with_context(|| missing(names, package))
}

/// Installs one of Debian's packages, where there are any and this process may.
pub(crate) fn install(package: &str) -> Result<()> {
    let may = Path::new("/usr/bin/apt-get").exists();
    ensure!(may, "install what Debian calls {package}");
    let install = ["install", "-y", "--no-install-recommends", package];
    apt_get(&install).or_else(|_| {
        apt_get(&["update"])?;
        apt_get(&install)
    })
}

fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

fn missing(names: &[&str], package: &str) -> String {
    format!("{} is missing; install it (Debian: apt-get install {package})", names.join(" or "))
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
    let status = command.status().context("cannot start apt-get")?;
    ensure!(
        status.success(),
        "apt-get {} failed; it needs root and the packages' server",
        arguments.join(" ")
    );
    Ok(())
}
