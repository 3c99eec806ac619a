//! Programs from the package registries of Python and Node, in the releases that are named, each set in a folder of its own that
//! is filled once. Node itself comes from Python's registry. The system's own packages are left alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::install::install;
use super::programs::is_root;

/// The file that says what a folder was filled with; it is written last.
const FILLED: &str = "filled-with";

/// An environment of Python's with these packages, each `NAME==RELEASE`: the folder of its programs.
///
/// # Errors
/// If Python has no `venv`, or its registry is away.
pub fn python(folder: &Path, packages: &[&str]) -> Result<PathBuf> {
    let programs = folder.join("bin");
    filled(folder, &packages.join("\n"), || {
        environment(folder)?;
        let mut pip = Command::new(programs.join("python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
        succeed(pip, "installing from Python's package registry")
    })?;
    Ok(programs)
}

/// A folder of Node's with these packages, each a name and a release, installed without running any script of theirs.
///
/// # Errors
/// If Node's registry is away.
pub fn node(folder: &Path, programs: &Path, packages: &[(&str, &str)]) -> Result<()> {
    let wanted: serde_json::Map<_, _> =
        packages.iter().map(|(name, release)| ((*name).to_owned(), (*release).into())).collect();
    let manifest = serde_json::json!({"private": true, "type": "module", "dependencies": wanted}).to_string();
    filled(folder, &manifest, || {
        fs::write(folder.join("package.json"), &manifest).context("naming Node's packages")?;
        let mut npm = Command::new(programs.join("npm"));
        npm.args([
            "install",
            "--silent",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
        ]);
        npm.current_dir(folder).env("PATH", path_before(programs)?);
        npm.env("npm_config_cache", folder.join("cache"));
        succeed(npm, "installing from Node's package registry")?;
        fs::remove_dir_all(folder.join("cache")).context("tidying up")
    })
}

/// The path of programs with this folder before all others.
///
/// # Errors
/// If a folder on the path cannot be written there.
pub fn path_before(programs: &Path) -> Result<std::ffi::OsString> {
    let others = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(programs.to_path_buf()).chain(std::env::split_paths(&others));
    std::env::join_paths(folders).context("making a path")
}

/// Fills a folder, unless it was filled with just this before.
fn filled(folder: &Path, with: &str, fill: impl FnOnce() -> Result<()>) -> Result<()> {
    let note = folder.join(FILLED);
    if fs::read_to_string(&note).is_ok_and(|known| known == with) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).context("removing what was there before")?;
    }
    fs::create_dir_all(folder).context("making a folder for programs")?;
    fill()?;
    fs::write(&note, with).context("noting what is there")
}

/// Makes an empty environment; where Python lacks what it takes, Debian's package is installed if that may be done.
fn environment(folder: &Path) -> Result<()> {
    let made = || {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(folder).stdin(Stdio::null());
        venv.status().is_ok_and(|status| status.success())
    };
    let needed = "Python 3.10 or later with venv is needed (Debian: python3-venv)";
    if made() {
        return Ok(());
    }
    ensure!(is_root() && Path::new("/usr/bin/apt-get").exists(), needed);
    install("python3-venv").context(needed)?;
    ensure!(made(), needed);
    Ok(())
}

fn succeed(mut command: Command, doing: &str) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| doing.to_owned())?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{doing} failed: {told}{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
